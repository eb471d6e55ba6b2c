// What this holds: all doors share their lists: the time zones that the platform knows, one list
// of places, and the ways in which people type an address or a code.
// What makes it fail: a list that one door keeps for itself.
import fc from 'fast-check'
import t from 'tap'
import { codeLists, isPlace, isTimeZone, units, validateFields } from '../src/forms/index.ts'
import { readRecoveryCode, readTotpCode } from '../src/identity/factors/one-time-codes.ts'
import { forRelay, isAddress } from '../src/identity/notices/addresses.ts'
import { formatInvitation, parseInvitation, type DeviceId } from '../src/protocol/index.ts'
import { everyRole } from './support/roles.ts'
import { codeOf, freshId } from './support/wire.ts'

const { administrator, byRole, operation } = await everyRole(t)

// Bites: `isTimeZone`, asked by the service and by the command.
t.test('an operation has any time zone of IANA, under its newer and its older name', async (t) => {
  const renamed = [
    'Asia/Kolkata',
    'Europe/Kyiv',
    'America/Argentina/Buenos_Aires',
    'Asia/Kathmandu',
    'Asia/Ho_Chi_Minh',
  ]
  for (const zone of [
    ...Intl.supportedValuesOf('timeZone'),
    ...renamed,
    'UTC',
    'Asia/Calcutta',
    'America/Port-au-Prince',
    'Etc/GMT-14',
    'Etc/GMT+12',
    'EST5EDT',
  ])
    t.ok(isTimeZone(zone), zone)
  // The platform means Bangladesh by BST and Chicago by CST; the others are not in these letters.
  for (const zone of ['BST', 'CST', 'IST', 'SystemV/EST5', 'EUROPE/KYIV', 'asia/kolkata', 'Asia/KOLKATA', 'ETC/GMT+5'])
    t.notOk(isTimeZone(zone), zone)
  for (const zone of ['', '+02:00', 'europe/brussels', 'EUROPE/BRUSSELS', 'Europe/Atlantis', ' Europe/Brussels', 'Z'])
    t.notOk(isTimeZone(zone), zone)
  const path = `/v1/operations/${operation.id}`
  for (const timeZone of renamed) {
    t.ok((await byRole.coordinator.call('PATCH', path, { timeZone })).status < 300, timeZone)
    t.match((await byRole.coordinator.call('GET', path)).body, { timeZone }, 'as it was written')
  }
  t.equal(codeOf(await byRole.coordinator.call('PATCH', path, { timeZone: '+02:00' })), '400 VALIDATION')
})

// Bites: `isPlace`, also as the format `place`.
t.test('organizations and seizures share one list of places', async (t) => {
  const asOrganization = async (country: string) => {
    const body = { id: freshId(), kind: 'administration', name: `Customs ${freshId()}`, country }
    return codeOf(await administrator.call('POST', '/v1/organizations', body))
  }
  const asSeizure = (country: string) => validateFields('seizure', 1, { country, date: '2026-11-20', items: [] })
  const says = (country: string) => asSeizure(country).some(({ pointer }) => pointer === '/country')
  for (const place of ['KE', 'XK', 'XZ', 'XX', 'TW', 'SJ']) {
    t.match(await asOrganization(place), /^201/, place)
    t.notOk(says(place), place)
  }
  for (const none of ['EU', 'ZZ', 'UK', 'AA', 'QQ', 'SU']) {
    t.equal(await asOrganization(none), '400 VALIDATION', none)
    t.ok(says(none), none)
  }
  t.ok([...codeLists.countries.codes.keys()].every(isPlace))
})

// Bites: `forRelay`.
t.test('the domain of an address goes to a relay in A-labels', async (t) => {
  t.equal(forRelay('Anna.Müller@zöll.example'), 'Anna.Müller@xn--zll-sna.example')
  t.equal(forRelay('x@таможня.рф'), 'x@xn--80amrfdv0h.xn--p1ai')
  t.equal(forRelay('a@customs.example'), 'a@customs.example')
  t.equal(forRelay('a@CUSTOMS.example'), 'a@customs.example')
  t.ok(isAddress('x@таможня.рф'))
  t.notOk(isAddress('x@א1b.example'), 'a domain that has no A-labels')
})

// Bites: `readRecoveryCode`, and `codeForm` in it.
t.test('a recovery code is taken as people write it down', async (t) => {
  const made = 'ABCD1FGH0JKMNPQR'
  for (const text of [
    'ABCD-1FGH-0JKM-NPQR',
    'abcd 1fgh 0jkm npqr',
    'ABCD–1FGH—0JKM‑NPQR',
    'abcdLfghOjkmnpqr',
    'ABCD-IFGH-oJKM-NPQR\u200b',
    'ＡＢＣＤ－１ＦＧＨ－０ＪＫＭ－ＮＰＱＲ',
    '\u2068ABCD−1FGH−0JKM−NPQR\u2069\r\n',
  ])
    t.equal(readRecoveryCode(text), made, JSON.stringify(text))
  for (const text of ['', 'ABCD-1FGH-0JKM', 'ABCD-1FGH-0JKM-NPQRS', 'ABCD-1FGH-0JKM-NPQU', 'ABCD.1FGH.0JKM.NPQR'])
    t.equal(readRecoveryCode(text), undefined, JSON.stringify(text))
})

// Bites: `asPrinted`.
t.test('an invitation is taken as mail programs and telephones copy it', async (t) => {
  const id = freshId()
  const secret = new Uint8Array(16).fill(251)
  const root = 'A-_'.repeat(15).slice(0, 43) as DeviceId
  const made = { server: 'https://a.example', root, invitation: id, person: id, organization: id, secret } as const
  const text = formatInvitation({ ...made, tier: 'person' } as never)
  for (const copied of [
    ` ${text}\n`,
    text.replace(/(.{60})/g, '$1\r\n'),
    `“${text}”`,
    `<${text}>`,
    text.replaceAll('-', '\u2011'),
    text.replace('cordon-invitation:', 'Cordon–Invitation: '),
    `\ufeff${text}\u200b`,
  ])
    t.same(parseInvitation(copied), parseInvitation(text), copied)
  for (const other of [text.slice(0, -8), text.toUpperCase(), text.slice(18), ''])
    t.throws(() => parseInvitation(other), { code: 'INVITATION' }, other)
})

// Bites: `readTotpCode`.
t.test('a code is taken as apps show it', async (t) => {
  for (const text of ['123456', '123 456', ' 123\u00a0456 ', '123-456', '１２３ ４５６', '123\u200b456', '12 34 56'])
    t.equal(readTotpCode(text), '123456', JSON.stringify(text))
  for (const text of ['123–456', '123\u2011456', '123−456', '١٢٣ ٤٥٦', '۱۲۳۴۵۶', '१२३४५६'])
    t.equal(readTotpCode(text), '123456', JSON.stringify(text))
  for (const text of ['', '12345', '1234567', '12345a', '123.456', '٣٤٥٦٧'])
    t.equal(readTotpCode(text), undefined, JSON.stringify(text))
  fc.assert(
    fc.property(fc.stringMatching(/^\d{6}$/), fc.nat(6), (code, at) => {
      return readTotpCode(`${code.slice(0, at)} ${code.slice(at)}`) === code
    }),
  )
})

// Messages in these units stand in logs since the first day of the forms.
const firstUnits: Readonly<Record<string, string>> = {
  KGM: 'mass 1',
  GRM: 'mass 0.001',
  MGM: 'mass 0.000001',
  TNE: 'mass 1000',
  LTR: 'volume 1',
  MLT: 'volume 0.001',
  CLT: 'volume 0.01',
  HLT: 'volume 100',
  MTQ: 'volume 1000',
  H87: 'count 1',
  PR: 'count 2',
  DZN: 'count 12',
  MIL: 'count 1000',
  MTR: 'length 1',
  CMT: 'length 0.01',
  KMT: 'length 1000',
}

t.test('a unit that a message may have stays in the list, and is worth what it was worth', async (t) => {
  for (const [code, said] of Object.entries(firstUnits)) {
    const unit = Object.entries(units).find(([known]) => known === code)?.[1]
    t.equal(`${unit?.kind ?? ''} ${unit?.factor ?? ''}`, said, code)
    t.ok(codeLists.units.codes.has(code))
  }
})
