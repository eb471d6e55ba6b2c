import t from 'tap'
import { privatePostgres } from './support/database.ts'
import { isProblem } from '../src/client/index.ts'
import { operationOn } from './support/actors.ts'
import { checkLog } from './support/check-log.ts'
import { startServer } from './support/server.ts'

const words = (text: string) => ({ form: 'text', fields: { text } })
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

t.test('while the database is away nothing is acknowledged; the service says so and recovers by itself', async (t) => {
  const postgres = await privatePostgres(t)
  const database = { name: 'cordon', url: postgres.appUrl, ownerUrl: postgres.ownerUrl, superUrl: postgres.superUrl }
  const server = await startServer(t, { database, logLevel: 'silent' })
  const { coordinator, operation } = await operationOn(t, server)
  const session = await coordinator.follow(operation)
  const before = await session.post(words('Before.'))

  const pid = postgres.pid()
  t.ok(pid)
  process.kill(pid ?? 0, 'SIGKILL')
  const during = session.post(words('During.'), 90_000)
  const asked = () =>
    coordinator.transport.request('GET', `/v1/operations/${operation}`, undefined, false).then(
      () => 'right',
      (error: unknown) => (isProblem(error) ? error.code : String(error)),
    )
  const answers: string[] = []
  while (answers.length < 1_000 && answers.at(-1) !== 'DATABASE_UNAVAILABLE') answers.push(await asked())
  t.strictSame(
    [...new Set(answers)].filter((answer) => answer !== 'right'),
    ['DATABASE_UNAVAILABLE'],
    'each answer is right or says so',
  )

  const posted = await during
  t.ok(posted.index > before.index, 'what waited is accepted once the database is back')
  const after = await session.post(words('After.'))
  t.ok(after.index > posted.index)
  let status = 0
  for (let i = 0; i < 100 && status !== 200; i++) {
    status = (await fetch(`${server.url}/readyz`)).status
    await sleep(50)
  }
  t.equal(status, 200)
  await checkLog(server)
})
