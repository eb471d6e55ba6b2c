// What this holds: at a terminal `cordon post --form` asks field by field, says who will read the
// message, and sends it once the person agrees; what was answered outlives Ctrl-C, sealed.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { opened } from './support/actors.ts'
import { atTerminal, noTerminal } from './support/at-terminal.ts'
import { ended, joinWithDesk, temporary } from './support/command.ts'
import { usualOperation } from './support/usual-operation.ts'

const directory = temporary(t)
const stage = await usualOperation(t)
const { coordinator, operation } = stage
const desk = await joinWithDesk(t, directory, stage, { name: 'kenya', country: 'KE' })
const skip = noTerminal
const { env } = desk
const enter = '\r'

async function posted(shown: string) {
  const index = Number(/Sent as #(\d+)/.exec(shown)?.[1])
  const session = await coordinator.follow(operation)
  await session.reached(index)
  const message = session.messages.find((one) => one.index === index)
  return message && (await opened(coordinator, operation, message.id))
}

// Bites: askingWriter, FormInterview, read
t.test('a seizure is begun, interrupted, gone on with, and sent', { skip }, async (t) => {
  const secret = 'Kilindini, shed seven'
  const first = await atTerminal(
    t,
    ['post', '--form', 'seizure'],
    [
      ['Subject:', `Scales in timber${enter}`],
      ['Reporting country (required, in the clear) [Kenya (KE)]:', enter],
      ['Date (required, in the clear) [20', `31.12.2026${enter}`],
      ['write it as YYYY-MM-DD', `2026-11-20${enter}`],
      ['Last day', '\u001a'],
      ['Date (required, in the clear) [2026-11-20]:', enter],
      ['Last day', enter],
      ['Place, coded: fill in?', enter],
      ['Type of place', `seaport${enter}`],
      ['Place, as reported', `${secret}${enter}`],
      ['Exact position: fill in?', '\u0003'],
    ],
    { env },
  )
  t.equal(first.code, 130, first.shown)
  t.match(first.shown, /Kept, sealed in the store\. To go on with it: cordon post --form seizure/)
  t.notOk(readFileSync(desk.store).includes(secret), 'nothing of it is on the disk in the clear')
  const second = await atTerminal(
    t,
    ['post', '--form', 'seizure'],
    [
      ['Go on with it?', `yes${enter}`],
      ['Exact position: fill in?', enter],
      ['Direction', enter],
      ['Mode of transport', `1${enter}`],
      ['Maritime (1)', ''],
      ['Countries of origin', `tanz${enter}`],
      ['Countries of origin, one more', enter],
      ['Countries of departure', enter],
      ['Countries of transit', enter],
      ['Countries of destination', enter],
      ['Method of detection', enter],
      ['Concealment', enter],
      ['Goods: add one? (yes or no) [yes]', enter],
      ['Commodity', `pangolin${enter}`],
      ['Wildlife › Pangolins (CITES I) › Scales', ''],
      ['Type a number, or words', `5${enter}`],
      ['HS heading', enter],
      ['Quantity', `2,5${enter}`],
      ['Write a number', `2.5${enter}`],
      ['Unit (required', `tonne${enter}`],
      ['Estimated', `.${enter}`],
      ['Send it?', `<${enter}`],
      ['Estimated', `yes${enter}`],
      ['Weight', `.${enter}`],
      ['The service reads, for the figures: Reporting country, Date,', ''],
      ['members of', ''],
      ['Send it?', `yes${enter}`],
    ],
    { env },
  )
  t.equal(second.code, 0, second.shown)
  const message = await posted(second.shown)
  t.match(message, {
    form: 'seizure',
    subject: 'Scales in timber',
    fields: {
      country: 'KE',
      date: '2026-11-20',
      placeName: secret,
      mode: '1',
      origin: ['TZ'],
      items: [{ category: 'wildlife/pangolin/scales', quantity: '2.5', unit: 'TNE', estimated: true }],
    },
  })
  t.match(second.shown, /will read all of it/)
  const again = await atTerminal(t, ['post', '--form', 'seizure'], [['Subject:', '\u0003']], { env })
  t.notMatch(again.shown, /You have begun/, 'what is sent is no draft')
})

// Bites: wholePaste
t.test('a text that is pasted keeps its lines, and answers no further question', { skip }, async (t) => {
  const { code, shown } = await atTerminal(
    t,
    ['post', '--form', 'warning', '--subject', 'Timber', '--precedence', 'urgent', '--to', 'kenya'],
    [
      ['Reporting country', enter],
      ['What is suspected, and why', 'Two containers.\rOne shipper.\rNo history'],
      ['No history', enter],
      ['Risk indicators', `.${enter}`],
      ['Addressed to kenya', ''],
      ['Send it?', `yes${enter}`],
    ],
    { env },
  )
  t.equal(code, 0, shown)
  t.match(await posted(shown), {
    precedence: 'urgent',
    fields: { country: 'KE', suspicion: 'Two containers.\nOne shipper.\nNo history' },
  })
  const number = /Sent as (#\d+)/.exec(shown)?.[1] ?? ''
  const [coloured, plain] = [
    await atTerminal(t, ['read', number], [], { env }),
    await atTerminal(t, ['read', number], [], { env: { ...env, NO_COLOR: '1' } }),
  ]
  t.match(coloured.shown, /\u001b\[31murgent\u001b/)
  t.match(coloured.shown, /\u001b\[33mTLP:AMBER\u001b/)
  t.notMatch(plain.shown, /\u001b\[3\dm/)
  t.match(plain.shown, /warning, urgent, TLP:AMBER/)
  const list = await atTerminal(t, ['read'], [], { env: { ...env, NO_COLOR: '1' }, columns: 80 })
  t.match(list.shown, /^thread +subject +form +TLP +from +newest/m)
  for (const line of list.shown.split(/\r?\n/)) t.ok(line.length <= 80, line)
})

// Bites: requireMaySend
t.test('without a terminal nothing is asked, and who may not send a form is told before', { skip }, async (t) => {
  const piped = await ended(desk.start(['post', '--form', 'seizure']))
  t.equal(piped.code, 2)
  t.match(piped.stderr, /give its fields with --fields/)
  const refused = await atTerminal(
    t,
    ['post', '--form', 'feedback'],
    [
      ['Number of the message that it answers', `100000${enter}`],
      ['no message "100000"', '\u0003'],
    ],
    { env },
  )
  t.equal(refused.code, 130)
  await coordinator.operations.advance(operation, 'reporting')
  const late = await atTerminal(t, ['post', '--form', 'warning'], [], { env })
  t.equal(late.code, 1)
  t.match(late.shown, /is reporting: nobody can send a warning now/)
  t.notMatch(late.shown, /warning\.issue/)
})
