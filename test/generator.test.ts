// What this holds: the demonstration's plan is possible in every part, the same each time, and
// weighs what was published.
import fc from 'fast-check'
import t from 'tap'
import { may, type Role } from '../src/access.ts'
import { planOperation, published, type Plan } from '../src/cli/demo/generator.ts'
import { divide, seededChance } from '../src/cli/demo/random.ts'
import { figuresOf } from '../src/client/figures.ts'
import {
  findForm,
  mayRefer,
  permissionsFor,
  rollUp,
  validateExtract,
  extractOf,
  validateFields,
  validateSubject,
} from '../src/forms/index.ts'

const plan = planOperation({ seed: 20_260_907 })

function figuresOfPlan({ messages }: Plan) {
  return figuresOf(
    messages.map(({ sender, form, fields, thread, refersTo }, index) => ({
      id: String(index),
      index,
      thread: String(thread),
      organization: String(sender),
      form,
      exercise: false,
      fields,
      ...(refersTo === undefined ? {} : { refersTo: { message: String(refersTo.message), as: refersTo.as } }),
    })),
  )
}

t.test('whoever counts the plan finds what was published, whatever the seed', async (t) => {
  for (const seed of [0, 1, -7, 2 ** 31, 20_260_907]) {
    const figures = figuresOfPlan(planOperation({ seed }))
    t.equal(figures.seizures, published.seizures)
    t.same(figures.totals, [{ unit: 'KGM', quantity: published.drugsKg, estimated: '0' }])
    t.same(rollUp(figures.quantities, 'drugs'), figures.totals)
    t.equal(rollUp(figures.quantities, 'drugs/synthetic')[0]?.quantity, published.syntheticDrugsKg)
  }
})

t.test('a message that is lost is missed', async (t) => {
  const standing = new Set(plan.messages.keys())
  for (const { refersTo } of plan.messages)
    if (refersTo !== undefined && refersTo.as !== 'reply' && refersTo.as !== 'feedback')
      standing.delete(refersTo.message)
  const seizures = [...standing].filter(
    (n) => plan.messages[n]?.form === 'seizure' && plan.messages[n].refersTo?.as !== 'correction',
  )
  t.ok(seizures.length > 900)
  for (const lost of [seizures[0], seizures[400], seizures.at(-1)]) {
    const messages = plan.messages.map((message, n) => (n === lost ? { ...message, form: 'text' as const } : message))
    const figures = figuresOfPlan({ ...plan, messages })
    t.equal(figures.seizures, published.seizures - 1)
    t.not(figures.totals[0]?.quantity, published.drugsKg)
  }
})

t.test('the same seed gives the same plan, another seed another', async (t) => {
  const again = planOperation({ seed: 20_260_907 })
  t.equal(JSON.stringify(again), JSON.stringify(plan))
  t.not(JSON.stringify(planOperation({ seed: 20_260_908 })), JSON.stringify(plan))
})

t.test('those who took part: 79 administrations, 8 regional offices, 11 partners', async (t) => {
  const count = (kind: string) => plan.organizations.filter((organization) => organization.kind === kind).length
  t.same([count('administration'), count('rilo'), count('partner')], [79, 8, 11])
  t.equal(new Set(plan.organizations.map(({ name }) => name)).size, 98)
  const countries = plan.organizations.flatMap(({ country }) => country ?? [])
  t.equal(new Set(countries).size, 79)
  for (const { kind, country, region } of plan.organizations) {
    t.equal(country !== undefined, kind === 'administration')
    t.equal(region !== undefined, kind !== 'partner')
  }
})

t.test('no message is one that its form, its sender’s role or its place would refuse', async (t) => {
  const roles: Record<string, Role> = { administration: 'ncp', rilo: 'analyst', partner: 'partner' }
  const refused: string[] = []
  for (const [n, message] of plan.messages.entries()) {
    const { form: id, version, fields, subject, sender, refersTo, thread, addressees } = message
    const target = refersTo === undefined ? undefined : plan.messages[refersTo.message]
    const form = findForm(id, version)
    const organization = plan.organizations[sender]
    const role = roles[organization?.kind ?? '']
    const complain = (what: string): void => void refused.push(`${n} ${id}: ${what}`)
    if (form === undefined || role === undefined || organization === undefined) complain('no form, no role')
    else {
      if (!mayRefer(form, refersTo?.as, target?.form)) complain('may not refer so')
      for (const permission of permissionsFor(id, refersTo?.as, refersTo === undefined, false))
        if (!may(role, permission, 'active').allowed) complain(`${role} may not ${permission}`)
    }
    for (const { reason, pointer } of [
      ...validateFields(id, version, fields),
      ...validateSubject(id, version, subject),
    ])
      complain(`${reason} ${pointer}`)
    for (const { reason, pointer } of validateExtract(id, version, extractOf(id, version, fields)))
      complain(`extract ${reason} ${pointer}`)
    if (refersTo !== undefined && refersTo.message >= n) complain('refers to what comes after it')
    if (thread !== (target?.thread ?? n)) complain('is in the wrong thread')
    if (['correction', 'withdrawal'].includes(refersTo?.as ?? '') && target?.sender !== sender)
      complain('changes what is not its own')
    if (refersTo?.as === 'feedback' && !target?.addressees?.includes(sender))
      complain('answers what was not addressed to it')
    if ((addressees !== undefined) !== (id === 'warning')) complain('addressees')
    if (addressees?.includes(sender)) complain('is addressed to its sender')
    if (id === 'seizure' && fields['country'] !== organization?.country) complain('reports for another country')
  }
  t.same(refused, [])
})

t.test('every addressee of a warning answers once', async (t) => {
  const answers = plan.messages
    .filter(({ form }) => form === 'feedback')
    .map(({ refersTo, sender }) => `${refersTo?.message} ${sender}`)
  const owed = plan.messages.flatMap(({ addressees = [] }, n) => addressees.map((addressee) => `${n} ${addressee}`))
  t.same(answers.toSorted(), owed.toSorted())
  t.ok(owed.length > 100)
})

t.test('whoever leaves midway has spoken before and is silent after', async (t) => {
  const { organization, before } = plan.departure
  const spoke = plan.messages.flatMap(({ sender }, n) => (sender === organization ? [n] : []))
  t.ok(spoke.length > 0)
  t.ok(spoke.every((n) => n < before))
  t.notOk(plan.messages.some(({ addressees }) => addressees?.includes(organization)))
})

t.test('corrections and withdrawals are in it, and can be left out', async (t) => {
  const count = (of: Plan, as: string) => of.messages.filter(({ refersTo }) => refersTo?.as === as).length
  t.equal(count(plan, 'correction'), 12)
  t.equal(count(plan, 'withdrawal'), 5)
  const bare = planOperation({ seed: 3, corrections: 0, duplicates: 0, warnings: 0 })
  t.equal(bare.messages.length, published.seizures)
  t.ok(bare.messages.every(({ form, refersTo }) => form === 'seizure' && refersTo === undefined))
})

t.test('container numbers have the check digit of ISO 6346', async (t) => {
  const values = Object.fromEntries(
    Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ').map((letter, n) => [
      letter,
      [10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 36, 37, 38][n] ?? 0,
    ]),
  )
  const check = (bare: string) =>
    (Array.from(bare).reduce((sum, c, n) => sum + (values[c] ?? Number(c)) * 2 ** n, 0) % 11) % 10
  t.equal(check('CSQU305438'), 3, 'the example of the standard')
  const numbers = plan.messages.flatMap(({ fields }) =>
    ((fields['lookFor'] ?? []) as { kind: string; identifier: string }[])
      .filter(({ kind }) => kind === 'container')
      .map(({ identifier }) => identifier),
  )
  t.ok(numbers.length > 10)
  for (const number of numbers) t.equal(String(check(number.slice(0, -1))), number.slice(-1), number)
})

t.test('a whole is divided without a rest, or not at all', async (t) => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 500 }), fc.nat({ max: 10_000_000 }), (seed, parts, more) => {
      const shares = divide(parts + more, parts, seededChance(seed))
      return (
        shares.length === parts &&
        shares.every((share) => share >= 1) &&
        shares.reduce((a, b) => a + b, 0) === parts + more
      )
    }),
  )
  t.throws(() => divide(9, 10, seededChance(1)), RangeError)
  t.throws(() => divide(9, 0, seededChance(1)), RangeError)
  t.throws(() => seededChance(1).pick([]), RangeError)
})
