import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { formatCheckpoint, parseCheckpoint } from '../src/protocol/checkpoint.ts'
import {
  formatNoteKey,
  openCheckpoint,
  openNote,
  parseNoteKey,
  signCheckpoint,
  signatureLines,
  signNote,
  type NoteSigner,
} from '../src/protocol/note.ts'

const mlDsaCosigner = (name: string): NoteSigner => {
  const { publicKey, privateKey } = generateKeyPairSync('ml-dsa-44')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-1_312)
  return {
    name,
    algorithm: 'ML-DSA-44 cosignature',
    publicKey: new Uint8Array(raw),
    sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
  }
}

function signer(name: string): NoteSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  return {
    name,
    algorithm: 'Ed25519',
    publicKey: new Uint8Array(raw),
    sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
  }
}

const origin = 'cordon.example/logs/019aa000-0000-7000-8000-000000000001'
const log = signer(origin)
const checkpoint = { origin, size: 42, root: new Uint8Array(32).fill(7) }
const replaceSignature = (note: string, data: string) => note.replace(/ \S+\n$/, ` ${data}\n`)

// From the documentation of golang.org/x/mod/sumdb/note: what others wrote must open here.
const neumannKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const neumannText =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
const neumannNote = `${neumannText}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`

t.test('a note that another implementation signed opens, and a changed one does not', async (t) => {
  const key = await parseNoteKey(neumannKey)
  t.equal(await formatNoteKey(key), neumannKey)
  t.match(await openNote(neumannNote, [key]), {
    text: neumannText,
    signatures: [{ key: { name: 'PeterNeumann' }, timestamp: 0 }],
    strangers: 0,
  })
  await t.rejects(openNote(neumannNote.replace('answer', 'Answer'), [key]), { code: 'NOTE_SIGNATURE' })
  await t.rejects(parseNoteKey(neumannKey.replace('c74f20a3', 'c74f20a4')), { code: 'NOTE_KEY' })
  await t.rejects(parseNoteKey(neumannKey.replace('ARpc', 'BBpc')), { code: 'NOTE_KEY' })
})

t.test('a checkpoint opens with the key of its log alone', async (t) => {
  const note = await signCheckpoint(checkpoint, log)
  t.same(await openCheckpoint(note, log), checkpoint)
  t.equal(note, await signCheckpoint(checkpoint, log), 'the same checkpoint is signed the same')
  await t.rejects(openCheckpoint(note, signer(origin)), { code: 'NOTE_UNSIGNED' })
  await t.rejects(openCheckpoint(note, { ...log, name: `${origin}x` }), { code: 'NOTE_UNSIGNED' })
  await t.rejects(
    openCheckpoint(await signNote(formatCheckpoint({ ...checkpoint, origin: 'elsewhere' }), log), log),
    { code: 'CHECKPOINT' },
    'an origin other than the name of the key',
  )
})

t.test('unknown signatures are ignored, a wrong one of a known key rejects', async (t) => {
  const witness = signer('witness.example')
  const text = formatCheckpoint(checkpoint)
  const mine = (await signNote(text, log)).slice(text.length + 1)
  const theirs = (await signNote(text, witness)).slice(text.length + 1)
  const other = (await signNote(`${text.slice(0, -2)}\n`, log)).split('\n').at(-2) ?? ''
  t.match(await openNote(`${text}\n${theirs}${mine}`, [log]), {
    signatures: [{ key: log }],
    strangers: 1,
  })
  t.match(await openNote(`${text}\n${theirs}${mine}`, [log, witness]), { strangers: 0 })
  t.match(
    await openNote(`${text}\n${mine}\u2014 somebody AAAAAAA=\n`, [log]),
    { strangers: 1 },
    'of a type nobody knows here',
  )
  await t.rejects(openNote(`${text}\n${theirs}`, [log]), { code: 'NOTE_UNSIGNED' })
  await t.rejects(openNote(`${text}\n${mine}${other}\n`, [log]), { code: 'NOTE_SIGNATURE' })
  await t.rejects(openNote(`${text}\n${theirs}${other}\n`, [log, witness]), { code: 'NOTE_SIGNATURE' })
})

t.test('INV-31: who demands both signatures refuses a checkpoint where either is wrong or missing', async (t) => {
  const strong = mlDsaCosigner(origin)
  const both = await signCheckpoint(checkpoint, log, strong)
  t.same(await openCheckpoint(both, log, strong), checkpoint)
  t.same(await openCheckpoint(both, log), checkpoint, 'today’s verifiers read it too')
  t.same(await openCheckpoint(both, strong), checkpoint, 'and so do those that trust ML-DSA-44 alone')
  const text = formatCheckpoint(checkpoint)
  const [ed25519Line = '', mlDsaLine = ''] = both.slice(text.length + 1).split(/(?<=\n)/)
  const forgedText = formatCheckpoint({ ...checkpoint, root: new Uint8Array(32).fill(8) })
  const forged = (await signCheckpoint({ ...checkpoint, root: new Uint8Array(32).fill(8) }, log, strong))
    .slice(forgedText.length + 1)
    .split(/(?<=\n)/)
  const table: [string, string, string][] = [
    ['right Ed25519, no ML-DSA-44', ed25519Line, 'NOTE_UNSIGNED'],
    ['right ML-DSA-44, no Ed25519', mlDsaLine, 'NOTE_UNSIGNED'],
    ['right Ed25519, ML-DSA-44 of another root', `${ed25519Line}${forged[1] ?? ''}`, 'NOTE_SIGNATURE'],
    ['right ML-DSA-44, Ed25519 of another root', `${forged[0] ?? ''}${mlDsaLine}`, 'NOTE_SIGNATURE'],
    [
      'right Ed25519, ML-DSA-44 by another key',
      `${ed25519Line}${await signatureLines(text, [mlDsaCosigner(origin)], 0)}`,
      'NOTE_UNSIGNED',
    ],
    [
      'right ML-DSA-44, Ed25519 by another key',
      `${await signatureLines(text, [signer(origin)], 0)}${mlDsaLine}`,
      'NOTE_UNSIGNED',
    ],
  ]
  for (const [what, lines, code] of table)
    await t.rejects(openCheckpoint(`${text}\n${lines}`, log, strong), { code }, what)
  const bytes = Buffer.from(mlDsaLine.split(' ')[2] ?? '', 'base64')
  for (let at = 4; at < bytes.length; at += 97) {
    const bent = Buffer.from(bytes)
    bent[at] = (bent[at] ?? 0) ^ 1
    const note = `${text}\n${ed25519Line}\u2014 ${origin} ${bent.toString('base64')}\n`
    await t.rejects(openCheckpoint(note, log, strong), { code: 'NOTE_SIGNATURE' }, `byte ${at} of the signature`)
    t.same(await openCheckpoint(note, log), checkpoint, 'a verifier without ML-DSA-44 does not mind')
  }
})

t.test('cosignatures bind the time, the name of the cosigner, and the whole tree', async (t) => {
  const text = formatCheckpoint(checkpoint)
  const classic: NoteSigner = { ...signer('witness.example/w'), algorithm: 'Ed25519 cosignature' }
  const strong = mlDsaCosigner('witness.example/w')
  const lines = await signatureLines(text, [classic, strong], 1_679_315_147)
  const { signatures } = await openNote(`${text}\n${lines}`, [classic, strong])
  t.match(signatures, [{ timestamp: 1_679_315_147 }, { timestamp: 1_679_315_147 }])
  const keyLines = await Promise.all([classic, strong].map(formatNoteKey))
  t.same(
    (await Promise.all(keyLines.map(parseNoteKey))).map(({ algorithm }) => algorithm),
    ['Ed25519 cosignature', 'ML-DSA-44 cosignature'],
  )
  for (const key of [classic, strong]) {
    const line = await signatureLines(text, [key], 1_679_315_147)
    const data = Buffer.from(line.trim().split(' ')[2] ?? '', 'base64')
    data[11] = (data[11] ?? 0) ^ 1
    const later = `\u2014 ${key.name} ${data.toString('base64')}\n`
    await t.rejects(openNote(`${text}\n${later}`, [key]), { code: 'NOTE_SIGNATURE' }, 'another second')
    const grown = formatCheckpoint({ ...checkpoint, size: 43 })
    await t.rejects(openNote(`${grown}\n${line}`, [key]), { code: 'NOTE_SIGNATURE' }, 'another size')
  }
  // What tlog-cosignature says byte for byte, put together apart from the code that signs.
  const u64 = (n: number) => Buffer.concat([Buffer.alloc(4), Buffer.from([n >>> 24, n >>> 16, n >>> 8, n])])
  const opaque = (name: string) => Buffer.concat([Buffer.of(name.length), Buffer.from(name)])
  const message = Buffer.concat([
    Buffer.from('subtree/v1\n\0'),
    opaque(strong.name),
    u64(1_679_315_147),
    opaque(origin),
    u64(0),
    u64(42),
    Buffer.alloc(32, 7),
  ])
  const stamped = Buffer.from(lines.split('\n')[1]?.split(' ')[2] ?? '', 'base64').subarray(4)
  const key = await crypto.subtle.importKey(
    'raw-public' as 'raw',
    strong.publicKey as Uint8Array<ArrayBuffer>,
    { name: 'ML-DSA-44' },
    false,
    ['verify'],
  )
  t.same(stamped.subarray(0, 8), u64(1_679_315_147))
  t.ok(await crypto.subtle.verify('ML-DSA-44', key, stamped.subarray(8), message))
})

t.test('a note is written in one way only', async (t) => {
  const note = await signCheckpoint(checkpoint, log)
  const data = /(\S+)\n$/.exec(note)?.[1] ?? ''
  const bent: Record<string, string> = {
    'no newline at its end': note.slice(0, -1),
    'no empty line': note.replace('\n\n', '\n'),
    'no signature': note.slice(0, note.indexOf('\n\n') + 2),
    'a hyphen for the dash': note.replace('\u2014', '-'),
    'two spaces': note.replace('\u2014 ', '\u2014  '),
    'something after the signature': replaceSignature(note, `${data} x`),
    'no padding': replaceSignature(note, data.replace(/=+$/, '')),
    base64url: replaceSignature(note, '-___'),
    'no signature after the key id': replaceSignature(note, 'AAAAAA=='),
    'a carriage return': note.replaceAll('\n', '\r\n'),
    'a control character': note.replace('cordon', 'cor\u0007don'),
    'half a character': note.replace('cordon', 'cor\ud800don'),
    'an empty line after it': `${note}\n`,
    nothing: '',
  }
  for (const [what, text] of Object.entries(bent)) await t.rejects(openNote(text, [log]), { code: 'NOTE' }, what)
})

t.test('a checkpoint is written in one way only', async (t) => {
  const text = formatCheckpoint(checkpoint)
  const root = text.split('\n')[2] ?? ''
  const bent: Record<string, string> = {
    'a leading zero': text.replace('\n42\n', '\n042\n'),
    'a sign': text.replace('\n42\n', '\n+42\n'),
    'no size': text.replace('\n42\n', '\n\n'),
    'a size beyond counting': text.replace('\n42\n', '\n9999999999999999\n'),
    hexadecimal: text.replace('\n42\n', '\n0x2a\n'),
    'an extension line': `${text}extension\n`,
    'no origin': text.slice(origin.length),
    'no newline at its end': text.slice(0, -1),
    'a root of 31 bytes': text.replace(root, Buffer.alloc(31).toString('base64')),
    'a root without padding': text.replace(root, root.replace('=', '')),
    'a root in base64url': text.replace(root, Buffer.alloc(32, 0xff).toString('base64url')),
  }
  for (const [what, bad] of Object.entries(bent)) t.throws(() => parseCheckpoint(bad), what)
  t.throws(() => formatCheckpoint({ ...checkpoint, size: -1 }), { code: 'CHECKPOINT' })
  t.throws(() => formatCheckpoint({ ...checkpoint, size: 1.5 }), { code: 'CHECKPOINT' })
  t.throws(() => formatCheckpoint({ ...checkpoint, origin: 'a\nb' }), { code: 'CHECKPOINT' })
})

t.test('any checkpoint survives being signed and opened, and no changed character does', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(), async (size, root, at) => {
      const note = await signCheckpoint({ origin, size, root }, log)
      t.same(await openCheckpoint(note, log), { origin, size, root: new Uint8Array(root) })
      const place = at % note.length
      const bent = note.slice(0, place) + (note[place] === 'A' ? 'B' : 'A') + note.slice(place + 1)
      await t.rejects(openCheckpoint(bent, log))
    }),
    { numRuns: 40 },
  )
})
