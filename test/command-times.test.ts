// What this holds: how long the commands that an officer types most take, as whole processes, with
// the agent and without.
// What makes it fail: code that a command loads and does not need, a request that the agent could
// spare. The limits are those of a quiet machine: they are asked where the counts are whole.
import t from 'tap'
import { howMany, patience } from './support/counts.ts'
import { joinWithDesk, temporary } from './support/command.ts'
import { usualOperation } from './support/usual-operation.ts'

const runs = howMany(1, 11)
const stage = await usualOperation(t)
const desk = await joinWithDesk(t, temporary(t), stage, { name: 'kenya', country: 'KE' })
const leads = await stage.coordinator.follow(stage.operation)
for (let n = 0; n < howMany(3, 40); n++)
  await leads.post({
    form: 'text',
    subject: `Message ${String(n)}`,
    fields: { text: 'A container of teak left Mombasa.' },
  })

const commands: readonly { readonly words: readonly string[]; readonly alone: number; readonly withAgent: number }[] = [
  { words: ['--version'], alone: 100, withAgent: 100 },
  { words: ['read'], alone: 500, withAgent: 150 },
  { words: ['search', 'teak'], alone: 500, withAgent: 150 },
  { words: ['figures'], alone: 500, withAgent: 150 },
  { words: ['operation', 'show'], alone: 500, withAgent: 150 },
  { words: ['post', 'Seen.'], alone: Number.POSITIVE_INFINITY, withAgent: 250 },
]

async function measure(
  t: {
    equal(found: unknown, wanted: unknown): boolean
    ok(value: unknown, what: string): boolean
    comment(line: string): void
  },
  how: 'alone' | 'withAgent',
): Promise<void> {
  for (const { words, ...limits } of commands) {
    await desk.run(words)
    const took: number[] = []
    for (let n = 0; n < runs; n++) {
      const begun = performance.now()
      const { code } = await desk.run(words)
      took.push(performance.now() - begun)
      t.equal(code, 0)
    }
    const median = took.sort((a, b) => a - b)[Math.floor(took.length / 2)] ?? Number.NaN
    const line = `cordon ${words.join(' ')}, ${how === 'alone' ? 'alone' : 'with the agent'}: ${median.toFixed(0)} ms`
    if (runs > 1) t.ok(median <= limits[how], line)
    else t.comment(line)
  }
}

t.test('commands alone', patience, (t) => measure(t, 'alone'))

t.test('commands with the agent', patience, async (t) => {
  t.equal((await desk.run(['agent'])).code, 0)
  t.teardown(() => desk.run(['lock']))
  await measure(t, 'withAgent')
})
