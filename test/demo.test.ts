import t from 'tap'
import { runDemo, type DemoOptions, type Demonstration } from '../src/cli/demo/demo.ts'
import { describe } from '../src/cli/demo/describe.ts'
import { planOperation, type Plan } from '../src/cli/demo/generator.ts'

const organizations = 6

/**
 * The first administrations of the demonstration with some of their seizures, and the last of them
 * leaving midway.
 */
function smallPlan(): Plan {
  const whole = planOperation({ seed: 7 })
  const messages = whole.messages
    .filter(({ form, sender, refersTo }) => form === 'seizure' && sender < organizations - 1 && refersTo === undefined)
    .slice(0, 24)
    .map((message, i) => ({ ...message, thread: i }))
  return {
    organizations: whole.organizations.slice(0, organizations),
    messages,
    departure: { organization: organizations - 1, before: messages.length / 2 },
  }
}

interface Goods {
  category: string
  quantity: string
  unit: string
}

/** Grams as a plain sum over what the plan says: no code of the figures has a part in it. */
function grams(plan: Plan, within: string): number {
  const goods = plan.messages.flatMap(({ fields }) => (fields as { items: Goods[] }).items)
  return goods
    .filter(({ category }) => category === within || category.startsWith(`${within}/`))
    .reduce((sum, { quantity, unit }) => sum + Math.round(Number(quantity) * (unit === 'KGM' ? 1000 : 1)), 0)
}

const plan = smallPlan()
const published = {
  seizures: plan.messages.length,
  drugsKg: String(grams(plan, 'drugs') / 1000),
  syntheticDrugsKg: String(grams(plan, 'drugs/synthetic') / 1000),
}

async function demonstrate(
  owner: { teardown(clean: () => Promise<unknown>): void },
  changes: Partial<DemoOptions>,
): Promise<Demonstration> {
  const lines = { advance: () => {}, stop: () => {} }
  const demonstration = await runDemo({ plan, published, say: () => {}, progress: () => lines, ...changes })
  owner.teardown(async () => {
    await demonstration.cast.close()
    await demonstration.service.stop()
  })
  return demonstration
}

t.test('reader, server and what was published agree, and the log verifies', async (t) => {
  const { result, played } = await demonstrate(t, {})
  t.equal(result.accepted, plan.messages.length)
  t.equal(result.figures.agree, true)
  t.equal(result.figures.server.seizures, plan.messages.length)
  t.equal(result.log.verified, true)
  t.equal(
    result.deliveries,
    plan.messages.length * organizations + plan.departure.before,
    'the coordinator and the others all, the leaver half',
  )
  t.equal(played.removal.receivedAfter, 0)
  t.strictSame(played.alarms, [])
})

t.test('a reader that lost one message does not agree, and the demonstration says so', async (t) => {
  const demonstration = await demonstrate(t, { readerHas: (messages) => messages.slice(1) })
  t.equal(demonstration.result.figures.agree, false)
  t.ok(describe(demonstration).some((line) => line.includes('agree: false')))
})
