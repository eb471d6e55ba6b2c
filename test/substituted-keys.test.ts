// What this holds: whatever a service puts in the place of a device, a certificate, a chain, an
// epoch, a grant, a list of recipients, a member or an invitation, each call of the SDK that would
// seal, sign or certify on the strength of it is refused with a code that names it, no key is
// sealed to the forged device, and nothing is posted. What makes it fail: taking away the guard
// that a row names.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { readMapping } from '../src/client/index.ts'
import {
  base64url,
  digestOf,
  readCertificate,
  sealGrant,
  serializeLeaf,
  signImportKey,
  signIntention,
  type Leaf,
} from '../src/protocol/index.ts'
import { passphrase } from './support/actors.ts'
import { alarmOf, alteredOperations, text } from './support/altered-operation.ts'
import { kindOf, type Frame } from './support/altered.ts'
import {
  answering,
  asMember,
  certificateOf,
  codeOf,
  exchanged,
  newDevice,
  readBy,
  recipientsWanted,
  type Scene,
  showAct,
  showDevice,
  showEnrolment,
  showEntry,
  showEpoch,
  showImportKey,
  signedBy,
  whatLeft,
} from './support/forging.ts'

const newOperation = alteredOperations(t)
const example = new URL('../docs/examples/pangolin-seizures.map.json', import.meta.url)
const read = readMapping(readFileSync(example, 'utf8'))
if (!('mapping' in read)) throw new Error('the example mapping is read')
const { mapping } = read

type Call = (scene: Scene) => Promise<unknown>

interface Forgery {
  readonly forged: string
  /** What it bites where it is taken away. */
  readonly guard: string
  /** Alters what Kenya is shown, and has it shown. */
  readonly alter: (scene: Scene) => unknown
  /** The alarm with its reason, where the forgery is noticed before anything is called. */
  readonly alarm?: string
  readonly calls: Readonly<Record<string, Call>>
  readonly code: string
}

interface Proofs {
  readonly proofs: readonly { readonly leaf: string; readonly proof: readonly string[] }[]
}

const post: Call = ({ session }) => session.post(text('Who reads this?'))
const openEpoch: Call = ({ session }) => session.openEpoch()
const sealing = { post, openEpoch }
const everything = {
  ...sealing,
  giveGrants: ({ session }: Scene) => session.giveGrants(),
  createCompartment: ({ kenya, operation, thailand }: Scene) =>
    kenya.operations.createCompartment(operation, { name: 'Few', members: [thailand.person] }),
  remove: ({ kenya, operation, thailand }: Scene) => kenya.operations.remove(operation, thailand.person),
}
const signingIn = {
  me: ({ kenya }: Scene) => kenya.me(),
  signIn: ({ kenya }: Scene) => kenya.signIn({ passphrase }),
}
const known = new Uint8Array(32).fill(7)
const importing = {
  importRows: ({ kenya, operation }: Scene) =>
    kenya.importRows({ operation, rows: [], mapping, file: base64url(new Uint8Array(32)) }),
}
const certifying = { certifyWaiting: refusedOutcome }

/** Newcomers are refused one by one: the code is in the outcome. */
async function refusedOutcome({ kenya }: Scene): Promise<void> {
  const [outcome] = await kenya.directory.certifyWaiting()
  if (outcome?.refused) throw Object.assign(new Error(outcome.refused.message), { code: outcome.refused.code })
}

const forgeries: readonly Forgery[] = [
  {
    forged: 'a device that somebody unknown certified',
    guard: 'verifyChain: the issuer is known',
    alter: async (at) => showDevice(at, at.forged, await certificateOf(await newDevice(), at.forged.keys, at.thailand)),
    alarm: 'ENTRY_REFUSED CERTIFICATE_CHAIN',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'a device that certifies itself',
    guard: 'verifyChain: only the root certifies itself',
    alter: async (at) => showDevice(at, at.forged, await certificateOf(at.forged, at.forged.keys, at.thailand)),
    alarm: 'ENTRY_REFUSED CERTIFICATE_CHAIN',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'a device of Thailand that the NCP of another organization certified',
    guard: 'mayCertify: the same organization',
    alter: async (at) =>
      showDevice(at, at.forged, await certificateOf(at.coordinator.self.device, at.forged.keys, at.thailand)),
    alarm: 'ENTRY_REFUSED CERTIFICATE_CHAIN',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'an administrator whom an NCP certified',
    guard: 'mayCertify: the own person in no other tier',
    alter: async (at) =>
      showDevice(
        at,
        at.forged,
        await certificateOf(at.thailand.self.device, at.forged.keys, at.thailand, 'administrator'),
      ),
    alarm: 'ENTRY_REFUSED CERTIFICATE_CHAIN',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'a chain that leads to a root of the service’s own',
    guard: 'proveTogether: each up to the pinned root',
    alter: async (at) => {
      const [root, issuer] = await Promise.all([newDevice(), newDevice()])
      const chain = [
        await certificateOf(root, root.keys, at.administrator, 'administrator'),
        await certificateOf(root, issuer.keys, at.administrator, 'administrator'),
      ]
      await showDevice(at, at.forged, await certificateOf(issuer, at.forged.keys, at.thailand), chain)
    },
    alarm: 'ENTRY_REFUSED CERTIFICATE_CHAIN',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'the certificate of a member with another sealing key in it',
    guard: 'verifyChain: the signature',
    alter: (at) =>
      showDevice(
        at,
        at.thailand.self.device,
        exchanged(at.thailand.self.certificate?.jws ?? '', {
          ...at.thailand.self.device.keys,
          seal: at.forged.keys.seal,
        }),
      ),
    alarm: 'ENTRY_REFUSED SIGNATURE',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged:
      'a second certificate of a member’s device, with another sealing key, by an administrator who helps the service',
    guard: 'requireCertificateEntry: a device keeps its sealing key',
    alter: async (at) => {
      const keys = { sign: at.thailand.self.device.keys.sign, seal: at.forged.keys.seal }
      await showDevice(
        at,
        at.thailand.self.device,
        await certificateOf(at.administrator.self.device, keys, at.thailand),
      )
    },
    alarm: 'ENTRY_REFUSED SEAL_CHANGED',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'a second device of a member, by an administrator who helps the service',
    guard: 'Epochs.#requireProven',
    alter: async (at) =>
      showDevice(at, at.forged, await certificateOf(at.administrator.self.device, at.forged.keys, at.thailand)),
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'the same, with the proof of another device’s entry',
    guard: 'Transparency.#prove: verifyInclusion',
    alter: async (at) => {
      const statement = await certificateOf(at.administrator.self.device, at.forged.keys, at.thailand)
      const { hash } = await readCertificate(statement)
      await showDevice(at, at.forged, statement)
      const certificates = [at.thailand.self.certificate?.hash]
      const other = await at.thailand.transport.request<Proofs>('POST', '/v1/certificates/proofs', { certificates })
      const proofs = other.proofs.map(({ leaf, proof }) => {
        const forged = serializeLeaf({ ...(JSON.parse(leaf) as Leaf), subject: at.forged.id, digest: hash })
        return { certificate: hash, leaf: forged, proof }
      })
      answering(at, '/v1/certificates/proofs', (json) => ({ ...json, proofs }))
    },
    calls: sealing,
    code: 'DIRECTORY_ALTERED',
  },
  {
    forged: 'an entry whose digest names another certificate than it brings',
    guard: 'OperationView.apply: the digest of the statement',
    alter: async (at) =>
      showEntry(
        at,
        { kind: 'device.certified', subject: at.forged.id, digest: base64url(new Uint8Array(32)) },
        { statement: await certificateOf(at.administrator.self.device, at.forged.keys, at.thailand) },
      ),
    alarm: 'ENTRY_REFUSED VIEW_DIGEST',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'an epoch that the forged device opened',
    guard: 'verifyEpoch: requireSigner',
    alter: async (at) => {
      const certificate = await certificateOf(at.administrator.self.device, at.forged.keys, at.thailand)
      await showEpoch(at, (told) => signedBy(at.forged, certificate, told))
    },
    alarm: 'ENTRY_REFUSED SIGNER',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'an epoch that a member opened for one device more',
    guard: 'verifyEpoch: the exact recipients',
    alter: (at) =>
      showEpoch(at, (told) =>
        asMember(at.thailand, { ...told, recipients: [...told.recipients, at.forged.id].sort() }),
      ),
    alarm: 'ENTRY_REFUSED EPOCH_RECIPIENTS',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'an epoch in which a device of the service’s stands for one that was left out',
    guard: 'verifyEpoch: the exact recipients',
    alter: (at) =>
      showEpoch(at, (told) =>
        asMember(at.thailand, {
          ...told,
          recipients: told.recipients.map((one) => (one === at.coordinator.device ? at.forged.id : one)).sort(),
        }),
      ),
    alarm: 'ENTRY_REFUSED EPOCH_RECIPIENTS',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'an epoch whose signature is of another one',
    guard: 'verifyEpoch: the signature',
    alter: (at) =>
      showEpoch(at, async (told) => {
        const forged = await asMember(at.thailand, { ...told, commitment: base64url(new Uint8Array(32)) })
        const [head = '', payload = ''] = forged.split('.')
        const [, , signature = ''] = (await asMember(at.thailand, told)).split('.')
        return `${head}.${payload}.${signature}`
      }),
    alarm: 'ENTRY_REFUSED SIGNATURE',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'an epoch that a member opened before somebody was taken in',
    guard: 'verifyEpoch: the newest heads',
    alter: (at) => {
      const [first = ''] = at.session.view.chain
      return showEpoch(at, (told) => asMember(at.thailand, { ...told, members: { operation: first } }))
    },
    alarm: 'ENTRY_REFUSED EPOCH_HEADS',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'the grant of a key that the service made',
    guard: 'openGrant: the commitment',
    alter: async (at) => {
      const { altered, coordinator, kenya, operation } = at
      const { device } = kenya.self
      const to = { device: device.id, seal: device.keys.seal }
      const grant = await sealGrant(to, operation, 1, new Uint8Array(32).fill(7))
      altered.frame = (frame) => {
        if (frame.type === 'granted') return undefined
        return kindOf(frame) === 'epoch.opened' ? { ...frame, grant } : frame
      }
      await (await coordinator.follow(operation)).openEpoch()
    },
    alarm: 'GRANT_BAD',
    calls: { post },
    code: 'KEY_MISSING',
  },
  {
    forged: 'a list of recipients with a device of the service’s',
    guard: 'Epochs.#make: recipients from the own view',
    alter: (at) => recipientsWanted(at, { missing: [at.forged.id], surplus: [] }),
    calls: { post },
    code: 'EPOCH_RECIPIENTS',
  },
  {
    forged: 'a list of recipients in which a device of the service’s stands for a member’s',
    guard: 'Epochs.#make: recipients from the own view',
    alter: (at) => recipientsWanted(at, { missing: [at.forged.id], surplus: [at.thailand.device] }),
    calls: { post },
    code: 'EPOCH_RECIPIENTS',
  },
  {
    forged: 'an admission that the forged device signed',
    guard: 'verifyMember: requireSigner',
    alter: async (at) => {
      const { person, organization } = at.administrator
      const admit = { act: 'admit', person, organization, role: 'coordinator' }
      await showAct(at, at.forged, await digestOf('x'), admit, 'member.admitted', person)
    },
    alarm: 'ENTRY_REFUSED SIGNER',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'an admission that a member signed who had no right to',
    guard: 'verifyMember: judgeMemberAct',
    alter: async (at) => {
      const { device, certificate } = at.thailand.self
      const { person, organization } = at.administrator
      const admit = { act: 'admit', person, organization, role: 'coordinator' }
      await showAct(at, device, certificate?.hash ?? '', admit, 'member.admitted', person)
    },
    alarm: 'ENTRY_REFUSED UNENTITLED',
    calls: sealing,
    code: 'accepted',
  },
  {
    forged: 'an old admission, played again after the removal',
    guard: 'Ledger.#requireWhole: each statement follows the newest',
    alter: async (at) => {
      const { coordinator, operation, thailand, shown } = at
      const subject = thailand.person
      const old = shown.find((frame) => kindOf(frame) === 'member.admitted' && String(frame['leaf']).includes(subject))
      await coordinator.operations.remove(operation, subject)
      await showEntry(at, { kind: 'member.admitted', subject }, { statement: old?.['statement'] as string })
    },
    alarm: 'MEMBERS_HIDDEN MEMBERS_HIDDEN',
    calls: everything,
    code: 'MEMBERS_HIDDEN',
  },
  {
    forged: 'one’s own certificate with another sealing key',
    guard: 'Cordon.me: the own keys',
    alter: async (at) => {
      const keys = { sign: at.kenya.self.device.keys.sign, seal: at.forged.keys.seal }
      const certificate = await certificateOf(at.administrator.self.device, keys, at.kenya)
      answering(at, '/v1/me', (me) => ({ ...me, certificate }))
    },
    calls: signingIn,
    code: 'CERTIFICATE_REFUSED',
  },
  {
    forged: 'one’s own certificate under a root of the service’s own',
    guard: 'Cordon.me: up to the pinned root',
    alter: async (at) => {
      const root = await newDevice()
      const certificate = await certificateOf(root, at.kenya.self.device.keys, at.kenya)
      const chain = [await certificateOf(root, root.keys, at.administrator, 'administrator')]
      answering(at, '/v1/me', (me) => ({ ...me, certificate, chain }))
    },
    calls: signingIn,
    code: 'CERTIFICATE_REFUSED',
  },
  {
    forged: 'another root than was pinned',
    guard: 'requirePinned',
    alter: (at) => answering(at, '/v1/server', (facts) => ({ ...facts, root: at.forged.id })),
    calls: { signIn: signingIn.signIn },
    code: 'PIN_CHANGED',
  },
  {
    forged: 'a further device of one’s own, by an administrator who helps the service',
    guard: 'Directory.#ownCertified: the directory log has it',
    alter: async (at) => {
      const certificate = await certificateOf(at.administrator.self.device, at.forged.keys, at.kenya)
      const more = { device: at.forged.id, state: 'certified', enrolledAt: new Date().toISOString(), certificate }
      answering(at, '/v1/devices', ({ devices }) => ({ devices: [...(devices as object[]), more] }))
    },
    calls: {
      invite: ({ kenya }) =>
        kenya.directory.invite({ person: { name: 'Somebody' }, organization: kenya.organization, tier: 'person' }),
    },
    code: 'DEVICE_HIDDEN',
  },
  {
    forged: 'a newcomer under a certifying key that the service sealed itself',
    guard: 'readIntention: a signed statement',
    alter: (at) => showEnrolment(at, (intended) => JSON.stringify(intended)),
    calls: certifying,
    code: 'STATEMENT_FORM',
  },
  {
    forged: 'the same, signed by the forged device',
    guard: 'Directory.#requireOwn',
    alter: (at) => showEnrolment(at, (intended) => signIntention(at.forged, intended)),
    calls: certifying,
    code: 'INVITATION_SIGNER',
  },
  {
    forged: 'the same, in the name of the inviter’s device',
    guard: 'Directory.#issue: verifySignature',
    alter: (at) =>
      showEnrolment(at, (intended) => signIntention({ ...at.forged, id: at.kenya.self.device.id }, intended)),
    calls: certifying,
    code: 'SIGNATURE',
  },
  {
    forged: 'a newcomer’s device that the service exchanged',
    guard: 'checkEnrolment: the MAC',
    alter: (at) =>
      showEnrolment(at, (intended) => signIntention(at.kenya.self.device, intended), new Uint8Array(32).fill(2)),
    calls: certifying,
    code: 'ENROLMENT_MAC',
  },
  {
    forged: 'an import key that the service sealed itself',
    guard: 'readImportKey: a signed statement',
    alter: (at) => showImportKey(at, base64url(known), at.kenya),
    calls: importing,
    code: 'IMPORT_KEY_REFUSED',
  },
  {
    forged: 'the same, in the name of a device of the organization',
    guard: 'openKey: verifySignature',
    alter: async (at) => {
      const { operation, kenya } = at
      const signer = { ...at.forged, id: kenya.self.device.id }
      const { organization } = kenya
      await showImportKey(at, await signImportKey(signer, { operation, organization, key: known }), kenya)
    },
    calls: importing,
    code: 'IMPORT_KEY_REFUSED',
  },
  {
    forged: 'the same, signed by somebody of another organization who helps the service',
    guard: 'openKey: the organization of the certificate',
    alter: async (at) => {
      const { operation, kenya, thailand } = at
      const said = { operation, organization: kenya.organization, key: known }
      await showImportKey(at, await signImportKey(thailand.self.device, said), thailand)
    },
    calls: importing,
    code: 'IMPORT_KEY_REFUSED',
  },
  {
    forged: 'the import key of another operation',
    guard: 'openKey: the operation that the statement names',
    alter: async (at) => {
      const { kenya } = at
      const said = { operation: kenya.person, organization: kenya.organization, key: known }
      await showImportKey(at, await signImportKey(kenya.self.device, said), kenya)
    },
    calls: importing,
    code: 'IMPORT_KEY_REFUSED',
  },
]

t.test('the table has fifteen forgeries or more, each once', async (t) => {
  t.ok(forgeries.length >= 15)
  t.equal(new Set(forgeries.map(({ forged }) => forged)).size, forgeries.length)
})

for (const { forged, guard, alter, alarm, calls, code: expected } of forgeries) {
  t.test(`INV-90: ${forged} is refused (${guard})`, async (t) => {
    const at = await readBy(newOperation)
    const { altered, kenya, operation } = at
    await alter(at)
    if (alarm !== undefined) {
      const [name = '', reason] = alarm.split(' ')
      t.equal((await alarmOf(kenya, operation, name)).reason, reason)
    }
    altered.requests.length = 0
    const sent: Frame[] = []
    altered.sent = (frame) => {
      if (frame.type === 'post' || frame.type === 'grant') sent.push(frame)
      return true
    }
    for (const [name, call] of Object.entries(calls)) t.equal(await codeOf(call(at)), expected, name)
    const { left, granted } = whatLeft(altered)
    // What was set aside keeps nobody from going on without it.
    if (expected !== 'accepted') {
      t.same(sent, [], 'neither a message nor a key went over the socket')
      t.same(left, [], 'nothing was posted')
    }
    t.notOk(granted.includes(at.forged.id), 'no key was sealed to the forged device')
  })
}
