import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { opened, partyOf, takeIn } from './support/actors.ts'
import { repository } from './support/architecture.ts'
import { patience } from './support/counts.ts'
import { lasting, runPage } from './support/page.ts'
import { pythonWith } from './support/python.ts'
import { temporaryDirectory } from './support/server.ts'
import { admitInTwoSteps, postUnderThreeEpochs } from './support/three-epochs.ts'
import { usualOperation } from './support/usual-operation.ts'

// What this holds: docs/integrating.md as it is written, run in an operation that has had three
// epochs and a change of roles, and what it prints.
// What makes it fail: a step that takes one key, one message or one operation for the only one.
// `tap test/integrating.test.ts --test-arg=--write` writes what the service answers today into the
// page.
const place = join(repository, 'docs/integrating.md')
const lacking = ['bash', 'curl', 'jq'].filter(
  (tool) => spawnSync(tool, ['--version'], { timeout: 30_000 }).status !== 0,
)
const found = pythonWith(join(repository, 'contrib/python/requirements.txt'))
const skip =
  lacking.length > 0
    ? `docs/integrating.md cannot be run: there is no ${lacking.join(', no ')}`
    : 'missing' in found
      ? `docs/integrating.md cannot be run: ${found.missing}`
      : false

t.test(
  'the steps of docs/integrating.md lead from an invitation to the messages of three epochs read and one posted',
  { skip, timeout: Math.max(patience.timeout, 280_000) },
  async (t) => {
    const { administrator, coordinator, operation } = await usualOperation(t)
    const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
    await takeIn(coordinator, operation, kenya, 'ncp')
    const session = await kenya.client.follow(operation)
    await postUnderThreeEpochs(t, { administrator, coordinator, operation }, session)
    const { text, person } = await kenya.client.directory.invite({
      person: { name: 'A newcomer' },
      organization: kenya.organization,
      tier: 'person',
    })
    const admitted = async () => {
      await kenya.client.directory.certifyWaiting()
      const { organization } = kenya
      await admitInTwoSteps({ coordinator, operation }, kenya.client, { person, organization })
    }
    const page = await readFile(place, 'utf8')
    const cwd = temporaryDirectory(t)
    const python = 'python' in found ? dirname(found.python) : ''
    const env = { PATH: `${python}:${process.env['PATH'] ?? ''}`, LANG: 'C.UTF-8', INVITATION: text }
    const fresh = await runPage(page, { cwd, env }, async (command) => {
      if (command.startsWith('ask GET /v1/me')) await admitted()
    })
    if (process.argv.includes('--write')) await writeFile(place, fresh)
    else t.equal(lasting(page), lasting(fresh))
    const { id } = JSON.parse(await readFile(join(cwd, 'receipt.json'), 'utf8')) as { id: string }
    t.match(
      await opened(kenya.client, operation, id),
      { subject: 'From curl', epoch: 3, marks: [] },
      'the SDK opens what curl posted',
    )
    t.same(session.alarms, [])
  },
)
