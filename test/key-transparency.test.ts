// What this holds: a device counts, as recipient and as sender, only once the directory log is
// proven to hold its certification.
// What makes it fail: leaving out the check before sealing, before granting, or before showing
// (src/client/transparency.ts).
import t from 'tap'
import { isProblem, type Cordon } from '../src/client/index.ts'
import { base64url, generateDeviceSecrets, issueCertificate, openDevice, type DeviceId } from '../src/protocol/index.ts'
import { Altered, type Answer } from './support/altered.ts'
import { opened, partyOf, takeIn } from './support/actors.ts'
import { until } from './support/command.ts'
import type { startServer } from './support/server.ts'
import { usualOperation } from './support/usual-operation.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

interface ProofsAnswer {
  checkpoint: string
  consistency?: string[]
  proofs: { certificate: string; leaf: string; proof: string[] }[]
}

async function scene(owner: Parameters<typeof startServer>[0]) {
  const altered = new Altered()
  const { server, administrator, coordinator, operation } = await usualOperation(owner)
  const kenya = await partyOf(owner, administrator, {
    kind: 'administration',
    name: 'Kenya',
    country: 'KE',
    platform: altered.platform,
  })
  const thailand = await partyOf(owner, administrator, { kind: 'administration', name: 'Thailand', country: 'TH' })
  await takeIn(coordinator, operation, kenya, 'ncp')
  await takeIn(coordinator, operation, thailand, 'ncp')
  return { server, altered, administrator, coordinator, operation, kenya: kenya.client, thailand: thailand.client }
}

/** Alters what the service proves of certificates. */
function proving(altered: Altered, change: (answer: ProofsAnswer) => void): void {
  altered.answer = ({ path }, answer): Answer => {
    if (!path.endsWith('/certificates/proofs') || answer.status !== 200) return answer
    const json = structuredClone(answer.json) as unknown as ProofsAnswer
    change(json)
    return { status: 200, json: json as unknown as Answer['json'] }
  }
}

const certificateHash = (client: Cordon) => client.self.certificate?.hash

t.test('INV-35: nothing is sealed for a device that the directory log does not have', async (t) => {
  const { altered, operation, kenya, thailand } = await scene(t)
  const hidden = certificateHash(thailand)
  proving(altered, (answer) => (answer.proofs = answer.proofs.filter(({ certificate }) => certificate !== hidden)))
  const session = await kenya.follow(operation)
  await session.ready()
  t.equal(await code(session.post(text('For devices that everybody can see.'))), 'DEVICE_HIDDEN')
  t.notOk(
    altered.requests.some(({ method, path }) => method === 'POST' && /\/(epochs|messages|grants)$/.test(path)),
    'no key was made',
  )
  altered.reset()
  t.equal(await code(session.post(text('Now it is there.'))), 'accepted')
})

t.test('INV-35: a key that somebody else opened is not used for such a device either', async (t) => {
  const { altered, operation, kenya, thailand, coordinator } = await scene(t)
  const leading = await coordinator.follow(operation)
  await leading.post(text('The coordinator opens the key for all.'))
  const hidden = certificateHash(thailand)
  proving(altered, (answer) => (answer.proofs = answer.proofs.filter(({ certificate }) => certificate !== hidden)))
  const session = await kenya.follow(operation)
  await session.ready()
  t.equal(await code(session.post(text('Under that key.'))), 'DEVICE_HIDDEN')
})

t.test('INV-35: what such a device sends is not shown', async (t) => {
  const { altered, operation, kenya, thailand } = await scene(t)
  const hidden = certificateHash(thailand)
  proving(altered, (answer) => (answer.proofs = answer.proofs.filter(({ certificate }) => certificate !== hidden)))
  const session = await kenya.follow(operation)
  await session.ready()
  const alarm = session.events.once('alarm', ({ code: what }) => what === 'MESSAGE_REFUSED')
  const sender = await thailand.follow(operation)
  const { message } = await sender.post(text('From a device that nobody else can see.'))
  t.match(await alarm, { code: 'MESSAGE_REFUSED', reason: 'DEVICE_HIDDEN', message })
  t.equal(session.message(message), undefined)
})

t.test('INV-35: no key of the past is granted to such a device, and it keeps nobody else waiting', async (t) => {
  const { altered, operation, kenya, thailand, coordinator } = await scene(t)
  const leading = await coordinator.follow(operation)
  const { message } = await leading.post(text('The coordinator opens the key for all.'))
  const hidden = certificateHash(thailand)
  proving(altered, (answer) => (answer.proofs = answer.proofs.filter(({ certificate }) => certificate !== hidden)))
  const proofs = altered.answer
  const requests = [thailand, coordinator].map(({ device }) => ({ compartment: operation, device, epochs: [1] }))
  altered.answer = (request, answer) =>
    request.path.endsWith('/grant-requests') ? { status: 200, json: { requests } } : proofs(request, answer)
  // From its first moment on: what is asked for is given by itself too.
  altered.requests.length = 0
  const session = await kenya.follow(operation)
  await opened(kenya, operation, message)
  await session.giveGrants()
  const granted = () =>
    altered.requests
      .filter(({ method, path }) => method === 'POST' && path.endsWith('/grants'))
      .flatMap(({ body }) => (body as { grants: { device: string }[] }).grants.map(({ device }) => device))
  // What is being given by itself at this moment is left to that.
  await until('both were looked at', () => session.alarms.length > 0 && granted().length > 0)
  t.strictSame(granted(), [coordinator.device])
  t.ok(session.alarms.some(({ code: what }) => what === 'DEVICE_HIDDEN'))
})

t.test('proofs that do not hold stop the client', async (t) => {
  const { altered, operation, kenya, thailand, administrator, coordinator } = await scene(t)
  const session = await kenya.follow(operation)
  await session.ready()
  const changes: Record<string, (answer: ProofsAnswer) => void> = {
    'a hash of the proof': ({ proofs }) => {
      for (const one of proofs) one.proof[0] = base64url(new Uint8Array(32))
    },
    'a proof that is too short': ({ proofs }) => {
      for (const one of proofs) one.proof.pop()
    },
    'the leaf of another device': ({ proofs }) => {
      const leaves = proofs.map(({ leaf }) => leaf)
      for (const [i, one] of proofs.entries()) one.leaf = leaves[(i + 1) % leaves.length] ?? ''
    },
    'another kind of entry': ({ proofs }) => {
      for (const one of proofs) one.leaf = one.leaf.replace('device.certified', 'device.enrolled')
    },
    'a checkpoint of another size': (answer) =>
      (answer.checkpoint = answer.checkpoint.replace(/\n(\d+)\n/, (_, n: string) => `\n${String(Number(n) + 1)}\n`)),
    'a checkpoint without ML-DSA-44': (answer) =>
      (answer.checkpoint = answer.checkpoint.split('\n').slice(0, 5).join('\n') + '\n'),
  }
  for (const [what, change] of Object.entries(changes)) {
    proving(altered, change)
    t.equal(await code(session.post(text(what))), 'DIRECTORY_ALTERED', what)
  }
  altered.reset()
  const { message } = await session.post(text('The true answer.'))
  await opened(thailand, operation, message)
  // From now on the directory must have grown from what was seen.
  const peru = await partyOf(t, administrator, { kind: 'administration', name: 'Peru', country: 'PE' })
  await takeIn(coordinator, operation, peru, 'ncp')
  for (let i = 0; i < 200 && !session.view.devices.has(peru.client.device as DeviceId); i++)
    await new Promise((resolve) => setTimeout(resolve, 50))
  proving(altered, (answer) => delete answer.consistency)
  t.equal(await code(session.post(text('Without the proof that it has grown.'))), 'DIRECTORY_ALTERED')
  altered.reset()
  t.equal(await code(session.post(text('With it.'))), 'accepted')
})

t.test(
  'one’s own devices are shown with their proof; a rogue one that is certified and hidden is not proven',
  async (t) => {
    const { altered, kenya } = await scene(t)
    t.match(await kenya.devices(), [{ device: kenya.device, state: 'certified', proven: true, current: true }])
    const rogue = await openDevice(await generateDeviceSecrets())
    const { person, organization } = kenya
    const jws = await issueCertificate(kenya.self.device, {
      keys: rogue.keys,
      person: person,
      organization: organization,
      tier: 'ncp',
      issuedAt: new Date().toISOString(),
      expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
    })
    altered.answer = ({ path }, answer) => {
      if (path !== '/v1/devices') return answer
      const { devices } = answer.json as unknown as { devices: object[] }
      const more = { device: rogue.id, state: 'certified', enrolledAt: new Date().toISOString(), certificate: jws }
      return { status: 200, json: { devices: [...devices, more] } }
    }
    t.match(await kenya.devices(), [{ proven: true }, { device: rogue.id, proven: false }])
  },
)
