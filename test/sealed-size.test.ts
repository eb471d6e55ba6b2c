// What this holds: a writer is told before anything is sealed that a message is too large, with its
// size and the limit.
// What makes it fail: a size that is smaller than that of the sealed message, or a check that comes
// after the sealing.
import fc from 'fast-check'
import t from 'tap'
import { isProblem } from '../src/client/index.ts'
import { describeBody, limits, makeEpochKey, sealBody, sealedSize, type DeviceId } from '../src/protocol/index.ts'
import { usualOperation } from './support/usual-operation.ts'
import { freshId } from './support/wire.ts'

t.test(
  'the size that is said beforehand is that of the sealed message, give or take the digits of an epoch',
  async () => {
    const key = makeEpochKey((length) => crypto.getRandomValues(new Uint8Array(length)))
    const device = 'A'.repeat(43) as DeviceId
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.nat(60_000).map((length) => 'ä'.repeat(length)),
    )
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.option(fc.string(), { nil: undefined }),
        fc.integer({ min: 1, max: 1_000_000 }),
        async (text, subject, epoch) => {
          const content = {
            form: 'text',
            fields: { text },
            ...(subject === undefined ? {} : { subject }),
            attachments: [],
          }
          const body = await sealBody({ compartment: freshId(), epoch, message: freshId(), device }, content, key)
          const { size } = await describeBody(body)
          const said = sealedSize(content)
          return said >= size && said <= size + 8
        },
      ),
      { numRuns: 200 },
    )
  },
)

// Bites: `requireValid`, which asks for the size.
t.test('a form that is filled to its bounds, and cannot be sealed, is refused with the limit', async (t) => {
  const { coordinator, operation } = await usualOperation(t)
  const session = await coordinator.follow(operation)
  const before = session.messages.length
  const item = { category: 'drugs/cocaine', quantity: '1', unit: 'KGM', description: 'x'.repeat(1_000) }
  const seizure = (items: number) => ({
    form: 'seizure',
    fields: { country: 'KE', date: '2026-11-20', items: Array.from({ length: items }, () => item) },
  })
  const refused = await session.post(seizure(200)).catch((error: unknown) => error)
  t.ok(isProblem(refused, 'FIELDS_INVALID'))
  const [fault] = (refused as { extra: { faults: { pointer: string; reason: string; advice: string }[] } }).extra.faults
  t.match(fault, { pointer: '/fields', reason: 'too-long', advice: /has \d+ bytes and may have at most 262144/ })
  t.equal(session.messages.length, before)
  await t.resolves(session.post(seizure(150)), 'a smaller one goes')
  t.equal(limits.body, 262_144)
})
