import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { openDatabase, transaction, violatedConstraint, type Database, type Tx } from '../../src/db/index.ts'
import { Problem } from '../../src/errors.ts'
import {
  createLogs,
  openLogKey,
  verifyLogs,
  type Act,
  type Caller,
  type LogDeps,
  type LogKey,
  type Logs,
  type Owner,
  type Snapshots,
  type Standing,
} from '../../src/log/index.ts'
import { newId, type Receipt } from '../../src/protocol/index.ts'
import { admin, testDatabase, type TestDatabase } from './database.ts'

/**
 * A log with the smallest rules that show what the appender does: members are admitted and removed,
 * members leave notes, a note's text must be unique.
 */
export interface ToySnapshot {
  readonly members: Set<string>
  folds: number
}

export interface Note {
  readonly id: string
  readonly text: string
}

export interface Answer {
  readonly index: number
  readonly receipt: Receipt
}

export interface Toy {
  readonly database: TestDatabase
  readonly key: LogKey
  readonly directory: string
  readonly operation: string
  readonly notes: Owner
  server(deps?: Partial<LogDeps<ToySnapshot>>): Promise<ToyServer>
}

export interface ToyServer {
  readonly logs: Logs<ToySnapshot>
  readonly db: Database
  readonly published: { log: string; size: number }[]
  readonly ended: Set<string>
  post(actor: Caller, note: Note): Promise<Answer>
  admit(actor: Caller, person: string): Promise<Answer>
  remove(actor: Caller, person: string): Promise<Answer>
}

interface Ending {
  teardown(clean: () => Promise<unknown>): void
}

export const originHost = 'toy.example'
const random = (length: number) => new Uint8Array(randomBytes(length))
const clock = () => new Date()
export const freshId = () => newId<string>(clock(), random)

/** Somebody with a session and a device of their own. */
export function somebody(): Caller {
  return {
    session: freshId(),
    person: freshId(),
    organization: freshId(),
    device: randomBytes(32).toString('base64url'),
  }
}

export function asActor({ person, organization, device }: Caller) {
  return { person, organization, device }
}

const snapshots: Snapshots<ToySnapshot> = {
  advance: async (tx, log, snapshot, upTo) => {
    const { rows } = await sql<{ kind: string; subject: string }>`
      SELECT kind, leaf::json ->> 'subject' AS subject FROM log_entry
      WHERE log_id = ${log} AND index <= ${upTo} AND kind LIKE 'member.%' ORDER BY index`.execute(tx)
    const members = new Set<string>()
    for (const { kind, subject } of rows) change(members, kind, subject)
    return { members, folds: snapshot?.folds ?? 0 }
  },
  judge: () => undefined,
  fold: (snapshot, entry) => {
    change(snapshot.members, entry.kind, entry.leaf.subject)
    snapshot.folds++
    return snapshot
  },
}

function change(members: Set<string>, kind: string, person: string): void {
  if (kind === 'member.admitted') members.add(person)
  if (kind === 'member.removed') members.delete(person)
}

interface Stored {
  readonly id: string
  readonly text: string
  readonly index: number
}

/** Acts are made per server, as a service makes them. A note `bug` throws, `refused` is refused. */
export function makePostNote(
  logs: () => Logs<ToySnapshot>,
  hooks: { write?: (tx: Tx) => Promise<void> } = {},
): Act<ToySnapshot, Note, Map<string, Stored>, Note, number | Promise<Answer> | Answer> {
  return {
    name: 'post note',
    key: (note) => note.id,
    load: async (tx, _snapshot, inputs) => {
      const ids = inputs.map((note) => note.id)
      const { rows } = await sql<Stored>`SELECT id, text, index FROM toy_note WHERE id = ANY(${ids})`.execute(tx)
      return new Map(rows.map((row) => [row.id, row]))
    },
    decide: ({ snapshot, loaded, input, actor }) => {
      const stored = loaded.get(input.id)
      if (stored !== undefined) {
        if (stored.text !== input.text) return new Problem('MESSAGE_ID_REUSED')
        return { entries: [], rows: [], answer: () => again(logs(), stored.index) }
      }
      if (!snapshot.members.has(actor.person)) return new Problem('NOT_FOUND')
      if (input.text === 'refused') throw new Problem('FORBIDDEN')
      if (input.text === 'bug') throw new TypeError('a bug')
      if (input.text === 'rows without entry') return { entries: [], rows: [input], answer: () => 0 }
      const compartment = operationOf.get(logs())
      return {
        entries: [
          {
            kind: 'message.posted',
            actor: asActor(actor),
            subject: input.text === 'too long' ? 'x'.repeat(513) : input.id,
            ...(compartment === undefined ? {} : { compartment }),
            details: { text: input.text },
          },
        ],
        rows: [input],
        answer: ([entry], receipt) => ({ index: entry?.index ?? -1, receipt: receipt(0) }),
      }
    },
    write: async (tx, rows) => {
      const values = rows.map(
        ({ row, entries }) => sql`(${row.id}, ${row.text}, ${entries[0]?.log}, ${entries[0]?.index})`,
      )
      await sql`INSERT INTO toy_note (id, text, log_id, index) VALUES ${sql.join(values)}`.execute(tx)
      await hooks.write?.(tx)
    },
    explain: (error) =>
      violatedConstraint(error) === 'toy_note_text' ? new Problem('VALIDATION', { detail: 'said already' }) : undefined,
  }
}

const operationOf = new WeakMap<object, string>()

async function again(logs: Logs<ToySnapshot>, index: number): Promise<Answer> {
  return { index, receipt: await logs.receipt(operationOf.get(logs) ?? '', index) }
}

function changeMember(kind: 'member.admitted' | 'member.removed'): Act<ToySnapshot, string, null, never, Answer> {
  return {
    name: kind,
    load: () => Promise.resolve(null),
    decide: ({ snapshot, input, actor }) => {
      if (kind === 'member.removed' && !snapshot.members.has(input)) return new Problem('NOT_FOUND')
      return {
        entries: [{ kind, actor: asActor(actor), subject: input }],
        rows: [],
        answer: ([entry], receipt) => ({ index: entry?.index ?? -1, receipt: receipt(0) }),
      }
    },
    write: () => Promise.resolve(),
  }
}

/** Each note belongs to one message.posted, whose private details repeat its text. */
const notes: Owner = {
  name: 'note',
  open: (tx, log) => ({
    expects: (leaf) => (leaf.kind === 'message.posted' ? 'one' : 'none'),
    rows: (async function* () {
      const { rows } =
        await sql<Stored>`SELECT id, text, index FROM toy_note WHERE log_id = ${log.id} ORDER BY index`.execute(tx)
      for (const row of rows) {
        yield { index: row.index, check: (leaf) => (leaf.subject === row.id ? [] : ['its note has another id']) }
      }
    })(),
  }),
}

/**
 * A database with a directory log and the log of one operation, whose first member is `founder`.
 */
export async function toyLog(owner: Ending, founder: Caller): Promise<Toy> {
  const database = await testDatabase(owner)
  await admin(database.ownerUrl, async (client) => {
    await client.query(
      `CREATE TABLE toy_note (id uuid PRIMARY KEY, text text CONSTRAINT toy_note_text UNIQUE, log_id uuid, index bigint)`,
    )
    await client.query('GRANT SELECT, INSERT ON toy_note TO cordon_app')
  })
  const directory = await temporary(owner)
  const key = openLogKey(join(directory, 'log.key'), false)
  const operation = freshId()

  const server = async (deps: Partial<LogDeps<ToySnapshot>> = {}): Promise<ToyServer> => {
    const db = deps.db ?? openDatabase({ connectionString: database.url, onError: () => {} })
    const published: { log: string; size: number }[] = []
    const ended = new Set<string>()
    const logs = createLogs<ToySnapshot>({
      db,
      clock,
      random,
      key,
      originHost,
      checkpointDirectory: await temporary(owner),
      lockActors: (_tx, actors) => Promise.resolve(standings(actors, ended)),
      snapshots,
      publish: (log, size) => published.push({ log, size }),
      onError: () => {},
      ...deps,
    })
    owner.teardown(async () => {
      await logs.close()
      await db.close()
    })
    operationOf.set(logs, operation)
    await logs.start()
    const post = makePostNote(() => logs)
    const admit = changeMember('member.admitted')
    const remove = changeMember('member.removed')
    return {
      logs,
      db,
      published,
      ended,
      post: async (actor, note) => (await logs.append(operation, post, note, actor)) as Answer,
      admit: (actor, person) => logs.append(operation, admit, person, actor),
      remove: (actor, person) => logs.append(operation, remove, person, actor),
    }
  }

  const first = await server()
  const made = await transaction(first.db, (tx) =>
    first.logs.create(tx, operation, [
      { kind: 'operation.created', actor: asActor(founder), subject: operation },
      { kind: 'member.admitted', actor: asActor(founder), subject: founder.person },
    ]),
  )
  made.afterCommit()
  return { database, key, directory, operation, notes, server }
}

function standings(actors: readonly Caller[], ended: ReadonlySet<string>): Map<string, Standing | Problem> {
  return new Map(
    actors.map((actor) => [
      actor.session,
      ended.has(actor.session) ? new Problem('SESSION_ENDED') : { ...actor, tier: 'person', listed: null },
    ]),
  )
}

export async function temporary(owner: Ending): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cordon-log-'))
  owner.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Everything in this database, verified from its raw rows: what is wrong with it. */
export async function verifyToy(toy: Toy, url = toy.database.superUrl) {
  const db = openDatabase({ connectionString: url, onError: () => {} })
  try {
    return await verifyLogs({ db, keys: toy.key.publicKeys, originHost }, [toy.notes])
  } finally {
    await db.close()
  }
}
