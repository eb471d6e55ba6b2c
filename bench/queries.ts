import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { transaction } from '../src/db/index.ts'
import { entriesAt, sizeOf, type Act } from '../src/log/index.ts'
import { readQuery } from '../src/log/filters.ts'
import { parseLeaf, type OperationView } from '../src/protocol/index.ts'
import { acting, command, logHost, openKeptLog, seconds, type KeptLog } from './kept-log.ts'
import { commonWord, idOf, rareWord } from './log-generator.ts'

const smallLogEntries = 10_000
const usualLogEntries = 10_000_000
const measuredRounds = 200
const measuredProofs = 1_000
const measuredAppends = 10_000
const appendRuns = 5
const appendsInFlight = 1_024
const newestEntries = 5_000
const note = (line: string) => process.stderr.write(`${line}\n`)
const number = (value: number) => Math.round(value).toLocaleString('en')

interface Spread {
  readonly p50: number
  readonly p99: number
}

interface Result {
  readonly pages: ReadonlyMap<string, Spread>
  readonly proof: Spread
  readonly row: Spread
  readonly appended: number
  readonly verify: { readonly rate: number; readonly peak: number; readonly verified: boolean }
}

/**
 * `npm run bench -- queries [entries]`: compares a log of 10 million entries with one of 10,000,
 * both kept in ./bench-data.
 */
export async function benchQueries(size = usualLogEntries): Promise<void> {
  const large = await openKeptLog(join('bench-data', String(size)), size, note)
  try {
    const copy = await openCopy()
    try {
      report(size, await measure([copy, large]))
    } finally {
      await copy.close()
    }
  } finally {
    await large.close()
  }
}

type Pair<T> = readonly [smallLogEntries: T, large: T]

const inTurn = async <T, R>([one, other]: Pair<T>, work: (kept: T) => Promise<R>): Promise<Pair<R>> => [
  await work(one),
  await work(other),
]

async function measure(logs: Pair<KeptLog>): Promise<Pair<Result>> {
  const [readSmall, readLarge] = await inTurn(logs, measureReading)
  const [appendedSmall, appendedLarge] = await appendRates(logs)
  note(`  appended: ${number(appendedSmall)}/s and ${number(appendedLarge)}/s`)
  const [verifySmall, verifyLarge] = await inTurn(logs, verifyWhole)
  return [
    { ...readSmall, appended: appendedSmall, verify: verifySmall },
    { ...readLarge, appended: appendedLarge, verify: verifyLarge },
  ]
}

/**
 * Opens a copy of the small log: the measurement appends to it, and the original must stay small.
 */
async function openCopy(): Promise<KeptLog> {
  const [original, copy] = [join('bench-data', String(smallLogEntries)), join('bench-data', 'copy')]
  await (await openKeptLog(original, smallLogEntries, note)).close()
  rmSync(copy, { recursive: true, force: true })
  // Postgres demands owners and modes, which `cp -a` keeps.
  execFileSync('cp', ['-a', original, copy])
  return openKeptLog(copy, smallLogEntries, note)
}

async function measureReading(kept: KeptLog): Promise<Pick<Result, 'pages' | 'proof' | 'row'>> {
  note(`reading the log of ${number(kept.size)}`)
  const pages = new Map<string, Spread>()
  for (const [name, filtersOf] of await filters(kept)) {
    const page = await firstPages(kept, filtersOf)
    pages.set(name, page)
    note(`  ${name}: ${shown(page)}`)
  }
  const { proof, row } = await proveAndRead(kept)
  note(`  inclusion proof: ${shown(proof)}; one row: ${shown(row)}`)
  return { pages, proof, row }
}

const shown = ({ p50, p99 }: Spread) => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`

type Filters = Readonly<Record<string, string>>

/**
 * Every filter, and every pair of filters that the service promises, with another value in each
 * round.
 */
async function filters(kept: KeptLog): Promise<Map<string, (round: number) => Filters>> {
  const { people, size, operation } = kept
  const person = (round: number) => people[(round * 7) % people.length] ?? people[0]
  const atOf = async (index: number) => {
    const [entry] = await transaction(kept.db, async (tx) => {
      await sizeOf(tx, operation)
      return entriesAt(tx, operation, [index])
    })
    return parseLeaf(entry?.text ?? '').at
  }
  const ranges: Filters[] = []
  for (let part = 0; part < 20; part++) {
    const first = Math.floor((size * 0.75 * part) / 20)
    ranges.push({ from: await atOf(first), to: await atOf(first + Math.floor(size / 5)) })
  }
  const kinds = ['body.fetched', 'attachment.stored', 'records.imported', 'member.*', 'access.refused']
  const singles: Record<string, (round: number) => Filters> = {
    kind: (round) => ({ kind: kinds[round % kinds.length] ?? '' }),
    person: (round) => ({ person: person(round)?.person ?? '' }),
    organization: (round) => ({ organization: person(round)?.organization ?? '' }),
    device: (round) => ({ device: person(round)?.device ?? '' }),
    compartment: (round) => ({ compartment: idOf('compartment', round % 40) }),
    message: (round) => ({ message: idOf('message', round) }),
    time: (round) => ranges[round % ranges.length] ?? {},
    outcome: (round) => ({ outcome: round % 2 === 0 ? 'refused' : 'done' }),
  }
  const both = (one: string, other: string) => (round: number) => ({
    ...singles[one]?.(round),
    ...singles[other]?.(round),
  })
  const pairs = [
    ...['person', 'organization', 'compartment'].map((name) => [name, 'kind'] as const),
    ...Object.keys(singles)
      .filter((name) => name !== 'time')
      .map((name) => [name, 'time'] as const),
  ]
  return new Map([
    ...Object.entries(singles),
    ...pairs.map(([one, other]) => [`${one} × ${other}`, both(one, other)] as const),
    ['common word × time', (round) => ({ text: commonWord, ...singles['time']?.(round) })],
    ['rare word × time', (round) => ({ text: rareWord, ...singles['time']?.(round) })],
    ['common word × person', (round) => ({ text: commonWord, ...singles['person']?.(round) })],
    ['rare word × person', (round) => ({ text: rareWord, ...singles['person']?.(round) })],
  ])
}

/** Measures first pages as an auditor gets them, with the entry that records each. */
async function firstPages(kept: KeptLog, filtersOf: (round: number) => Filters): Promise<Spread> {
  const auditor = acting(kept.auditor)
  const page = async (round: number) => {
    const query = readQuery({ limit: 100, justification: 'a bench', ...filtersOf(round) })
    const scopeIn = await kept.readers.enterQuery(auditor, kept.operation, query)
    await kept.logs.query(kept.operation, query, scopeIn)
  }
  // Each round has another value. A first run warms the cache for the large log as for the small
  // one.
  await spread(measuredRounds, page)
  return spread(measuredRounds, page)
}

async function proveAndRead({ logs, db, operation, size }: KeptLog): Promise<{ proof: Spread; row: Spread }> {
  const indexOf = (round: number) => (round * 7_919) % size
  const prove = (round: number) => logs.inclusion(operation, indexOf(round), size)
  const read = (round: number) =>
    transaction(db, async (tx) => {
      await sizeOf(tx, operation)
      await entriesAt(tx, operation, [indexOf(round)])
    })
  for (const work of [prove, read]) await spread(measuredProofs, work)
  return { proof: await spread(measuredProofs, prove), row: await spread(measuredProofs, read) }
}

async function spread(count: number, work: (round: number) => Promise<unknown>): Promise<Spread> {
  const times: number[] = []
  for (let round = 0; round < count; round++) {
    const began = performance.now()
    await work(round)
    times.push(performance.now() - began)
  }
  times.sort((a, b) => a - b)
  return { p50: times[Math.floor(count * 0.5)] ?? Number.NaN, p99: times[Math.floor(count * 0.99)] ?? Number.NaN }
}

const fetchAct: Act<OperationView, number, null, never, null> = {
  name: 'fetch in the bench',
  load: () => Promise.resolve(null),
  decide: ({ input, actor: { person, organization, device, session } }) => ({
    entries: [
      {
        kind: 'body.fetched',
        actor: { person, organization, device },
        compartment: idOf('compartment', input % 40),
        // The fetched bodies are those of the newest messages. (The first entry about any other
        // message writes a page of the index by subject into the journal, once between two
        // checkpoints of the database.)
        subject: idOf('message', input % newestEntries),
        details: { session, justification: 'the purpose of the operation' },
      },
    ],
    rows: [],
    answer: () => null,
  }),
  write: () => Promise.resolve(),
}

/**
 * Entries per second through the appender, by all members in turn. The median of some runs,
 * alternating between the logs, because the speed of the machine varies.
 */
async function appendRates(logs: Pair<KeptLog>): Promise<Pair<number>> {
  await inTurn(logs, appendRun)
  const runs: Pair<number>[] = []
  for (let i = 0; i < appendRuns; i++) runs.push(await inTurn(logs, appendRun))
  const median = (rates: number[]) => rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)] ?? Number.NaN
  return [median(runs.map(([rate]) => rate)), median(runs.map(([, rate]) => rate))]
}

async function appendRun({ logs, operation, people }: KeptLog): Promise<number> {
  const actors = people.map(acting)
  let next = 0
  const one = async () => {
    for (let n = next++; n < measuredAppends; n = next++) {
      const actor = actors[n % actors.length]
      if (actor) await logs.append(operation, fetchAct, n, actor)
    }
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: appendsInFlight }, one))
  return (measuredAppends / (performance.now() - began)) * 1_000
}

/**
 * Runs `cordon verify` in a process of its own. Answers entries per second and the most memory that
 * it held, in MiB.
 */
async function verifyWhole({ directory, database }: KeptLog): Promise<Result['verify']> {
  const began = performance.now()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', command, 'verify', '--json'], {
    env: { ...process.env, DATA_DIRECTORY: directory, DATABASE_URL: database.appUrl, LOG_HOST: logHost },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let peak = 0
  let text = ''
  child.stdout.on('data', (chunk) => (text += String(chunk)))
  const watching = setInterval(() => (peak = Math.max(peak, peakOf(child.pid ?? 0))), 100)
  await once(child, 'exit')
  clearInterval(watching)
  const { entries, verified, discrepancies } = JSON.parse(text) as {
    entries: number
    verified: boolean
    discrepancies: unknown[]
  }
  if (!verified) note(JSON.stringify(discrepancies.slice(0, 5)))
  note(`verified ${number(entries)} entries in ${seconds(began)} s`)
  return { rate: (entries / (performance.now() - began)) * 1_000, peak, verified }
}

function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? 0) / 1_024
  } catch {
    // The process has just ended.
    return 0
  }
}

function report(size: number, [before, after]: Pair<Result>): void {
  const time = (value: number) => value.toFixed(2).padStart(8)
  const ratio = (value: number) => value.toFixed(2).padStart(6)
  const cells = (one: string, two: string) => `${one.padEnd(24)}${two}`
  const judge = (fits: boolean) => (fits ? 'holds' : 'DOES NOT HOLD')
  let worst = 0
  const lines = [
    `a log of ${number(size)} entries against one of ${number(smallLogEntries)}, warm; milliseconds`,
    cells(
      'first page',
      `p50 ${number(smallLogEntries)}      N   ratio |  p99 ${number(smallLogEntries)}      N   ratio`,
    ),
  ]
  for (const [name, large] of after.pages) {
    const base = before.pages.get(name) ?? large
    worst = Math.max(worst, large.p99 / base.p99)
    const halves = (['p50', 'p99'] as const).map(
      (p) => `${time(base[p])}${time(large[p])}  ${ratio(large[p] / base[p])}`,
    )
    lines.push(cells(name, halves.join(' | ')))
  }
  const share = after.appended / before.appended
  const proofs = after.proof.p50 / after.row.p50
  lines.push(
    cells('worst ratio of p99', `${worst.toFixed(2)}, at most 5: ${judge(worst <= 5)}`),
    cells(
      'inclusion proof',
      `p50 ${time(after.proof.p50)}, one row ${time(after.row.p50)}, ${proofs.toFixed(2)} times, at most 6: ${judge(proofs <= 6)}`,
    ),
    cells(
      'appended',
      `${number(before.appended)}/s and ${number(after.appended)}/s, ${share.toFixed(2)}, at least 0.8: ${judge(share >= 0.8)}`,
    ),
    ...[before, after].map(({ verify }) =>
      cells(
        'cordon verify',
        `${number(verify.rate)} entries/s, at most ${number(verify.peak)} MiB, at most 256: ${judge(verify.peak <= 256)}; ${verify.verified ? 'verified' : 'NOT VERIFIED'}`,
      ),
    ),
    '',
  )
  process.stdout.write(lines.join('\n'))
}
