// What this holds: people on a log that lost entries are told so at once, by every way that leads
// to it, and nothing hangs.
// What makes it fail: leaving out the `read-only` of src/live/connection.ts, or the comparison in
// src/client/self-check.ts.
import t from 'tap'
import { isProblem } from '../src/client/index.ts'
import { operationOn } from './support/actors.ts'
import { freePort } from './support/command.ts'
import { copyOfDatabase, testDatabase } from './support/database.ts'
import { startServer, temporaryDirectory } from './support/server.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

t.test('who saw more than the service still has is told, and by how many entries', async (t) => {
  const [database, directory, port] = [await testDatabase(t), temporaryDirectory(t), await freePort()]
  const first = await startServer(t, { database, directory, port, altered: true })
  const { coordinator, operation } = await operationOn(t, first)
  const session = await coordinator.follow(operation)
  await session.post(text('In the backup.'))
  await coordinator.close()
  await first.close()
  const backup = await copyOfDatabase(t, database)

  const second = await startServer(t, { database, directory, port, altered: true })
  const later = await coordinator.follow(operation)
  await later.post(text('Not in the backup.'))
  await later.ready()
  await second.logs.covering(operation, later.position)
  await coordinator.close()
  await second.close()

  const restored = await startServer(t, { database: backup, directory, port, altered: true })
  t.ok(restored.readOnly.some(({ log, missing }) => log === operation && missing > 0))
  const again = await coordinator.follow(operation)
  t.equal(await code(again.ready(10_000)), 'LOG_SET_BACK')
  t.equal(await code(again.post(text('Nobody takes this.'), 10_000)), 'LOG_SET_BACK')
  const { discrepancies } = await coordinator.checkOwnPlace(operation)
  const says = /this device verified \d+ entries, and the service shows \d+: the log was set back by \d+/
  t.ok(discrepancies.some(({ what }) => says.test(what)))
})
