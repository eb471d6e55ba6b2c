// What this holds: a client goes on whatever the service, the network or a clock does for a while,
// and never takes that for an attack.
// What makes it fail: that a proof is checked against another checkpoint than it was asked for,
// elapsed time by a clock that can be set, a wait without an end, a refusal that nobody can tell
// whose it is.
import t from 'tap'
import type { Cordon } from '../src/client/index.ts'
import { opened } from './support/actors.ts'
import type { Altered, Frame } from './support/altered.ts'
import { alteredOperations, text } from './support/altered-operation.ts'

const scene = alteredOperations(t)

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let n = 0; n < 400; n++) {
    if (holds()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`it never came to this: ${what}`)
}

/**
 * Keeps the next answer to a subscription back, until it is let go: it then comes before the next
 * frame.
 */
function holdCaughtUp(altered: Altered, operation: string) {
  let held: Frame | undefined
  let holding = true
  altered.frame = (frame) => {
    if (holding && frame.type === 'caught-up' && frame['operation'] === operation) {
      held = frame
      return undefined
    }
    const first = holding ? undefined : held
    if (first) held = undefined
    return first ? [first, frame] : frame
  }
  return { isHeld: () => held !== undefined, letGo: () => void (holding = false) }
}

/**
 * A message of somebody who has seen more of the log than Kenya, whose view of it is then to be
 * checked.
 */
async function postFromAhead(sender: Cordon, kenya: Cordon, operation: string): Promise<void> {
  await sender.operations.leave(operation)
  const ahead = await sender.follow(operation)
  await ahead.ready()
  const { message } = await ahead.post(text('Seen further.'))
  await opened(kenya, operation, message)
}

t.test('INV-150: what is checked while a subscription is answered is no break of the log', async (t) => {
  for (const checks of ['once it is asked for', 'before and until it is answered', 'twice']) {
    const { kenya, thailand, coordinator, operation, altered } = await scene()
    const session = await kenya.follow(operation)
    await session.ready()
    await session.post(text('First.'))
    await postFromAhead(thailand, kenya, operation)
    const seen = session.seen?.size ?? 0
    const held = holdCaughtUp(altered, operation)
    const before = checks.startsWith('before') ? session.checkSeen() : undefined
    altered.cut()
    await until('the answer is kept back', held.isHeld)
    await before
    await session.checkSeen()
    if (checks === 'twice') {
      await postFromAhead(coordinator, kenya, operation)
      await session.checkSeen()
    }
    held.letGo()
    await (await thailand.follow(operation)).post(text('And on.'))
    await until('it has caught up', () => session.status === 'live')
    await session.checkSeen()
    t.same(session.alarms, [], checks)
    t.ok((session.seen?.size ?? 0) > seen, 'and it has seen more than before')
    await t.resolves(session.ready())
  }
})
