import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  formatCheckpoint,
  formatNoteKey,
  openCheckpoint,
  openNote,
  parseCheckpoint,
  parseNoteKey,
  signCheckpoint,
  signNote,
  type NoteSigner,
} from '../src/protocol/note.ts'

function signer(name: string): NoteSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  return { name, publicKey: new Uint8Array(raw), sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)) }
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
  t.match(await openNote(neumannNote, [key]), { text: neumannText, signedBy: ['PeterNeumann'], strangers: 0 })
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
  t.match(await openNote(`${text}\n${theirs}${mine}`, [log]), { signedBy: [origin], strangers: 1 })
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
