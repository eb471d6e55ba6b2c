import { createHash, createHmac, createPrivateKey, createPublicKey, sign as signBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as HPKE from 'hpke'
import { SignJWT, importJWK } from 'jose'
import { makeCosignatures, type KeptCosignatures } from './cosignature-vectors.ts'
import { importMessageId } from '../../src/client/import/index.ts'
import { encodeExtract, extractOf, type Extract } from '../../src/forms/index.ts'
import {
  base64url,
  commitmentOf,
  deriveInvitationKeys,
  describeBody,
  digestOf,
  digestOfExtract,
  emptyEdge,
  formatInvitation,
  formatNoteKey,
  grow,
  issueCertificate,
  leafHash,
  openDevice,
  privateDigest,
  proveConsistency,
  proveInclusion,
  recognitionOf,
  sealBody,
  sealGrant,
  sealTo,
  importSealPublicKey,
  serializeLeaf,
  signCheckpoint,
  type NoteKey,
  signEnrolment,
  signEpochStatement,
  signIntention,
  signMemberStatement,
  signMessageStatement,
  signRevocation,
  signRootStatement,
  signSignIn,
  utf8,
  type Device,
  type DeviceSecrets,
  type HashReader,
  type Leaf,
} from '../../src/protocol/index.ts'

/** Where the vectors lie. */
export const vectorDirectory = join(import.meta.dirname, '../../docs/vectors')

/** The files by name, each a JSON object. */
export type Vectors = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const names = [
  'keys',
  'certificates',
  'enrolment',
  'session',
  'members',
  'epoch',
  'grant',
  'message',
  'log',
  'cosignatures',
  'import',
] as const

/** What was sealed with fresh randomness and is therefore kept as it was made. */
interface Kept {
  readonly grant: string
  readonly invitation: string
  readonly body: string
  readonly cosignatures?: KeptCosignatures
}

export async function readVectors(): Promise<Record<(typeof names)[number], Record<string, never>>> {
  const read = names.map(async (name) => [
    name,
    JSON.parse(await readFile(join(vectorDirectory, `${name}.json`), 'utf8')),
  ])
  return Object.fromEntries(await Promise.all(read)) as Record<(typeof names)[number], Record<string, never>>
}

// Everything that a device would draw at random is here the hash of what it is for.
const secret = (what: string) => new Uint8Array(createHash('sha256').update(`cordon test vector: ${what}`).digest())
const id = (n: number) => `01900000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
const suite = new HPKE.CipherSuite(HPKE.KEM_MLKEM768_X25519, HPKE.KDF_SHAKE256, HPKE.AEAD_AES_256_GCM)

function signPair(what: string): DeviceSecrets['sign'] {
  const seed = secret(`${what} sign`)
  // PKCS #8 of an Ed25519 key is this prefix and the seed (RFC 8410).
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const { x } = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' })
  return { kty: 'OKP', crv: 'Ed25519', x: x ?? '', d: base64url(seed) }
}

async function deviceSecrets(what: string): Promise<DeviceSecrets> {
  const pair = await suite.DeriveKeyPair(secret(`${what} seal`), true)
  return {
    sign: signPair(what),
    seal: {
      kty: 'AKP',
      alg: 'HPKE-10',
      pub: base64url(await suite.SerializePublicKey(pair.publicKey)),
      priv: base64url(await suite.SerializePrivateKey(pair.privateKey)),
    },
  }
}

const organization = { secretariat: id(1), kenya: id(2) }
const person = { administrator: id(11), coordinator: id(12), officer: id(13) }
const operation = id(21)
const at = (minute: number) => `2026-09-01T08:${String(minute).padStart(2, '0')}:00.000Z`
const expiresAt = '2028-09-01T08:00:00.000Z'

const hasher = {
  empty: createHash('sha256').digest(),
  leaf: (leaf: Uint8Array) => createHash('sha256').update(Uint8Array.of(0)).update(leaf).digest(),
  node: (left: Uint8Array, right: Uint8Array) =>
    createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest(),
}

/**
 * Computes all vectors; with `kept`, everything but what was sealed at random comes out the same
 * each time.
 */
export async function makeVectors(kept?: Kept): Promise<Vectors> {
  const secrets = {
    root: await deviceSecrets('root'),
    administrator: await deviceSecrets('administrator'),
    coordinator: await deviceSecrets('coordinator'),
    officer: await deviceSecrets('officer'),
  }
  const device = {
    root: await openDevice(secrets.root),
    administrator: await openDevice(secrets.administrator),
    coordinator: await openDevice(secrets.coordinator),
    officer: await openDevice(secrets.officer),
  }
  const keys = Object.fromEntries(
    Object.entries(secrets).map(([name, of]) => [name, { id: device[name as keyof typeof device].id, ...of }]),
  )

  const certified = async (
    issuer: Device,
    of: Device,
    who: string,
    organizationId: string,
    tier: 'administrator' | 'ncp' | 'person',
  ) => {
    const payload = { keys: of.keys, person: who, organization: organizationId, tier, issuedAt: at(0), expiresAt }
    const jws = await issueCertificate(issuer, payload)
    return {
      device: of.id,
      issuer: issuer.id,
      person: who,
      organization: organizationId,
      tier,
      jws,
      hash: await digestOf(jws),
    }
  }
  const certificate = {
    root: await certified(device.root, device.root, person.administrator, organization.secretariat, 'administrator'),
    administrator: await certified(
      device.root,
      device.administrator,
      person.administrator,
      organization.secretariat,
      'administrator',
    ),
    coordinator: await certified(
      device.administrator,
      device.coordinator,
      person.coordinator,
      organization.secretariat,
      'ncp',
    ),
    officer: await certified(device.coordinator, device.officer, person.officer, organization.secretariat, 'person'),
  }
  const successor = signPair('successor')
  const rootStatement = await signRootStatement(device.root, { kty: 'OKP', crv: 'Ed25519', x: successor.x }, at(0))
  const revocation = await signRevocation(device.coordinator, device.officer.id, at(50), at(40))

  const enrolment = await makeEnrolment(device.root, device.officer, device.coordinator, kept)
  const session = await makeSession(device.officer)

  const created = await signMemberStatement(device.administrator, certificate.administrator.hash, {
    v: 2,
    operation,
    previous: null,
    at: at(1),
    act: 'create-operation',
    history: 'full',
    allHolds: [],
    coordinators: [{ person: person.coordinator, organization: organization.secretariat }],
  })
  const admitted = await signMemberStatement(device.coordinator, certificate.coordinator.hash, {
    v: 2,
    operation,
    previous: await digestOf(created),
    at: at(2),
    act: 'admit',
    person: person.officer,
    organization: organization.secretariat,
    role: 'observer',
  })
  const heads = { operation: await digestOf(admitted) }

  const epochKey = secret('epoch key')
  const recipients = [device.coordinator.id].sort()
  const epoch = await signEpochStatement(device.coordinator, certificate.coordinator.hash, {
    v: 1,
    operation,
    compartment: operation,
    epoch: 1,
    commitment: await commitmentOf(epochKey),
    recipients,
    members: heads,
    reason: 'first',
    openedAt: at(3),
  })
  const grant =
    kept?.grant ??
    (await sealGrant({ device: device.coordinator.id, seal: device.coordinator.keys.seal }, operation, 1, epochKey))

  const log = await makeLog(device.coordinator, created)
  const message = await makeMessage(device.coordinator, certificate.coordinator.hash, { epochKey, heads, log, kept })

  const importKey = secret('import key')
  const row = [operation, 'eia-pangolins', 'KE-2014-0001'] as const
  return {
    keys,
    certificates: { ...certificate, rootStatement, successor: { x: successor.x }, revocation },
    enrolment,
    session,
    members: {
      operation,
      statements: [
        { jws: created, hash: await digestOf(created) },
        { jws: admitted, hash: await digestOf(admitted) },
      ],
      heads,
    },
    epoch: {
      key: base64url(epochKey),
      commitment: await commitmentOf(epochKey),
      statement: epoch,
      hash: await digestOf(epoch),
      signer: 'coordinator',
    },
    grant: {
      recipient: device.coordinator.id,
      privateKey: secrets.coordinator.seal.priv,
      compartment: operation,
      epoch: 1,
      grant,
      plaintext: JSON.stringify({ kty: 'oct', k: base64url(epochKey), kid: `${operation}#1` }),
    },
    message,
    log: log.vector,
    cosignatures: await makeCosignatures(log.tree, secret, kept?.cosignatures),
    import: {
      key: base64url(importKey),
      operation: row[0],
      mapping: row[1],
      row: row[2],
      id: await importMessageId(importKey, ...row),
      revision: base64url(secret('changed row')),
      correction: await importMessageId(importKey, ...row, base64url(secret('changed row'))),
    },
  }
}

async function makeEnrolment(root: Device, newcomer: Device, inviter: Device, kept: Kept | undefined) {
  const invitationSecret = secret('invitation').slice(0, 16)
  const { authenticate, certify } = await deriveInvitationKeys(invitationSecret)
  const intended = {
    invitation: id(31),
    person: person.officer,
    organization: organization.secretariat,
    tier: 'person' as const,
  }
  const copyable = formatInvitation({
    server: 'https://cordon.example',
    root: root.id,
    secret: invitationSecret,
    ...intended,
  } as Parameters<typeof formatInvitation>[0])
  const plaintext = await signIntention(inviter, { certify: base64url(certify), ...intended })
  const sealed =
    kept?.invitation ??
    (await sealTo(
      'cordon-invitation+jwe',
      { kid: inviter.id, inv: intended.invitation },
      await importSealPublicKey(inviter.keys.seal.pub),
      utf8(plaintext),
    ))
  return {
    secret: base64url(invitationSecret),
    ...intended,
    copyable,
    authenticate: base64url(authenticate),
    certify: base64url(certify),
    recognition: await recognitionOf(authenticate),
    ...(await signEnrolment(newcomer, certify, intended)),
    sealed: { device: inviter.id, plaintext, jwe: sealed },
  }
}

async function makeSession(signedIn: Device) {
  const { d, ...jwk } = signPair('session')
  const key = await importJWK({ ...jwk, d }, 'Ed25519')
  const thumbprint = base64url(
    createHash('sha256')
      .update(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x }))
      .digest(),
  )
  const accessToken = 'an-opaque-token-as-the-service-gave-it'
  const ath = base64url(createHash('sha256').update(accessToken).digest())
  const claims = { htm: 'GET', htu: 'https://cordon.example/v1/me', jti: id(41), ath }
  const proof = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk })
    .setIssuedAt(1788249600)
    .sign(key)
  return {
    key: { ...jwk, d },
    thumbprint,
    signIn: await signSignIn(signedIn, person.officer, thumbprint, at(5)),
    accessToken,
    proof: { claims: { ...claims, iat: 1788249600 }, jwt: proof },
  }
}

async function makeLog(actor: Device, created: string) {
  const raw = { person: person.administrator, organization: organization.secretariat, device: actor.id }
  const salt = secret('private salt')
  const details = JSON.stringify({ name: 'Operation Example', reference: 'EX-1', timeZone: 'Europe/Brussels' })
  const first: Leaf = {
    v: 1,
    log: operation,
    index: 0,
    at: at(1),
    kind: 'operation.created',
    actor: raw,
    subject: operation,
    digest: await digestOf(created),
    private: await privateDigest(salt, details),
  }
  const others = Array.from({ length: 6 }, (_, n): Leaf => {
    const index = n + 1
    return { v: 1, log: operation, index, at: at(2 + n), kind: 'feed.opened', actor: raw, subject: person.coordinator }
  })
  const leaves = [first, ...others].map(serializeLeaf)
  const hashes = await Promise.all(leaves.map((leaf) => leafHash(leaf)))
  const { edge } = grow(hasher, emptyEdge, hashes)
  const read: HashReader = (runs) => Promise.resolve(runs.map(({ first, count }) => hashes.slice(first, first + count)))
  const roots = hashes.map((_, n) => grow(hasher, emptyEdge, hashes.slice(0, n + 1)).root)
  const root = roots.at(-1) ?? new Uint8Array()
  const seed = secret('log key')
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' })
  const name = `cordon.example/logs/${operation}`
  const noteKey: NoteKey = {
    name,
    algorithm: 'Ed25519',
    publicKey: new Uint8Array(Buffer.from(x ?? '', 'base64url')),
  }
  const signer = { ...noteKey, sign: (bytes: Uint8Array) => new Uint8Array(signBytes(null, bytes, privateKey)) }
  const proofs = async (made: Promise<Uint8Array[]>) => (await made).map(base64url)
  const proof = await proveInclusion(hasher, read, edge.size - 1, edge.size)
  return {
    size: edge.size,
    root: base64url(root),
    tree: { origin: name, size: edge.size, root, last: { leaf: leaves.at(-1) ?? '', proof } },
    vector: {
      privateKey: base64url(seed),
      verifierKey: await formatNoteKey(noteKey),
      private: { salt: base64url(salt), details, digest: first.private },
      leaves: leaves.map((leaf, n) => ({ leaf, hash: base64url(hashes[n] ?? new Uint8Array()) })),
      roots: roots.map(base64url),
      inclusion: [
        { index: 3, size: 7, proof: await proofs(proveInclusion(hasher, read, 3, 7)) },
        { index: 6, size: 7, proof: await proofs(proveInclusion(hasher, read, 6, 7)) },
      ],
      consistency: [
        { from: 3, to: 7, proof: await proofs(proveConsistency(hasher, read, 3, 7)) },
        { from: 4, to: 7, proof: await proofs(proveConsistency(hasher, read, 4, 7)) },
      ],
      checkpoint: await signCheckpoint({ origin: name, size: edge.size, root }, signer),
    },
  }
}

async function makeMessage(
  sender: Device,
  crt: string,
  given: {
    epochKey: Uint8Array<ArrayBuffer>
    heads: { operation: string }
    log: { size: number; root: string }
    kept: Kept | undefined
  },
) {
  const messageId = id(51)
  const fields = {
    country: 'KE',
    date: '2026-08-31',
    items: [{ category: 'wildlife/pangolin/scales', quantity: '12.5', unit: 'KGM' }],
    narrative: 'Found behind the spare wheel.',
  }
  const extract = encodeExtract(extractOf('seizure', 1, fields) as Extract)
  const salt = base64url(secret('extract salt'))
  const content = { form: 'seizure', fields, subject: 'Scales at the border', attachments: [] }
  const header = { compartment: operation, epoch: 1, message: messageId, device: sender.id }
  const body = given.kept?.body ?? (await sealBody(header, content, given.epochKey))
  const payload = {
    v: 1 as const,
    id: messageId,
    operation,
    compartment: operation,
    thread: id(52),
    epoch: 1,
    form: { id: 'seizure', version: 1 },
    precedence: 'routine' as const,
    handling: { tlp: 'AMBER' as const },
    sentAt: at(10),
    seen: { size: given.log.size, root: given.log.root },
    extract: { sha256: await digestOfExtract(salt, extract) },
    body: await describeBody(body),
    attachments: [],
    members: given.heads,
  }
  const statement = await signMessageStatement(sender, crt, payload)
  return {
    signer: 'coordinator',
    key: base64url(given.epochKey),
    content,
    body,
    extract,
    salt,
    payload,
    statement,
    hash: await digestOf(statement),
  }
}

/** The HMAC of an enrolment, computed apart from the protocol's code. */
export function macOf(certify: string, statement: string): string {
  return createHmac('sha256', Buffer.from(certify, 'base64url')).update(statement).digest('base64url')
}

// `node test/support/vectors.ts` writes the files; what was sealed at random before stays.
if (import.meta.main) {
  const old = await readVectors().catch(() => undefined)
  const vectors = await makeVectors(old && keptOf(old))
  for (const [name, vector] of Object.entries(vectors)) {
    await writeFile(join(vectorDirectory, `${name}.json`), `${JSON.stringify(vector, null, 2)}\n`)
  }
}

export function keptOf(vectors: Awaited<ReturnType<typeof readVectors>>): Kept {
  const { grant } = vectors.grant as unknown as { grant: string }
  const { body } = vectors.message as unknown as { body: string }
  const { sealed } = vectors.enrolment as unknown as { sealed: { jwe: string } }
  const { lines } = vectors.cosignatures as unknown as { lines?: Record<'log' | 'witness', { mlDsa44: string }> }
  const cosignatures = lines && { log: lines.log.mlDsa44, witness: lines.witness.mlDsa44 }
  return { grant, body, invitation: sealed.jwe, ...(cosignatures === undefined ? {} : { cosignatures }) }
}
