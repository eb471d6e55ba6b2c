import fc from 'fast-check'
import t from 'tap'
import {
  changesOperation,
  countsInCompartment,
  kinds,
  leafHash,
  maximalLeafBytes,
  parseLeaf,
  privateDigest,
  serializeLeaf,
  type Kind,
  type Leaf,
} from '../src/protocol/index.ts'
import { hashLeaf, hashPrivate } from '../src/log/hashing.ts'

const id = '019aa000-0000-7000-8000-00000000000'
const digest = Buffer.alloc(32, 3).toString('base64url')
const leaf: Leaf = {
  v: 1,
  log: `${id}1`,
  index: 7,
  at: '2026-11-22T08:30:00.123Z',
  kind: 'message.posted',
  actor: { person: `${id}2`, organization: `${id}3`, device: digest },
  compartment: `${id}4`,
  seq: 5,
  subject: `${id}6`,
  digest,
  private: digest,
}
const text = serializeLeaf(leaf)

t.test('an entry is one line in one order', async (t) => {
  t.equal(
    text,
    `{"v":1,"log":"${id}1","index":7,"at":"2026-11-22T08:30:00.123Z","kind":"message.posted",` +
      `"actor":{"person":"${id}2","organization":"${id}3","device":"${digest}"},"compartment":"${id}4","seq":5,` +
      `"subject":"${id}6","digest":"${digest}","private":"${digest}"}`,
  )
  t.same(parseLeaf(text), leaf)
  t.equal(serializeLeaf(Object.fromEntries(Object.entries(leaf).reverse()) as unknown as Leaf), text)
  t.same(await leafHash(text), new Uint8Array(hashLeaf(text)), 'client and server hash alike')
  t.equal(await privateDigest(new Uint8Array(32), 'é'), hashPrivate(new Uint8Array(32), 'é'))
})

t.test('an entry written in any other way is no entry', async (t) => {
  const bent: Record<string, string> = {
    'a space': text.replace('":1,', '": 1,'),
    'a newline at its end': `${text}\n`,
    'another order': text.replace(/^\{"v":1,("log":"[^"]+"),/, '{$1,"v":1,'),
    'an unknown field': text.replace('"seq":5', '"seq":5,"note":"x"'),
    'an unknown field of the actor': text.replace('"actor":{', '"actor":{"name":"Anna",'),
    'a field twice': text.replace('"index":7', '"index":6,"index":7'),
    'a number in another form': text.replace('"index":7', '"index":7.0'),
    'an escaped character': text.replace('message.posted', 'message\\u002eposted'),
    'a version to come': text.replace('"v":1', '"v":2'),
    'a log without an id': text.replace(`${id}1`, 'log'),
    'an id in upper case': text.replace(`${id}2`, `${id}2`.toUpperCase()),
    'a negative index': text.replace('"index":7', '"index":-7'),
    'a fraction of an index': text.replace('"index":7', '"index":7.5'),
    'an index beyond counting': text.replace('"index":7', '"index":9007199254740993'),
    'a time without milliseconds': text.replace('.123Z', 'Z'),
    'a time in another zone': text.replace('.123Z', '.123+01:00'),
    'a day that does not exist': text.replace('2026-11-22', '2026-02-30'),
    'an unknown kind': text.replace('message.posted', 'message.erased'),
    'no kind': text.replace('"kind":"message.posted",', ''),
    'a device that is no thumbprint': text.replace(`"device":"${digest}"`, '"device":"mine"'),
    'an actor of both sorts': text.replace('"actor":{', '"actor":{"server":"s",'),
    'a compartment without its seq': text.replace('"seq":5,', ''),
    'a seq without a compartment': text.replace(`"compartment":"${id}4",`, ''),
    'a seq of nothing': text.replace('"seq":5', '"seq":0'),
    'a seq where none is counted': text.replace('message.posted', 'history.granted'),
    'no subject': text.replace(`"subject":"${id}6",`, ''),
    'an empty subject': text.replace(`"subject":"${id}6"`, '"subject":""'),
    'an object for a subject': text.replace(`"subject":"${id}6"`, '"subject":{}'),
    'a control character': text.replace(`"subject":"${id}6"`, '"subject":"\\u0007"'),
    'half a character': text.replace(`"subject":"${id}6"`, '"subject":"\\ud800"'),
    'a digest of 31 bytes': text.replace(
      `"digest":"${digest}"`,
      `"digest":"${Buffer.alloc(31).toString('base64url')}"`,
    ),
    'a digest with stray bits': text.replace(`"digest":"${digest}"`, `"digest":"${digest.slice(0, -1)}B"`),
    'a digest that is null': text.replace(`"digest":"${digest}"`, '"digest":null'),
    'a list': `[${text}]`,
    'a text': '"x"',
    nothing: '',
  }
  for (const [what, line] of Object.entries(bent)) {
    t.not(line, text, what)
    t.throws(() => parseLeaf(line), { name: 'ProtocolError' }, what)
  }
  t.throws(() => serializeLeaf({ ...leaf, subject: 'x'.repeat(513) }), { code: 'LEAF' })
  t.ok(text.length < maximalLeafBytes)
})

t.test('a leaf that parses is the leaf that was written, whatever stands in it', async (t) => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('2199-12-31') }),
      fc.constantFrom(...kinds),
      fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme' }),
      (index, at, kind, subject) => {
        const counted = countsInCompartment(kind)
        const { compartment: _compartment, seq: _seq, ...plain } = leaf
        const any: Leaf = {
          ...plain,
          ...(counted ? { compartment: `${id}4`, seq: 1 + index } : {}),
          index,
          at: at.toISOString(),
          kind,
          subject: subject.replace(/[\u0000-\u001f\u007f]/g, '-'),
        }
        t.same(parseLeaf(serializeLeaf(any)), any)
      },
    ),
    { numRuns: 200 },
  )
})

t.test('which kinds count in a compartment, and which change who may do what', async (t) => {
  const counted: Kind[] = ['compartment.created', 'epoch.opened', 'message.corrected', 'attachment.stored']
  const uncounted: Kind[] = [
    'messages.delivered',
    'messages.read',
    'member.admitted',
    'operation.created',
    'body.fetched',
  ]
  for (const kind of counted) t.ok(countsInCompartment(kind), kind)
  for (const kind of uncounted) t.notOk(countsInCompartment(kind), kind)
  const changing: Kind[] = [
    'operation.advanced',
    'member.slept',
    'device.revoked',
    'compartment.member-removed',
    'epoch.disputed',
  ]
  const harmless: Kind[] = [
    'message.posted',
    'messages.read',
    'session.ended',
    'feed.opened',
    'access.refused',
    'person.ended',
  ]
  for (const kind of changing) t.ok(changesOperation(kind), kind)
  for (const kind of harmless) t.notOk(changesOperation(kind), kind)
})
