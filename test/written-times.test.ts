// What this holds: a time that somebody wrote means one instant, or the instants at which the
// clocks of its zone show it, or it is refused; nothing is guessed.
// What makes it fail: a reader that guesses the order of day and month, that moves a day that does
// not exist, or that asks the clock of the machine.
import fc from 'fast-check'
import t from 'tap'
import { isTimeFault, localTime, readTime, sayTime, writeTime, type WrittenTime } from '../src/forms/index.ts'

const read = (text: string, timeZone = 'UTC') => {
  const time = readTime(text, timeZone)
  return isTimeFault(time) ? time.reason : [time.first.toISOString(), time.last.toISOString()]
}
const once = (instant: string) => [instant, instant]

t.test('a time with an offset means one instant in each zone', async (t) => {
  for (const zone of ['UTC', 'Asia/Kolkata', 'America/Argentina/Buenos_Aires']) {
    t.same(read('2026-12-05T10:00:00Z', zone), once('2026-12-05T10:00:00.000Z'))
    t.same(read('2026-12-05t10:00:00.5z', zone), once('2026-12-05T10:00:00.500Z'))
    t.same(read(' 2026-12-05 10:00+05:30 ', zone), once('2026-12-05T04:30:00.000Z'))
    t.same(read('2026-12-05T10:00:00.123999-03:00', zone), once('2026-12-05T13:00:00.123Z'))
    t.same(read('2024-02-29T23:59:59-00:00', zone), once('2024-02-29T23:59:59.000Z'))
  }
})

t.test('a day or a time without an offset is read on the clocks of the zone', async (t) => {
  t.same(read('2026-12-05 10:00', 'Africa/Nairobi'), once('2026-12-05T07:00:00.000Z'))
  t.same(read('2026-07-05T10:00:30', 'Europe/Brussels'), once('2026-07-05T08:00:30.000Z'))
  t.same(read('2026-12-05', 'Asia/Kolkata'), ['2026-12-04T18:30:00.000Z', '2026-12-05T18:30:00.000Z'])
  t.same(read('2026-03-29', 'Europe/Brussels'), ['2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z'])
})

// Bites: `notADate` and `outOfRange` in src/forms/written-times.ts.
t.test('what is no time of the calendar is refused', async (t) => {
  for (const text of [
    '',
    '12',
    '2026',
    '2026-12',
    '05/12/2026',
    '12/05/2026',
    '5.12.2026',
    '20261205',
    '2026-12-5',
    '2026-12-05T',
    '2026-12-05T10',
    '2026-12-05Z',
    '2026-12-05 24:00',
    '2026-12-05 10:60',
    '2026-12-05 10:00:60',
    '2026-12-05 10:00 Europe/Brussels',
    '2026-12-05T10:00+24:00',
    '2026-12-05T10:00+14:01',
    '2026-12-05T10:00+20:00',
    '2026-12-05T10:00-12:30',
    '2026-12-05T10:00+0100',
    '2026-12-05T10:00:00.',
    '2026-W49-6',
    '+002026-12-05',
    'December 5, 2026',
    'tomorrow',
    '２０２６-12-05',
    '2026-12-05\n2026-12-06',
  ])
    t.equal(read(text), 'not-a-time', JSON.stringify(text))
  for (const text of [
    '2026-02-30',
    '2026-02-29 10:00',
    '2026-13-01T00:00:00Z',
    '2026-00-10',
    '2026-04-31',
    '1900-02-29',
  ])
    t.equal(read(text), 'not-a-date', text)
  for (const text of [
    '0000-01-01',
    '0001-01-01T00:00Z',
    '1899-12-31',
    '2200-01-01',
    '9999-12-31T23:59:59Z',
    '2199-12-31T23:30-01:00',
    '1900-01-01T00:30+01:00',
  ])
    t.equal(read(text), 'out-of-range', text)
  t.same(read('2199-12-31'), ['2199-12-31T00:00:00.000Z', '2199-12-31T23:59:59.999Z'])
})

t.test('a time is said back with its weekday and its zone, and with seconds where it has any', async (t) => {
  t.equal(
    sayTime(new Date('2026-12-05T09:00:00.000Z'), 'Asia/Kolkata'),
    'Saturday 2026-12-05 14:30, Asia/Kolkata (UTC+05:30)',
  )
  t.match(sayTime(new Date('2026-12-05T09:00:30.000Z'), 'UTC'), /^Saturday 2026-12-05 09:00:30, UTC/)
  t.match(sayTime(new Date('2026-12-05T22:59:59.999Z'), 'Europe/Brussels'), /^Saturday 2026-12-05 23:59:59, /)
})

// Bites: `noOffset` and `notOnAClock` in src/forms/written-times.ts.
t.test('an offset that no clocks have, and a time that no clock shows, are named', async (t) => {
  t.same(read('2026-12-05T10:00+14:00'), once('2026-12-04T20:00:00.000Z'))
  t.same(read('2026-12-05T10:00-12:00'), once('2026-12-05T22:00:00.000Z'))
  t.match(readTime('2026-12-05T10:00+20:00', 'UTC'), { advice: /-12:00 to \+14:00/ })
  t.match(readTime('2026-12-05 24:00', 'UTC'), { advice: /midnight is 00:00 of the next day/ })
  t.match(readTime('2016-12-31T23:59:60Z', 'UTC'), { advice: /seconds 00 to 59/ })
  const long = '2026-12-05T10:00:00.12345678901234567890Z'
  t.same(read(long), once('2026-12-05T10:00:00.123Z'), 'RFC 3339 bounds no fraction')
})

t.test('a time that the clocks show twice has both instants, and one that they skip has none', async (t) => {
  t.same(read('2026-10-25 02:30', 'Europe/Brussels'), ['2026-10-25T00:30:00.000Z', '2026-10-25T01:30:00.000Z'])
  t.same(read('2024-04-07 01:45', 'Australia/Lord_Howe'), ['2024-04-06T14:45:00.000Z', '2024-04-06T15:15:00.000Z'])
  t.equal(read('2026-03-29 02:30', 'Europe/Brussels'), 'skipped')
  t.match(readTime('2026-03-29 02:30', 'Europe/Brussels'), { advice: /02:00 straight to 2026-03-29 03:00/ })
  t.equal(read('2011-12-30', 'Pacific/Apia'), 'skipped', 'a day that a whole country left out')
  t.equal(read('2011-12-30 12:00', 'Pacific/Apia'), 'skipped')
  t.same(read('2018-11-04', 'America/Sao_Paulo'), ['2018-11-04T03:00:00.000Z', '2018-11-05T02:00:00.000Z'])
  t.same(
    read('2010-11-06', 'America/St_Johns'),
    ['2010-11-06T02:30:00.000Z', '2010-11-07T03:30:00.000Z'],
    'clocks are put back from 00:01 to 23:01: the day goes on after the next one began',
  )
})

t.test('a time is said with its weekday, its zone and its offset', async (t) => {
  t.equal(
    sayTime(new Date('2026-12-05T09:00:00Z'), 'Europe/Brussels'),
    'Saturday 2026-12-05 10:00, Europe/Brussels (UTC+01:00)',
  )
  t.equal(sayTime(new Date('2026-12-05T09:00:00Z'), 'UTC'), 'Saturday 2026-12-05 09:00, UTC (UTC+00:00)')
  t.equal(
    sayTime(new Date('2026-12-31T20:00:00Z'), 'Asia/Kathmandu'),
    'Friday 2027-01-01 01:45, Asia/Kathmandu (UTC+05:45)',
  )
  t.equal(writeTime(new Date('2026-12-05T09:00:00.120Z'), 'America/St_Johns'), '2026-12-05T05:30:00.120-03:30')
  t.equal(localTime(new Date('2026-12-05T09:00:07Z'), 'Asia/Tokyo'), '2026-12-05 18:00:07')
})

const allZones = [
  ...Intl.supportedValuesOf('timeZone'),
  'UTC',
  'Asia/Kolkata',
  'Europe/Kyiv',
  'America/Argentina/Buenos_Aires',
  'Pacific/Kiritimati',
]
const yearMs = 366 * 86_400_000
const offsetAt = (instant: number, zone: string) =>
  Date.parse(`${localTime(new Date(instant), zone).replace(' ', 'T')}Z`) - Math.floor(instant / 1_000) * 1_000

/** The next change of the clocks within a year; the instant itself where there is none. */
function changeAfter(instant: number, zone: string): number {
  const before = offsetAt(instant, zone)
  let low = instant
  let high = instant
  while (high - instant < yearMs && offsetAt(high, zone) === before) {
    low = high
    high += 10 * 86_400_000
  }
  if (offsetAt(high, zone) === before) return instant
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetAt(middle, zone) === before) low = middle
    else high = middle
  }
  return high
}

const instants = fc.integer({ min: Date.UTC(1900, 0, 3), max: Date.UTC(2198, 0, 1) })
const zones = fc.constantFrom(...allZones)
const hours = fc.integer({ min: -4 * 3_600_000, max: 4 * 3_600_000 })

t.test('what was written of a time is read as that time, in all zones and around their changes', async () => {
  fc.assert(
    fc.property(zones, instants, hours, zones, (zone, anywhere, delta, elsewhere) => {
      const instant = changeAfter(anywhere, zone) + delta
      const written = readTime(writeTime(new Date(instant), zone), elsewhere) as WrittenTime
      if (+written.first !== instant || +written.last !== instant) return false
      const shown = localTime(new Date(instant), zone)
      const local = readTime(shown, zone) as WrittenTime
      const second = Math.floor(instant / 1_000) * 1_000
      return (
        [+local.first, +local.last].includes(second) &&
        localTime(local.first, zone) === shown &&
        localTime(local.last, zone) === shown
      )
    }),
    { numRuns: 3_000 },
  )
})

t.test('INV-189: each local time is shown by the clocks, or refused as one that they skip', async () => {
  fc.assert(
    fc.property(zones, instants, hours, (zone, anywhere, delta) => {
      const change = changeAfter(anywhere, zone)
      const shown = new Date(change + offsetAt(change, zone) + delta).toISOString().slice(0, 19)
      const time = readTime(shown, zone)
      if (!isTimeFault(time)) return localTime(time.first, zone) === shown.replace('T', ' ')
      const [before, after] = [offsetAt(change - 1, zone), offsetAt(change, zone)]
      const local = Date.parse(`${shown}Z`)
      return time.reason === 'skipped' && local >= change + before && local < change + after
    }),
    { numRuns: 2_000 },
  )
})
