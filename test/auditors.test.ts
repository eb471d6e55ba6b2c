// What this holds: auditors find in a log exactly what is there, by every filter and every pair of
// them, page by page while it grows; others see what their role and the rule of `own` show; and
// nothing is read without an entry that says so.
// What makes it fail: a filter left out of a statement, a scope not applied, the entry made after
// the reading or not at all.
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { commonWord, generateLog, idOf, rareWord } from '../bench/log-generator.ts'
import { csvLine } from '../src/cli/csv.ts'
import { instantIn } from '../src/cli/zones.ts'
import { openDatabase, type Tx } from '../src/db/index.ts'
import { readQuery } from '../src/log/filters.ts'
import { queryLog } from '../src/log/queries.ts'
import { parseLeaf, type Leaf } from '../src/protocol/index.ts'
import { enrolWith, partyOf, takeIn } from './support/actors.ts'
import { admin } from './support/database.ts'
import { everybodyMay, patchedServer } from './support/patched.ts'
import { cellsOf, everyRole, type EveryRole } from './support/roles.ts'
import { startServer } from './support/server.ts'
import { usualOperation } from './support/usual-operation.ts'
import { createOperation, went } from './support/wire-operation.ts'
import { codeOf, freshId, newcomer, setUp, type Answer, type WireActor } from './support/wire.ts'

type Filters = Readonly<Record<string, string | number>>

interface Shown {
  readonly leaf: Leaf
  readonly details?: string
  readonly salt?: string
}

const pathOf = (log: string, filters: Filters) =>
  `/v1/logs/${log}/entries?${new URLSearchParams(Object.entries(filters).map(([name, value]): [string, string] => [name, String(value)])).toString()}`

const ask = (actor: WireActor, log: string, filters: Filters = {}): Promise<Answer> =>
  actor.call('GET', pathOf(log, filters))

const shownIn = ({ body }: Answer): Shown[] =>
  body.entries.map(({ leaf, ...rest }: { leaf: string }) => ({ leaf: parseLeaf(leaf), ...rest }))

/** Everything that a query finds, page by page. */
async function walk(actor: WireActor, log: string, filters: Filters, limit = 500): Promise<Shown[]> {
  const all: Shown[] = []
  for (let after: number | null | undefined; after !== null;) {
    const page = went(await ask(actor, log, { ...filters, limit, ...(after === undefined ? {} : { after }) }))
    all.push(...shownIn(page))
    after = page.body.next as number | null
  }
  return all
}

const personOf = ({ actor }: Leaf) => ('person' in actor ? actor.person : undefined)
const organizationOf = ({ actor }: Leaf) => ('person' in actor ? actor.organization : undefined)
const deviceOf = ({ actor }: Leaf) => ('person' in actor ? actor.device : undefined)

interface Filter {
  readonly filters: Filters
  readonly holds: (shown: Shown) => boolean
}

/**
 * One value of each filter, some of them two, with what it means said without the code that applies
 * it.
 */
function samples({ byRole, shared, messages, organizations }: EveryRole, all: readonly Shown[]): Filter[] {
  const at = (part: number) => all[Math.floor(all.length * part)]?.leaf.at ?? ''
  const [from, to] = [at(0.75), at(0.25)]
  const says = 'thorough'
  const { coordinator, ncp } = byRole
  return [
    { filters: { kind: 'message.posted' }, holds: ({ leaf }) => leaf.kind === 'message.posted' },
    {
      filters: { kind: 'member.*,report.viewed,body.fetched' },
      holds: ({ leaf }) => /^member\.|^(report\.viewed|body\.fetched)$/.test(leaf.kind),
    },
    { filters: { person: coordinator.person }, holds: ({ leaf }) => personOf(leaf) === coordinator.person },
    { filters: { person: ncp.person }, holds: ({ leaf }) => personOf(leaf) === ncp.person },
    {
      filters: { organization: organizations.kenya },
      holds: ({ leaf }) => organizationOf(leaf) === organizations.kenya,
    },
    { filters: { device: ncp.device.id }, holds: ({ leaf }) => deviceOf(leaf) === ncp.device.id },
    { filters: { compartment: shared }, holds: ({ leaf }) => leaf.compartment === shared },
    { filters: { message: messages.text }, holds: ({ leaf }) => leaf.subject === messages.text },
    { filters: { subject: ncp.person }, holds: ({ leaf }) => leaf.subject === ncp.person },
    { filters: { from }, holds: ({ leaf }) => leaf.at >= from },
    { filters: { to }, holds: ({ leaf }) => leaf.at < to },
    { filters: { from, to }, holds: ({ leaf }) => leaf.at >= from && leaf.at < to },
    { filters: { outcome: 'refused' }, holds: () => false },
    { filters: { outcome: 'done' }, holds: () => true },
    {
      filters: { text: says, from: all.at(-1)?.leaf.at ?? '' },
      holds: ({ details }) => details?.includes(says) === true,
    },
  ]
}

async function filled(scene: EveryRole): Promise<void> {
  const { operation, byRole, messages, shared } = scene
  const { ncp, officer, analyst, coordinator, auditor } = byRole
  for (const reader of [ncp, officer, analyst]) {
    went(await reader.call('GET', `${operation.path}/messages/${messages.text}`))
    went(await reader.call('GET', `${operation.path}/figures`))
    went(await operation.post(reader, { compartment: shared }))
  }
  went(await coordinator.call('PATCH', operation.path, { name: 'Operation of the auditors' }))
  for (const why of ['a thorough look', 'Thorough, and thoroughly: überprüft'])
    went(await ask(auditor, operation.id, { person: ncp.person, justification: why }))
}

t.test('INV-41: every filter, and every pair of filters, finds exactly what is there', async (t) => {
  const scene = await everyRole(t)
  await filled(scene)
  const { operation, byRole, server } = scene
  const { auditor } = byRole
  const all = await walk(auditor, operation.id, {})
  t.same(
    all.map(({ leaf }) => leaf.index),
    all.map((_, n) => all.length - 1 - n),
    'an auditor sees every entry, newest first',
  )
  const newest = all[0]?.leaf.index ?? 0
  const compare = async (label: string, filters: Filters, holds: (shown: Shown) => boolean) => {
    const found = (await walk(auditor, operation.id, { justification: 'a test', ...filters }, 25)).filter(
      ({ leaf }) => leaf.index <= newest,
    )
    const expected = all.filter(holds)
    t.same(
      found.map(({ leaf }) => leaf.index),
      expected.map(({ leaf }) => leaf.index),
      label,
    )
    return expected.length
  }
  const filters = samples(scene, all)
  const words = (one: Filter) => JSON.stringify(one.filters)
  for (const one of filters) {
    const count = await compare(words(one), one.filters, one.holds)
    if (one.filters['outcome'] !== 'refused') t.ok(count > 0, `${words(one)} finds something`)
  }
  let pairs = 0
  for (const [n, one] of filters.entries()) {
    for (const other of filters.slice(n + 1)) {
      const both = { ...one.filters, ...other.filters }
      const clash = Object.keys(both).length < Object.keys(one.filters).length + Object.keys(other.filters).length
      if (clash || ('message' in both && 'subject' in both)) continue
      pairs++
      await compare(`${words(one)} and ${words(other)}`, both, (shown) => one.holds(shown) && other.holds(shown))
    }
  }
  t.ok(pairs >= 70, `${String(pairs)} pairs`)

  for (const { leaf, details, salt } of all) {
    t.equal(details === undefined, leaf.private === undefined)
    if (details === undefined) continue
    const hash = createHash('sha256')
      .update(Buffer.from(salt ?? '', 'base64url'))
      .update(details)
    t.equal(hash.digest('base64url'), leaf.private, `details of ${leaf.kind}`)
  }
  await server.consultation.flush()
})

t.test('INV-41: pages stay as they were begun while the log grows, and hostile cursors are refused', async (t) => {
  const scene = await everyRole(t)
  const { operation, byRole, shared } = scene
  const { auditor, coordinator } = byRole
  const before = await walk(auditor, operation.id, { compartment: shared })
  const paged: number[] = []
  for (let after: number | null | undefined; after !== null;) {
    const cursor = after === undefined ? {} : { after }
    const page = went(await ask(auditor, operation.id, { compartment: shared, limit: 2, ...cursor }))
    t.ok(shownIn(page).length <= 2)
    paged.push(...shownIn(page).map(({ leaf }) => leaf.index))
    after = page.body.next as number | null
    went(await operation.post(coordinator, { compartment: shared }))
  }
  t.same(
    paged,
    before.map(({ leaf }) => leaf.index),
    'no entry twice, none left out, none that came later',
  )
  for (const after of ['-1', '1.5', '1e30', 'x', '', '9007199254740993', 'NaN', "1' OR '1'='1"])
    t.equal(codeOf(await ask(auditor, operation.id, { after })), '400 VALIDATION', `after ${JSON.stringify(after)}`)
  t.equal(codeOf(await auditor.call('GET', `/v1/logs/${operation.id}/entries?after=3&after=4`)), '400 VALIDATION')
  t.match((await ask(auditor, operation.id, { after: 0 })).body, { entries: [], next: null })
  const far = shownIn(went(await ask(auditor, operation.id, { after: Number.MAX_SAFE_INTEGER, limit: 1 })))
  t.equal(far[0]?.leaf.kind, 'log.queried', 'a cursor beyond the end begins at the end')
  for (const [name, value] of Object.entries({
    limit: '0',
    kind: 'no.such-kind',
    person: scene.byRole.ncp.person.toUpperCase(),
    organization: 'x',
    device: 'short',
    compartment: '1',
    message: 'a"b',
    from: '2026-02-30T00:00:00.000Z',
    to: 'yesterday',
    outcome: 'maybe',
    text: ' - ',
    nothing: 'of the kind',
  }))
    t.equal(codeOf(await ask(auditor, operation.id, { [name]: value })), '400 VALIDATION', `${name}=${value}`)
  t.equal(
    codeOf(await ask(auditor, operation.id, { subject: 'a\u0000b' })),
    '400 VALIDATION',
    'a character that no subject has',
  )
  t.equal(codeOf(await ask(auditor, operation.id, { limit: 501 })), '400 VALIDATION')
  const turned = { from: '2026-03-02T00:00:00.000Z', to: '2026-03-01T00:00:00.000Z' }
  t.equal(codeOf(await ask(auditor, operation.id, turned)), '400 VALIDATION', 'a range that ends before it begins')
  const odd = `%_'"\\ ; DROP TABLE log_entry`
  t.match((await ask(auditor, operation.id, { subject: odd })).body, { entries: [] })
})

t.test('words are whole words of values, of any script, within a time range or for one person', async (t) => {
  const scene = await everyRole(t)
  const { operation, byRole } = scene
  const { auditor, ncp, coordinator } = byRole
  const from = '2026-01-01T00:00:00.000Z'
  const find = async (text: string, filters: Filters = { from }) =>
    (await walk(auditor, operation.id, { kind: 'operation.updated', justification: 'a test', ...filters, text })).length
  const names = [
    'Straße 17/b, Container MSKU-1234567',
    'проверка груза, ёлка',
    '100% [x] "quoted"\\next',
    'École İzmir, Đà Nẵng, Łódź',
    'Ｗａｒｅ Tro\u00admsø',
  ]
  for (const name of names) went(await coordinator.call('PATCH', operation.path, { name }))
  for (const text of ['STRASSE', 'strasse straße', 'straße', 'da nang', 'lodz', 'tromso', 'WARE', 'елка', 'izmir'])
    t.ok((await find(text)) >= 1, text)
  t.ok((await find('msku 1234567')) >= 1)
  t.equal(await find('msku 123456'), 0, 'no part of a word')
  t.ok((await find('ПРОВЕРКА')) >= 1)
  t.ok((await find('école')) >= 1)
  t.ok((await find('İZMIR')) >= 1)
  t.ok((await find('next')) >= 1, 'an escaped backslash parts words')
  t.ok((await find('quoted')) >= 1)
  t.equal(await find('nnext'), 0)
  t.equal(await find('name'), 0, 'names of fields are no words')
  t.ok((await find('straße', { person: coordinator.person, justification: 'a test' })) >= 1, 'or for one person')
  t.equal(codeOf(await ask(auditor, operation.id, { text: 'straße' })), '400 QUERY_TOO_WIDE')
  t.equal(codeOf(await ask(auditor, operation.id, { text: 'straße', to: from })), '400 QUERY_TOO_WIDE')
  t.equal(codeOf(await ask(auditor, operation.id, { text: 'a b c d e f g h i j k', from })), '400 VALIDATION')
  for (const actor of [ncp, coordinator]) {
    t.equal(codeOf(await ask(actor, operation.id, { text: 'straße', from })), '403 FORBIDDEN', 'of others’ details')
    t.equal((await ask(actor, operation.id, { text: 'straße', person: actor.person })).status, 200, 'of one’s own')
  }

  const updates = { kind: 'operation.updated', from, justification: 'a test' }
  const one = await ask(auditor, operation.id, { ...updates, text: 'ecole', limit: 1 })
  t.equal(one.body.entries.length, 1, 'entries that the database took for fitting fill no page')
  t.match(one.body.entries[0].details, /École/)
})

t.test('INV-41: each role sees what its table and its own entries show, and details are for auditors', async (t) => {
  const scene = await everyRole(t)
  await filled(scene)
  const { operation, byRole, organizations } = scene
  const all = await walk(byRole.auditor, operation.id, {})
  const newest = all[0]?.leaf.index ?? 0
  const view = await operation.view()
  const cells = cellsOf('access-entries')
  const sightOf = (role: string, kind: string) => {
    const row =
      cells.find((cell) => cell.row === kind) ??
      cells.find((cell) => cell.row.endsWith('.*') && kind.startsWith(cell.row.slice(0, -1)))
    return cells.find((cell) => cell.row === row?.row && cell.column === role)?.value ?? 'no'
  }
  for (const [role, actor] of Object.entries(byRole)) {
    if (role === 'auditor') continue
    const grant = cellsOf('access-roles').find(({ row, column }) => row === 'log.query' && column === role)?.value
    if (grant === 'no') {
      t.match((await ask(actor, operation.id)).body, { code: 'FORBIDDEN', permission: 'log.query' }, role)
      continue
    }
    const found = (await walk(actor, operation.id, {}, 20)).filter(({ leaf }) => leaf.index <= newest)
    const isOwn = (leaf: Leaf) =>
      role === 'ncp' ? organizationOf(leaf) === organizations.kenya : personOf(leaf) === actor.person
    const concerns = ({ compartment }: Leaf) =>
      compartment === undefined || view.isIn(actor.person as never, compartment as never)
    const expected = all.filter(({ leaf }) => {
      const sight = sightOf(role, leaf.kind)
      return (grant === 'yes' || isOwn(leaf)) && (sight === 'yes' || (sight === 'compartment' && concerns(leaf)))
    })
    t.same(
      found.map(({ leaf }) => leaf.index),
      expected.map(({ leaf }) => leaf.index),
      `what ${role} sees`,
    )
    for (const { leaf, details } of found)
      t.equal(
        details !== undefined,
        leaf.private !== undefined && personOf(leaf) === actor.person,
        `details for ${role}`,
      )
    const other = await ask(actor, operation.id, { person: byRole.analyst.person, justification: 'a test' })
    if (grant === 'own' && role !== 'ncp') t.equal(codeOf(other), '403 FORBIDDEN', `${role} asks for somebody else`)
    else if (role === 'ncp') t.match(other.body, { entries: [] }, 'an NCP finds nothing of other organizations')
    else t.equal(other.status, 200)
    const own = await ask(actor, operation.id, { person: actor.person })
    t.equal(own.status, 200, `${role} needs no justification for its own`)
  }
  const stranger = scene.administrator
  const nothing = await ask(stranger, freshId())
  const hidden = await ask(stranger, operation.id)
  t.equal(nothing.status, 404)
  t.equal(hidden.text, nothing.text, 'who is no member hears that there is no such log')
  for (const filters of [{ person: byRole.ncp.person }, { device: byRole.ncp.device.id }])
    t.equal(codeOf(await ask(byRole.auditor, operation.id, filters)), '400 JUSTIFICATION_REQUIRED')
})

t.test('INV-40: looking is an entry, committed before anything is read', async (t) => {
  const scene = await everyRole(t)
  const { operation, byRole } = scene
  const { auditor, ncp } = byRole
  const filters = { kind: 'log.queried,message.*', limit: 3 }
  const first = went(await ask(auditor, operation.id, filters))
  const [own] = shownIn(first)
  t.match(own?.leaf, { kind: 'log.queried', actor: { person: auditor.person }, subject: operation.id })
  t.match(JSON.parse(own?.details ?? ''), { query: filters, justification: 'Operation (OP-1)', justifiedBy: 'purpose' })
  const next = { ...filters, after: first.body.next as number, person: ncp.person, justification: 'complaint 17' }
  went(await ask(auditor, operation.id, next))
  const [second, before] = shownIn(went(await ask(auditor, operation.id, { kind: 'log.queried' }))).slice(1)
  const { justification, after, ...asked } = next
  t.match(JSON.parse(second?.details ?? ''), { query: asked, justification, after }, 'the next page has its own entry')
  t.equal(before?.leaf.index, own?.leaf.index, 'and there is one entry for each page')
  const queried = async () => (await walk(auditor, operation.id, { kind: 'log.queried' })).length
  const count = await queried()
  for (const [actor, wrong] of [
    [ncp, { organization: scene.organizations.thailand }],
    [byRole.analyst, {}],
    [auditor, { text: 'x' }],
    [auditor, { person: ncp.person }],
  ] as const)
    t.ok((await ask(actor, operation.id, wrong)).status >= 400)
  t.equal(await queried(), count + 1, 'what is refused is not entered here')
})

t.test('with every check of rights forced to allow, an auditor elsewhere reads no row of the operation', async (t) => {
  const asAuditor = everybodyMay.map((patch) => ({
    ...patch,
    replace: patch.replace.replaceAll("'coordinator'", "'auditor'"),
  }))
  const server = await startServer(t, { create: await patchedServer(t, asAuditor), altered: true })
  const { administrator } = await setUp(server)
  const organization = freshId()
  await administrator.must('POST', '/v1/organizations', { id: organization, kind: 'rilo', name: 'A RILO' })
  const coordinator = await newcomer(administrator, { name: 'Coordinator', organization, tier: 'ncp' })
  const outsider = await newcomer(administrator, { name: 'Outsider', organization, tier: 'ncp' })
  const operation = await createOperation(t, administrator, coordinator)
  t.equal((await ask(coordinator, operation.id)).status, 200)
  t.equal(codeOf(await ask(outsider, operation.id)), '404 NOT_FOUND')
  const details = await admin(server.database.url, async (client) => {
    await client.query(`SELECT set_config('cordon.person', $1, false)`, [outsider.person])
    return (await client.query('SELECT 1 FROM log_private')).rowCount
  })
  t.equal(details, 0, 'details neither')
})

t.test('auditors of the platform query the directory, and nobody else does', async (t) => {
  const server = await startServer(t)
  const { administrator } = await setUp(server)
  const organization = freshId()
  await administrator.must('POST', '/v1/organizations', { id: organization, kind: 'rilo', name: 'A RILO' })
  const auditor = await newcomer(administrator, { name: 'Auditor', organization, tier: 'auditor' })
  const ncp = await newcomer(administrator, { name: 'NCP', organization, tier: 'ncp' })
  await t.rejects(newcomer(ncp, { name: 'Not by an NCP', organization, tier: 'auditor' }), /403/)
  const log = server.logs.directory
  for (const actor of [administrator, ncp]) t.equal(codeOf(await ask(actor, log)), '403 AUDITOR_ONLY')
  await server.refusals.flush()
  const refused = shownIn(went(await ask(auditor, log, { outcome: 'refused' })))
  t.ok(refused.length >= 2)
  t.ok(refused.every(({ leaf }) => leaf.kind.endsWith('.refused')))
  const done = await walk(auditor, log, { outcome: 'done' }, 4)
  t.ok(done.every(({ leaf }) => !leaf.kind.endsWith('.refused')))
  const all = await walk(auditor, log, {})
  t.same(
    all.map(({ leaf }) => leaf.index),
    all.map((_, n) => all.length - 1 - n),
  )
  t.match(all[0], { leaf: { kind: 'log.queried', subject: log } })
  t.match(JSON.parse(all[0]?.details ?? ''), { justification: 'the audit of the platform' })
  t.equal(codeOf(await ask(auditor, log, { person: ncp.person })), '400 JUSTIFICATION_REQUIRED')
  const sessions = await walk(auditor, log, { person: ncp.person, kind: 'session.*', justification: 'a test' })
  t.ok(sessions.length > 0 && sessions.every(({ leaf }) => personOf(leaf) === ncp.person))
})

t.test('no filter reads a log from end to end', async (t) => {
  const scene = await everyRole(t)
  const { operation, byRole, server } = scene
  const { auditor } = byRole
  const people = [byRole.coordinator, byRole.ncp, byRole.officer].map(({ person, organization, device }) => ({
    person,
    organization,
    device: device.id,
  }))
  // The log still verifies when the server closes.
  const size = 20_000
  await generateLog(server.database.superUrl, { log: operation.id, people, server: 'cordon.test', size })
  const db = openDatabase({ connectionString: server.database.url, connections: 1, onError: () => {} })
  t.teardown(() => db.close())
  const readSoFar = async () => {
    await sql`SELECT pg_stat_force_next_flush()`.execute(db.kysely)
    const { rows } = await sql<{ scans: number; read: number }>`
      SELECT sum(seq_scan)::int AS scans, sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::int AS read FROM pg_stat_user_tables
      WHERE relname IN ('log_entry', 'log_private')`.execute(db.kysely)
    return rows[0] ?? { scans: Number.NaN, read: Number.NaN }
  }
  const everything = async (tx: Tx) => {
    await sql`SELECT set_config('cordon.person', ${auditor.person}, true)`.execute(tx)
    return { kinds: undefined, shows: () => true, showsDetails: () => true }
  }
  const at = async (index: number) => {
    const { body } = went(await ask(auditor, operation.id, { after: index, limit: 1 }))
    return shownIn({ body } as Answer)[0]?.leaf.at ?? ''
  }
  const range = { from: await at(8_000), to: await at(16_000) }
  const kind = { kind: 'body.fetched' }
  const [fetched] = shownIn(went(await ask(auditor, operation.id, { ...kind, limit: 1 })))
  const singles: Record<string, string>[] = [
    kind,
    { kind: 'member.*,records.imported' },
    { person: people[2]?.person ?? '' },
    { device: people[2]?.device ?? '' },
    { organization: people[2]?.organization ?? '' },
    { compartment: idOf('compartment', 3) },
    range,
    {},
    { message: fetched?.leaf.subject ?? '' },
    { subject: operation.id },
    { outcome: 'refused' },
    { outcome: 'done' },
  ]
  const pairs = [
    ...singles.slice(2, 6).map((one) => ({ ...kind, ...one })),
    ...singles.slice(0, 6).map((one) => ({ ...range, ...one })),
    { ...range, text: commonWord },
    { ...range, text: rareWord },
    { person: people[2]?.person ?? '', text: commonWord },
    { person: people[2]?.person ?? '', text: rareWord },
    { person: people[2]?.person ?? '', compartment: idOf('compartment', 3) },
  ]
  for (const filters of [...singles, ...pairs]) {
    const query = readQuery({ limit: 50, ...filters })
    const before = await readSoFar()
    const page = await queryLog(db, operation.id, query, everything)
    const after = await readSoFar()
    const read = after.read - before.read
    t.equal(after.scans, before.scans, `${JSON.stringify(filters)} goes by an index`)
    t.ok(read <= 6_000, `${JSON.stringify(filters)} reads ${String(read)} rows`)
    t.ok(page.entries.length > 0 || page.next !== null, 'and finds something, or says where to go on')
  }
})

t.test('the SDK checks what it is shown, and the words of the command mean what they say', async (t) => {
  const scene = await usualOperation(t)
  const { coordinator, administrator, operation } = scene
  const auditing = await partyOf(t, administrator, { kind: 'rilo', name: 'Audit office' })
  await takeIn(coordinator, operation, auditing, 'auditor')
  const { audit } = auditing.client
  const kinds = ['operation.*', 'member.admitted']
  const found = []
  for await (const { entries } of audit.pages(operation, { kinds }, 2)) found.push(...entries)
  t.ok(found.length >= 4)
  t.ok(found.every(({ leaf }) => /^operation\.|^member\.admitted$/.test(leaf.kind)))
  t.match(found.at(-1), { leaf: { kind: 'operation.created', index: 0 }, details: { name: 'Operation Test' } })
  await t.rejects(audit.page(operation, { person: coordinator.person }), { code: 'JUSTIFICATION_REQUIRED' })
  await t.rejects(auditing.client.audit.page(await audit.directory(), {}), { code: 'AUDITOR_ONLY' })
  const platform = await enrolWith(t, administrator, {
    name: 'Auditor of the platform',
    organization: auditing.organization,
    tier: 'auditor',
  })
  const directory = await platform.audit.page(await platform.audit.directory(), { outcome: 'done' }, { limit: 5 })
  t.equal(directory.entries.length, 5)
  t.equal(directory.entries[0]?.leaf.kind, 'log.queried')

  for (const cell of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '＝1'])
    t.match(csvLine([cell]), /^"'/, `${JSON.stringify(cell)} is no formula`)
  t.equal(csvLine(['a "b", c', '', '1-1']), '"a ""b"", c","","1-1"')
  t.notMatch(csvLine(['\u001b]0;x\u0007\r\n=1']), /[\u0000-\u001f]/, 'nothing that a terminal obeys')
  t.equal(instantIn('Europe/Brussels', '2026-03-29', '--from'), '2026-03-28T23:00:00.000Z')
  t.equal(instantIn('Europe/Brussels', '2026-03-29', '--to', true), '2026-03-29T22:00:00.000Z', 'a day of 23 hours')
  t.equal(instantIn('Africa/Nairobi', '2026-03-29T14:30', '--to', true), '2026-03-29T11:30:00.000Z')
  t.equal(instantIn('Africa/Nairobi', '2026-03-29T14:30+02:00', '--to'), '2026-03-29T12:30:00.000Z')
  t.equal(instantIn('Europe/Brussels', '2026-10-25 02:30', '--from'), '2026-10-25T00:30:00.000Z', 'the hour twice')
  t.equal(instantIn('Europe/Brussels', '2026-10-25 02:30', '--to', true), '2026-10-25T01:30:00.000Z')
  for (const wrong of ['2026-02-30', 'yesterday', '2026-03-29T25:00', '2026-03-29Z', ''])
    t.throws(() => instantIn('UTC', wrong, '--from'), /is no time that can be used/, wrong)
})
