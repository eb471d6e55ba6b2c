// What this holds: a name has one form in which it is compared, whatever keyboard, editor or
// spreadsheet wrote it, and a text that shows nothing is blank in it.
// What makes it fail: a comparison of code units, or a step of the form that is left out.
import fc from 'fast-check'
import t from 'tap'
import { comparingForm, isBlank, searchForm, validateFields, validateSubject } from '../src/forms/index.ts'
import { lookingLike } from '../src/identity/similar-names.ts'
import { choose } from '../src/cli/choice.ts'
import { harmless, isolated } from '../src/cli/terminal.ts'

const unseen = [
  '\u200b',
  '\u00ad',
  '\u2060',
  '\ufeff',
  '\u200e',
  '\u202e',
  '\u2066',
  '\u034f',
  '\ufe0f',
  '\u0007',
  '\u{e0041}',
]
const blanks = [' ', '\t', '\u00a0', '\u3000', '\u2003', '\u2800', '\n']

// Bites: `comparingForm`.
t.test('ways to write one name have one form', async (t) => {
  const same: string[][] = [
    [
      'Kenya Customs',
      ' kenya  CUSTOMS ',
      'Kenya\u200b Customs',
      '\u202eKenya Customs',
      'Kenya\u00a0Custo\u00adms',
      'Ｋｅｎｙａ　Ｃｕｓｔｏｍｓ',
    ],
    ['Douane française', 'Douane franc\u0327aise', 'DOUANE FRANÇAISE'],
    ['Straße', 'STRASSE', 'strasse', 'STRAẞE'],
    ['ΟΔΟΣ', 'οδος', 'οδοσ'],
    ['ﬁnance', 'FINANCE'],
    ['İzmir', 'izmir', 'IZMIR', 'ızmır'],
    ['e\u200b\u0301', 'é', 'É'],
    ['한글', '한글'.normalize('NFD')],
    ['①', '1', '１'],
    ['a b', 'a\t\u2800b'],
  ]
  for (const [first = '', ...others] of same)
    for (const other of others) t.equal(comparingForm(other), comparingForm(first), JSON.stringify(other))
  t.not(comparingForm('Kenya Customs'), comparingForm('Kenya Custоms'), 'a Cyrillic letter is another letter')
  t.not(comparingForm('Mali'), comparingForm('Malí'), 'an accent is not left out')
})

t.test('the form of a form is itself, and case, composition and unseen characters do not change it', async () => {
  const texts = fc.string({ unit: 'grapheme', maxLength: 20 })
  fc.assert(
    fc.property(texts, (text) => {
      const form = comparingForm(text)
      const others = [
        form,
        text.toUpperCase(),
        ...(['NFC', 'NFD', 'NFKC', 'NFKD'] as const).map((how) => text.normalize(how)),
      ]
      return others.every((other) => comparingForm(other) === form)
    }),
    { numRuns: 2_000 },
  )
  fc.assert(
    fc.property(texts, fc.nat(20), fc.constantFrom(...unseen), (text, at, mark) => {
      const characters = [...text]
      characters.splice(at, 0, mark)
      return comparingForm(characters.join('')) === comparingForm(text)
    }),
    { numRuns: 2_000 },
  )
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => (comparingForm(text) === '') === isBlank(text)))
})

// Bites: `isBlank`, asked by `validateFields` and `validateSubject`.
t.test('a text that shows nothing is blank, and no field or subject', async (t) => {
  for (const text of ['', ...blanks, ...unseen, '\u115f\u3164\uffa0', ' \u200b \u202e\u2800'])
    t.ok(isBlank(text), JSON.stringify(text))
  for (const text of ['.', '0', '\u0301', '😀', '\u200bx']) t.notOk(isBlank(text), JSON.stringify(text))
  for (const text of [' ', '\u200b', '\u2800\n', '\u202d \u3164']) {
    t.match(validateFields('text', 1, { text }), [{ pointer: '/text', reason: 'too-short' }], JSON.stringify(text))
    t.equal(validateSubject('text', 1, text.replace('\n', '')).length, 1)
    const item = { kind: 'parcel', identifier: text }
    const warning = { country: 'KE', suspicion: 'Scales', lookFor: [item] }
    t.match(validateFields('warning', 1, warning), [{ pointer: '/lookFor/0/identifier' }])
  }
  t.same(validateFields('text', 1, { text: 'a\u200b' }), [])
})

// Bites: `choose` in src/cli/choice.ts.
t.test('the command finds a thing by its name, however it is written', async (t) => {
  const among = [
    { id: '1', name: 'Tromsø Customs' },
    { id: '2', name: 'Iğdır Gümrük', also: 'IGD-1' },
  ]
  for (const word of [
    'tromsø customs',
    'TROMSØ\u00a0CUSTOMS',
    'Tromso\u0338 Customs\u200b'.replace('o\u0338', 'ø'),
    'tromsø',
  ])
    t.equal(choose('organization', word, among).id, '1', JSON.stringify(word))
  for (const word of ['IĞDIR GÜMRÜK', 'ığdır gu\u0308mru\u0308k', 'ｉｇｄ－１'.normalize('NFKC')])
    t.equal(choose('organization', word, among).id, '2', JSON.stringify(word))
  for (const word of ['', '\u200b', 'Troms\u043e']) t.throws(() => choose('organization', word, among), /There is no/)
})

t.test('words are found without accents, and with the letters of other keyboards', async (t) => {
  for (const [text, word] of [
    ['Straße', 'STRASSE'],
    ['Tromsø', 'tromso'],
    ['Łódź', 'lodz'],
    ['Đà Nẵng', 'da nang'],
    ['IĞDIR', 'ığdır'],
    ['Iğdır', 'igdir'],
    ['Ærøskøbing', 'aeroskobing'],
    ['MSKU\u00ad123\u200b4567', 'msku1234567'],
    ['ＭＳＫＵ１２３', 'msku123'],
    ['Côte d’Ivoire', "cote d'ivoire"],
    ['Þingvellir', 'thingvellir'],
    ['Ħal Luqa', 'hal luqa'],
    ['Œuvre', 'oeuvre'],
    ['Ναύπλιο', 'ναυπλιο'],
  ] as const)
    t.ok(searchForm(text).includes(searchForm(word)), `${word} finds ${text}`)
})

// Bites: `lookingLike`.
t.test('names that look alike are told apart and noticed', async (t) => {
  for (const [one, other] of [
    ['Kenya Customs', 'Kenya Custоms'],
    ['Kenya Customs', 'Kenya Custorns'],
    ['Peru', 'Реru'],
    ['Malta', 'Μalta'],
    ['BP01', 'BPO1'],
    ['Côte d’Ivoire', "Côte d'Ivoire"],
  ] as const) {
    t.same(lookingLike(one, [{ name: 'Zambia' }, { name: other }]), [{ name: other }], `${one}, ${other}`)
  }
  t.same(lookingLike('Kenya Customs', [{ name: 'Kenyan Customs' }, { name: 'Kenya Customs 2' }]), [])
  t.equal(lookingLike('Москва', [{ name: 'МОСКВА' }]).length, 1)
})

// Bites: `typed` and `valueOf` in src/forms/names.ts.
t.test('words are found in the letters and digits of other keyboards', async (t) => {
  for (const [written, word] of [
    ['مُحَمَّد', 'محمد'],
    ['محمـــد', 'محمد'],
    ['ﻣﺤﻤﺪ', 'محمد'],
    ['القاهرة', 'القاهره'],
    ['کراچی', 'كراچي'],
    ['حاوية ٤٥', '45'],
    ['۷۸', '78'],
    ['४५', '45'],
    ['ёлка', 'елка'],
    ['ґанок', 'ганок'],
    ['Ὀδυσσεύς', 'ΟΔΥΣΣΕΥΣ'],
    ['ｶﾞｽ', 'ガス'],
    ['\u1112\u1161\u11ab', '한'],
    ['d´Ivoire', 'd’ivoire'],
    ['Hawaiʻi', 'hawaii'],
    ['oﬃce', 'office'],
    ['A\u20dd', 'a'],
    ['q\u0307\u0323', 'q\u0323\u0307'],
    ['BP‒12', 'bp-12'],
  ] as const)
    t.ok(searchForm(written).includes(searchForm(word)), `${word} in ${written}`)
})

t.test('what is no character is nothing in a name', async (t) => {
  for (const nothing of ['\ufff9', '\ufffb', '\ufffe', '\u{1ffff}', '\ud800'])
    t.ok(isBlank(nothing) && comparingForm(`a${nothing}b`) === 'ab', String(nothing.codePointAt(0)))
})

// Bites: `isolated` in src/cli/terminal.ts.
t.test('a name from right to left turns nothing around it', async (t) => {
  t.equal(isolated('Kenya Customs'), 'Kenya Customs')
  t.equal(isolated('الجمارك'), '\u2068الجمارك\u2069')
  t.equal(isolated('a\u202eb'), '\u2068a\\u202eb\u2069')
  t.equal(isolated('\u2069x\u2068'), '\u2068\\u2069x\\u2068\u2069')
  t.equal(harmless(`See ${isolated('מכס')}.`), 'See \u2068מכס\u2069.')
  t.equal(harmless('\u2068open'), '\\u2068open')
  t.equal(harmless('\u2068a\u202eb\u2069'), '\\u2068a\\u202eb\\u2069')
  t.equal(harmless('\u2068a\u0007b\u2069'), '\u2068a\\u0007b\u2069')
})
