import { spawnSync } from 'node:child_process'
import { createHash, createHmac, createPublicKey, hkdfSync, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { calculateJwkThumbprint, compactDecrypt, compactVerify, decodeProtectedHeader, importJWK, type JWK } from 'jose'
import t from 'tap'
import {
  checkBody,
  checkEnrolment,
  fromBase64url,
  leafHash,
  openBody,
  openCheckpoint,
  openNote,
  parseTlogProof,
  openDevice,
  openGrant,
  openSealed,
  parseInvitation,
  parseNoteKey,
  readCertificate,
  readEpochStatement,
  readMemberStatement,
  readIntention,
  readMessageStatement,
  verifyChain,
  verifyConsistency,
  verifyInclusion,
  verifyRootStatement,
  verifySignature,
  importVerifyKey,
  type CompartmentId,
  type Device,
  type DeviceSecrets,
} from '../src/protocol/index.ts'
import { keptOf, macOf, makeVectors, readVectors, vectorDirectory } from './support/vectors.ts'

interface Certified {
  jws: string
  hash: string
  device: string
  issuer: string
}
interface Shapes {
  keys: Record<'root' | 'administrator' | 'coordinator' | 'officer', DeviceSecrets & { id: string }>
  certificates: Record<'root' | 'administrator' | 'coordinator' | 'officer', Certified> & { rootStatement: string }
  enrolment: {
    secret: string
    invitation: string
    person: string
    organization: string
    tier: string
    copyable: string
    authenticate: string
    certify: string
    recognition: string
    statement: string
    mac: string
    sealed: { plaintext: string; jwe: string }
  }
  session: {
    key: JWK
    thumbprint: string
    accessToken: string
    proof: { claims: Record<string, unknown>; jwt: string }
  }
  members: { statements: { jws: string; hash: string }[]; heads: { operation: string } }
  epoch: { key: string; commitment: string; statement: string; hash: string }
  grant: { grant: string; plaintext: string; compartment: string; epoch: number }
  message: {
    key: string
    content: { subject: string }
    body: string
    extract: string
    salt: string
    payload: Record<string, unknown>
    statement: string
    hash: string
  }
  cosignatures: {
    verifierKeys: { log: string[]; witness: string[] }
    timestamp: number
    final: string
    tlogProof: string
  }
  log: {
    verifierKey: string
    private: { salt: string; details: string; digest: string }
    leaves: { leaf: string; hash: string }[]
    roots: string[]
    inclusion: { index: number; size: number; proof: string[] }[]
    consistency: { from: number; to: number; proof: string[] }[]
    checkpoint: string
  }
}

const vectors = (await readVectors()) as unknown as Shapes
const { keys, certificates } = vectors
const digest = (...parts: (string | Buffer)[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('base64url')
}
const publicJwk = ({ kty, crv, x }: DeviceSecrets['sign']): JWK => ({ kty, crv, x })
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

/** Verifies a compact JWS with jose alone: key, algorithm and type are fixed by the caller. */
async function verifyWithJose(jws: string, typ: string, by: DeviceSecrets['sign']): Promise<Record<string, unknown>> {
  const key = await importJWK(publicJwk(by), 'Ed25519')
  const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: ['Ed25519'] })
  if (protectedHeader.typ !== typ) throw new Error('typ')
  return JSON.parse(text(payload)) as Record<string, unknown>
}

/** The same statement with one character of its payload changed. */
function tampered(jws: string): string {
  const [head = '', payload = '', signature = ''] = jws.split('.')
  const at = Math.floor(payload.length / 2)
  const other = payload[at] === 'A' ? 'B' : 'A'
  return `${head}.${payload.slice(0, at)}${other}${payload.slice(at + 1)}.${signature}`
}

t.test('the vectors are what the code makes today', async (t) => {
  const read = await readVectors()
  const made = await makeVectors(keptOf(read))
  for (const [name, vector] of Object.entries(made)) {
    t.same(read[name as keyof typeof read], JSON.parse(JSON.stringify(vector)), name)
  }
})

t.test('INV-19: a stock JOSE library verifies a certificate', async (t) => {
  const payload = await verifyWithJose(certificates.coordinator.jws, 'cordon-device+jws', keys.administrator.sign)
  t.match(payload, { v: 1, tier: 'ncp', device: { sign: publicJwk(keys.coordinator.sign) } })
  t.equal(await calculateJwkThumbprint(publicJwk(keys.coordinator.sign), 'sha256'), keys.coordinator.id)
  t.equal(decodeProtectedHeader(certificates.coordinator.jws).kid, keys.administrator.id)
  t.equal(digest(certificates.coordinator.jws), certificates.coordinator.hash)
  await t.rejects(verifyWithJose(certificates.coordinator.jws, 'cordon-device+jws', keys.officer.sign), 'another key')
  await t.rejects(verifyWithJose(tampered(certificates.coordinator.jws), 'cordon-device+jws', keys.administrator.sign))
})

t.test('a stock JOSE library verifies an epoch', async (t) => {
  const { statement, hash, key, commitment } = vectors.epoch
  const payload = await verifyWithJose(statement, 'cordon-epoch+jws', keys.coordinator.sign)
  t.match(payload, { epoch: 1, commitment, recipients: [keys.coordinator.id], members: vectors.members.heads })
  t.equal(digest('cordon epoch key', Buffer.from(key, 'base64url')), commitment)
  t.equal(digest(statement), hash)
  await t.rejects(verifyWithJose(tampered(statement), 'cordon-epoch+jws', keys.coordinator.sign))
  await t.rejects(verifyWithJose(statement, 'cordon-member+jws', keys.coordinator.sign), 'as another type')
})

t.test('a stock JOSE library verifies a message statement and opens its body', async (t) => {
  const { statement, hash, body, key, salt, extract, content, payload } = vectors.message
  t.same(await verifyWithJose(statement, 'cordon-message+jws', keys.coordinator.sign), payload)
  t.equal(digest(statement), hash)
  t.same(payload['body'], { sha256: digest(body), size: body.length })
  t.same(payload['extract'], { sha256: digest(Buffer.from(salt, 'base64url'), extract) })
  const secret = Buffer.from(key, 'base64url')
  const opened = await compactDecrypt(body, secret, {
    keyManagementAlgorithms: ['dir'],
    contentEncryptionAlgorithms: ['A256GCM'],
  })
  const { pad, ...inside } = JSON.parse(text(opened.plaintext)) as Record<string, unknown>
  t.same(inside, content)
  t.match(pad, /^0*$/)
  t.equal(opened.plaintext.length, 1024)
  t.match(opened.protectedHeader, {
    mid: payload['id'],
    dev: keys.coordinator.id,
    kid: `${String(payload['compartment'])}#1`,
  })
  await t.rejects(compactDecrypt(body, createHash('sha256').update('another').digest()), 'with another key')
  const [, ...rest] = body.split('.')
  const header = Buffer.from(JSON.stringify({ ...opened.protectedHeader, mid: keys.officer.id })).toString('base64url')
  await t.rejects(compactDecrypt([header, ...rest].join('.'), secret), 'under another header')
})

const readers: readonly { name: string; ready: readonly string[]; open: readonly string[] }[] = [
  {
    name: 'Python’s cryptography',
    ready: [
      'python3',
      '-c',
      'from cryptography.hazmat.primitives.hpke import KDF, KEM; KEM.MLKEM768_X25519, KDF.SHAKE256',
    ],
    open: ['python3', join(vectorDirectory, 'open-grant.py')],
  },
  {
    name: 'Go’s crypto/hpke',
    ready: ['go', 'doc', 'crypto/hpke.MLKEM768X25519'],
    open: ['go', 'run', join(vectorDirectory, 'open-grant.go')],
  },
]
const atHand = readers.find(({ ready: [command = '', ...rest] }) => run(command, rest).status === 0)

t.test(
  'INV-19: a stock HPKE implementation opens a grant',
  { skip: atHand ? false : 'neither Python’s cryptography (48) nor Go (1.26) is at hand' },
  async (t) => {
    const [command = '', ...rest] = atHand?.open ?? []
    const { grant, plaintext } = vectors.grant
    const opened = run(command, rest, JSON.stringify(vectors.grant))
    t.equal(opened.stdout, plaintext, `${atHand?.name ?? ''} ${opened.stderr}`)
    const [head = '', ...others] = grant.split('.')
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as object
    const elsewhere = Buffer.from(JSON.stringify({ ...header, epo: 2 })).toString('base64url')
    const moved = run(command, rest, JSON.stringify({ ...vectors.grant, grant: [elsewhere, ...others].join('.') }))
    t.not(moved.status, 0, 'not as a grant of another epoch')
    t.equal(moved.stdout, '')
  },
)

const cosignatureChecker = ['python3', join(vectorDirectory, 'check-cosignatures.py')] as const
const mlDsaAtHand =
  run('python3', ['-c', 'from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey']).status === 0

t.test(
  'Python’s cryptography verifies every signature of a final checkpoint, written from C2SP alone',
  { skip: mlDsaAtHand ? false : 'Python’s cryptography (48, with ML-DSA) is not at hand' },
  (t) => {
    const { cosignatures: vector } = vectors
    const [command, ...rest] = cosignatureChecker
    const checked = run(command, rest, JSON.stringify(vector))
    t.equal(checked.stderr, '')
    t.match(
      checked.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ').slice(1).join(' ')),
      [
        'Ed25519',
        'ML-DSA-44 cosignature 0',
        `Ed25519 cosignature ${vector.timestamp}`,
        `ML-DSA-44 cosignature ${vector.timestamp}`,
      ],
    )
    for (const n of [0, 1, 2, 3]) {
      const lines = vector.final.split('\n')
      const at = lines.length - 5 + n
      lines[at] = (lines[at] ?? '').replace(
        /(.)(.{9})$/,
        (_, one: string, more: string) => (one === 'A' ? 'B' : 'A') + more,
      )
      t.not(run(command, rest, JSON.stringify({ ...vector, final: lines.join('\n') })).status, 0, `line ${n} changed`)
    }
    t.end()
  },
)

t.test('our own code opens the final checkpoint with each of its keys, and its proof', async (t) => {
  const { verifierKeys, final, tlogProof, timestamp } = vectors.cosignatures
  const log = await Promise.all(verifierKeys.log.map(parseNoteKey))
  const witness = await Promise.all(verifierKeys.witness.map(parseNoteKey))
  const { size, root } = await openCheckpoint(final, ...log)
  const { signatures, strangers } = await openNote(final, [...log, ...witness])
  t.same(
    signatures.map((signature) => signature.timestamp),
    [0, 0, timestamp, timestamp],
  )
  t.equal(strangers, 0)
  const { index, proof, checkpoint, extra } = parseTlogProof(tlogProof)
  t.equal(checkpoint, final)
  const leaf = Buffer.from(extra ?? []).toString('utf8')
  t.ok(await verifyInclusion(await leafHash(leaf), index, size, proof, root))
})

function run(command: string, args: readonly string[], input = '') {
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false' }
  return spawnSync(command, args, { input, encoding: 'utf8', timeout: 120_000, env })
}

t.test('derivations need nothing but SHA-256, HMAC and HKDF', async (t) => {
  const { secret, authenticate, certify, recognition, statement, mac } = vectors.enrolment
  const derive = (info: string) =>
    Buffer.from(hkdfSync('sha256', Buffer.from(secret, 'base64url'), Buffer.alloc(0), info, 32)).toString('base64url')
  t.equal(derive('cordon invitation: authenticate'), authenticate)
  t.equal(derive('cordon invitation: certify'), certify)
  t.equal(digest(Buffer.from(authenticate, 'base64url')), recognition)
  t.equal(macOf(certify, statement), mac)
  const row = vectors as unknown as { import: Record<'key' | 'operation' | 'mapping' | 'row' | 'id', string> }
  const { key, operation, mapping, row: rowKey, id } = row.import
  const made = createHmac('sha256', Buffer.from(key, 'base64url'))
    .update(JSON.stringify(['cordon import row', operation, mapping, rowKey]))
    .digest()
    .subarray(0, 16)
  made[6] = ((made[6] ?? 0) & 0x0f) | 0x80
  made[8] = ((made[8] ?? 0) & 0x3f) | 0x80
  t.equal(made.toString('hex'), id.replaceAll('-', ''))
})

t.test('a stock JOSE library verifies a proof of possession', async (t) => {
  const { key, thumbprint, accessToken, proof } = vectors.session
  const { d: _, ...publicKey } = key
  t.equal(await calculateJwkThumbprint(publicKey, 'sha256'), thumbprint)
  const { payload, protectedHeader } = await compactVerify(proof.jwt, await importJWK(publicKey, 'Ed25519'))
  t.same(JSON.parse(text(payload)), proof.claims)
  t.match(protectedHeader, { alg: 'Ed25519', typ: 'dpop+jwt', jwk: publicKey })
  t.equal(proof.claims['ath'], digest(accessToken))
})

t.test('leaves, proofs and checkpoint hold by RFC 9162 and the signed note, computed apart', async (t) => {
  const { leaves, roots, inclusion, checkpoint, verifierKey } = vectors.log
  const zero = Buffer.of(0)
  for (const { leaf, hash } of leaves) t.equal(digest(zero, leaf), hash)
  const size = leaves.length
  const root = treeRoot(leaves.map(({ hash }) => Buffer.from(hash, 'base64url')))
  t.equal(root.toString('base64url'), roots.at(-1))
  t.equal(
    digest(Buffer.from(vectors.log.private.salt, 'base64url'), vectors.log.private.details),
    vectors.log.private.digest,
  )
  // The last leaf of seven is a subtree of its own: its path is the pair before it, then the four
  // on the left.
  const last = inclusion.find(({ index }) => index === size - 1)
  const all = leaves.map(({ hash }) => Buffer.from(hash, 'base64url'))
  t.same(
    last?.proof,
    [treeRoot(all.slice(4, 6)), treeRoot(all.slice(0, 4))].map((node) => node.toString('base64url')),
  )
  const [name = '', id = '', ...key] = verifierKey.split('+')
  const typed = Buffer.from(key.join('+'), 'base64')
  t.equal(createHash('sha256').update(`${name}\n`).update(typed).digest('hex').slice(0, 8), id)
  const [signed = '', line = ''] = checkpoint.split('\n\n')
  t.equal(`${signed}\n`, `${name}\n${String(size)}\n${root.toString('base64')}\n`)
  const signature = Buffer.from(line.trim().split(' ')[2] ?? '', 'base64')
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: typed.subarray(1).toString('base64url') }
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
  t.equal(signature.subarray(0, 4).toString('hex'), id)
  t.ok(verify(null, Buffer.from(`${signed}\n`), publicKey, signature.subarray(4)))
  t.notOk(verify(null, Buffer.from(`${signed}\n\n`), publicKey, signature.subarray(4)))
})

function treeRoot(hashes: readonly Buffer[]): Buffer {
  const [only] = hashes
  if (hashes.length === 1 && only) return only
  let split = 1
  while (split * 2 < hashes.length) split *= 2
  const sides = [treeRoot(hashes.slice(0, split)), treeRoot(hashes.slice(split))]
  return createHash('sha256').update(Buffer.of(1)).update(Buffer.concat(sides)).digest()
}

const device = (name: keyof Shapes['keys']): Promise<Device> => {
  const { sign, seal } = keys[name]
  return openDevice({ sign, seal })
}

t.test('our own code accepts every vector, and none of them changed', async (t) => {
  const read = await Promise.all(
    [certificates.root, certificates.administrator, certificates.coordinator].map(({ jws }) => readCertificate(jws)),
  )
  const byDevice = new Map(read.map((certificate) => [certificate.device, certificate]))
  const officer = await readCertificate(certificates.officer.jws)
  const pin = { root: (await device('root')).id }
  await verifyChain(officer, pin, (id) => byDevice.get(id))
  await verifyRootStatement(certificates.rootStatement, pin)
  await t.rejects(
    verifyChain(officer, { root: officer.device }, (id) => byDevice.get(id)),
    { code: 'CERTIFICATE_CHAIN' },
  )
  await t.rejects(
    verifyChain(officer, pin, () => undefined),
    { code: 'CERTIFICATE_CHAIN' },
  )

  const coordinator = await device('coordinator')
  const key = await importVerifyKey(coordinator.keys.sign)
  const epochStatement = await readEpochStatement(vectors.epoch.statement)
  await verifySignature(epochStatement, key)
  await verifySignature(await readMessageStatement(vectors.message.statement), key)
  await t.rejects(readMemberStatement(vectors.epoch.statement), { code: 'STATEMENT_FORM' })
  const { payload } = epochStatement
  const { grant, compartment, epoch } = vectors.grant
  const opening = { compartment: compartment as CompartmentId, number: epoch, commitment: payload.commitment }
  const opened = await openGrant(grant, { device: coordinator.id, sealKey: coordinator.sealKey }, opening)
  await t.rejects(openGrant(grant, { device: coordinator.id, sealKey: (await device('officer')).sealKey }, opening), {
    code: 'SEALED_OPEN',
  })
  await t.rejects(
    openGrant(grant, { device: coordinator.id, sealKey: coordinator.sealKey }, { ...opening, number: 2 }),
    { code: 'SEALED_HEADER' },
  )

  const message = await readMessageStatement(vectors.message.statement)
  await checkBody(message, vectors.message.body)
  t.same(await openBody(vectors.message.body, opened), vectors.message.content)
  await t.rejects(checkBody(message, tampered(vectors.message.body)), { code: 'BODY_HASH' })
  for (const { jws, hash } of vectors.members.statements) t.equal((await readMemberStatement(jws)).hash, hash)

  const { copyable, certify, statement, mac, sealed, ...intended } = vectors.enrolment
  t.match(parseInvitation(copyable), { invitation: intended.invitation, person: intended.person, tier: 'person' })
  await checkEnrolment(fromBase64url(certify), { statement, mac }, intended)
  await t.rejects(checkEnrolment(fromBase64url(certify), { statement: tampered(statement), mac }, intended), {
    code: 'ENROLMENT_MAC',
  })
  await t.rejects(checkEnrolment(fromBase64url(certify), { statement, mac }, { ...intended, tier: 'ncp' }), {
    code: 'ENROLMENT',
  })
  const header = { kid: coordinator.id, inv: intended.invitation }
  t.equal(text(await openSealed('cordon-invitation+jwe', header, coordinator.sealKey, sealed.jwe)), sealed.plaintext)
  t.match(readIntention(sealed.plaintext), {
    inviter: coordinator.id,
    certify,
    person: intended.person,
    tier: 'person',
  })
  await t.resolves(verifySignature(readIntention(sealed.plaintext), await importVerifyKey(coordinator.keys.sign)))
})

t.test('our own code accepts the proofs of the log, and no other ones', async (t) => {
  const { leaves, roots, inclusion, consistency, checkpoint, verifierKey } = vectors.log
  const rootAt = (size: number) => fromBase64url(roots[size - 1] ?? '')
  for (const { index, size, proof } of inclusion) {
    const hash = await leafHash(leaves[index]?.leaf ?? '')
    t.ok(await verifyInclusion(hash, index, size, proof.map(fromBase64url), rootAt(size)))
    t.notOk(await verifyInclusion(hash, index - 1, size, proof.map(fromBase64url), rootAt(size)), 'at another index')
    t.notOk(await verifyInclusion(hash, index, size, proof.slice(1).map(fromBase64url), rootAt(size)), 'with less')
  }
  for (const { from, to, proof } of consistency) {
    t.ok(await verifyConsistency(from, to, rootAt(from), rootAt(to), proof.map(fromBase64url)))
    t.notOk(
      await verifyConsistency(from, to, rootAt(from - 1), rootAt(to), proof.map(fromBase64url)),
      'from another root',
    )
  }
  const key = await parseNoteKey(verifierKey)
  t.match(await openCheckpoint(checkpoint, key), { origin: key.name, size: leaves.length })
  await t.rejects(openCheckpoint(checkpoint.replace('\n7\n', '\n8\n'), key), { code: 'NOTE_SIGNATURE' })
})

t.test('nothing in the vectors is a secret that somebody uses', async (t) => {
  const all = Object.keys(vectors).map((name) => readFileSync(join(vectorDirectory, `${name}.json`), 'utf8'))
  t.notMatch(all.join(''), /PRIVATE KEY|https:\/\/(?!cordon\.example)/)
})
