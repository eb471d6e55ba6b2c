import fc from 'fast-check'
import type pg from 'pg'
import t, { type Test as Tap } from 'tap'
import { openDatabase } from '../src/db/index.ts'
import { verifyLogs, type OwnedRow, type Owner, type OwnerView } from '../src/log/index.ts'
import { signCheckpoint } from '../src/protocol/index.ts'
import { admin } from './support/database.ts'
import { freshId, originHost, somebody, toyLog, verifyToy, type Toy } from './support/toy-log.ts'

const tables = ['log', 'log_entry', 'log_private', 'log_node', 'log_checkpoint'] as const

/** A database with a directory, a log of 306 entries of all sorts, and published checkpoints. */
async function filled(t: Tap): Promise<Toy> {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server({ limits: { publishEveryMs: 0 } })
  for (let round = 0; round < 4; round++) {
    await Promise.all(
      Array.from({ length: 75 }, (_, i) => server.post(founder, { id: freshId(), text: `${round} ${i} straße` })),
    )
    await server.logs.checkpoint(toy.operation)
  }
  const officer = somebody()
  await server.admit(founder, officer.person)
  await server.remove(founder, officer.person)
  await server.logs.close()
  return toy
}

/** Whoever tampers has all rights: no trigger, no key and no check holds them. */
async function tamper<T>(toy: Toy, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return admin(toy.database.superUrl, async (client) => {
    await client.query('SET session_replication_role = replica')
    return work(client)
  })
}

async function dropChecks(toy: Toy): Promise<void> {
  await admin(toy.database.superUrl, async (client) => {
    const { rows } = await client.query<{ sentence: string }>(
      `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS sentence
       FROM pg_constraint WHERE contype = 'c' AND conrelid::regclass::text LIKE 'log%'`,
    )
    for (const { sentence } of rows) await client.query(sentence)
  })
}

/** Another value of the same type, as little different as can be. */
function bend(type: string, value: string | null, at: number): string {
  if (value === null) return type === 'uuid' ? freshId() : type === 'text' ? 'x' : '0'
  const place = at % Math.max(1, value.length)
  const replace = (character: string) => value.slice(0, place) + character + value.slice(place + 1)
  switch (type) {
    case 'uuid':
      return value.replace(/[0-9a-f]$/, (digit) => (digit === '0' ? '1' : '0'))
    case 'bytea': {
      const hex = 2 + (place % Math.max(1, value.length - 2))
      return value.slice(0, hex) + (value[hex] === '0' ? '1' : '0') + value.slice(hex + 1)
    }
    case 'bigint':
    case 'smallint':
      return String(Number(value) + (at % 2 === 0 ? 1 : -1))
    case 'jsonb':
      return value === '{}' ? '{"x": 1}' : value.replace(/\d+\}$/, (n) => `${n.slice(0, -1)}.0}`)
    case 'text':
      return value === '' ? 'x' : replace(value[place] === 'a' ? 'b' : 'a')
    default:
      throw new Error(`no way to bend a ${type}`)
  }
}

t.test('INV-03: one changed value in any column of a log is found', async (t) => {
  const toy = await filled(t)
  await dropChecks(toy)
  t.same((await verifyToy(toy)).discrepancies, [])
  const columns = await admin(toy.database.superUrl, async (client) => {
    const { rows } = await client.query<{ table: string; column: string; type: string }>(
      `SELECT table_name AS table, column_name AS column, data_type AS type FROM information_schema.columns
       WHERE table_schema = 'public' AND table_name = ANY($1) ORDER BY 1, 2`,
      [tables],
    )
    return rows
  })
  t.ok(columns.length >= 30)
  await tamper(toy, async (client) => {
    const undetected: string[] = []
    const check = async ({ table, column, type }: (typeof columns)[number], at: number) => {
      const count = await client.query<{ count: string }>(`SELECT count(*) FROM ${table}`)
      const { rows } = await client.query<{ ctid: string; value: string | null }>(
        `SELECT ctid, ${column}::text AS value FROM ${table} ORDER BY 1 OFFSET $1 LIMIT 1`,
        [at % Number(count.rows[0]?.count)],
      )
      const row = rows[0] as { ctid: string; value: string | null }
      // A microsecond, which the leaf does not even have.
      const time = type.startsWith('timestamp')
      const text = time ? 'value + 1 microsecond' : bend(type, row.value, at)
      const set = time ? `${column} + interval '1 microsecond'` : `$2::${type}`
      let changed: pg.QueryResult<{ ctid: string }>
      try {
        changed = await client.query(
          `UPDATE ${table} SET ${column} = ${set} WHERE ctid = $1 RETURNING ctid`,
          time ? [row.ctid] : [row.ctid, text],
        )
      } catch (error) {
        // A unique index refuses even a superuser.
        if ((error as { code?: string }).code === '23505') return
        throw error
      }
      const report = await verifyToy(toy)
      if (report.discrepancies.length === 0) undetected.push(`${table}.${column}: ${row.value} -> ${text}`)
      await client.query(`UPDATE ${table} SET ${column} = $2::${type} WHERE ctid = $1`, [
        changed.rows[0]?.ctid,
        row.value,
      ])
    }
    for (const column of columns) {
      await fc.assert(
        fc.asyncProperty(fc.nat(), (at) => check(column, at)),
        { numRuns: 2 },
      )
    }
    t.same(undetected, [])
  })
  t.same((await verifyToy(toy)).discrepancies, [], 'and everything was put back')
})

t.test('a row removed, doubled, swapped, back-dated or added is found, with its place', async (t) => {
  const toy = await filled(t)
  await dropChecks(toy)
  const operation = toy.operation
  const attacks: Record<string, { sentence: string; finds: RegExp }> = {
    'an entry removed': {
      sentence: `DELETE FROM log_entry WHERE log_id = '${operation}' AND index = 100`,
      finds: /entries 100 to 100 are missing/,
    },
    'the last entry removed': {
      sentence: `DELETE FROM log_entry WHERE log_id = '${operation}' AND index = 303`,
      finds: /size 304, there are 303/,
    },
    'two entries swapped': {
      sentence: `UPDATE log_entry SET index = -5 WHERE index = 50 AND log_id = '${operation}';
                 UPDATE log_entry SET index = 50 WHERE index = 51 AND log_id = '${operation}';
                 UPDATE log_entry SET index = 51 WHERE index = -5 AND log_id = '${operation}'`,
      finds: /index is not what its leaf says/,
    },
    'an entry added at the end': {
      sentence: `INSERT INTO log_entry SELECT log_id, 304, replace(leaf, '"index":303', '"index":304'), leaf_hash, kind, at,
                   person_id, organization_id, device_id, compartment_id, seq, subject
                 FROM log_entry WHERE log_id = '${operation}' AND index = 303`,
      finds: /stored hash|there are 305/,
    },
    'an entry rewritten with its hash': {
      sentence: `UPDATE log_entry SET leaf = replace(leaf, '"message.posted"', '"message.withdrawn"'), kind = 'message.withdrawn',
                   leaf_hash = sha256('\\x00'::bytea || convert_to(replace(leaf, '"message.posted"', '"message.withdrawn"'), 'UTF8'))
                 WHERE log_id = '${operation}' AND index = 60`,
      finds: /node 0 of level 1 is not the hash|root/,
    },
    'details removed': { sentence: `DELETE FROM log_private WHERE index = 70`, finds: /details are missing/ },
    'details added': {
      sentence: `INSERT INTO log_private SELECT log_id, 0, salt, details FROM log_private WHERE index = 70`,
      finds: /details that its leaf does not know/,
    },
    'a byte moved from details to salt': {
      sentence: `UPDATE log_private SET salt = salt || convert_to(left(details, 1), 'UTF8'), details = substr(details, 2) WHERE index = 70`,
      finds: /details are not those/,
    },
    'a node removed': { sentence: `DELETE FROM log_node`, finds: /node 0 of level 1 is missing/ },
    'a node added': {
      sentence: `INSERT INTO log_node SELECT log_id, 2, 0, hash FROM log_node`,
      finds: /2 rows of nodes where 1 belong/,
    },
    'a checkpoint of the future': {
      sentence: `INSERT INTO log_checkpoint SELECT log_id, 9999, note FROM log_checkpoint WHERE log_id = '${operation}' LIMIT 1`,
      finds: /rows of checkpoints/,
    },
    'entries of a log that is not there': {
      sentence: `UPDATE log_entry SET log_id = '${freshId()}' WHERE log_id = '${operation}' AND index > 200`,
      finds: /a log that is not there/,
    },
    'a whole log removed': { sentence: `DELETE FROM log WHERE id = '${operation}'`, finds: /a log that is not there/ },
    'the directory removed': {
      sentence: `DELETE FROM log WHERE operation_id IS NULL`,
      finds: /not exactly one directory/,
    },
    'a log truncated in every table': {
      sentence: `DELETE FROM log_entry WHERE index > 0; DELETE FROM log_private; DELETE FROM log_node; DELETE FROM log_checkpoint`,
      finds: /its row says size/,
    },
    'a note without an entry': {
      sentence: `INSERT INTO toy_note (id, text, log_id, index) VALUES ('${freshId()}', 'planted', '${operation}', 0)`,
      finds: /note that no operation.created has/,
    },
    'two notes of one entry': {
      sentence: `INSERT INTO toy_note (id, text, log_id, index) VALUES ('${freshId()}', 'planted', '${operation}', 60)`,
      finds: /2 rows of note/,
    },
    'a note beyond the end': {
      sentence: `INSERT INTO toy_note (id, text, log_id, index) VALUES ('${freshId()}', 'planted', '${operation}', 9000)`,
      finds: /entry that is not there/,
    },
    'a note removed': { sentence: `DELETE FROM toy_note WHERE index = 60`, finds: /its note is missing/ },
    'a note under another entry': {
      sentence: `UPDATE toy_note SET index = 120 - index + 1 WHERE index IN (60, 61)`,
      finds: /its note has another id/,
    },
  }
  const snapshot = `CREATE TABLE kept_NAME AS SELECT * FROM NAME`
  const restore = `DELETE FROM NAME; INSERT INTO NAME SELECT * FROM kept_NAME`
  const every = [...tables, 'toy_note']
  await tamper(toy, async (client) => {
    for (const table of every) await client.query(snapshot.replaceAll('NAME', table))
    for (const [name, { sentence, finds }] of Object.entries(attacks)) {
      await client.query(sentence)
      const { discrepancies } = await verifyToy(toy)
      t.ok(
        discrepancies.some(({ what }) => finds.test(what)),
        `${name}: ${discrepancies[0]?.what ?? 'not found'}`,
      )
      for (const table of every) await client.query(restore.replaceAll('NAME', table))
    }
  })
  t.same((await verifyToy(toy)).discrepancies, [])
})

t.test('a log rewritten as a whole is found by whoever holds a checkpoint', async (t) => {
  const toy = await filled(t)
  const db = openDatabase({ connectionString: toy.database.superUrl, onError: () => {} })
  t.teardown(() => db.close())
  const name = `${originHost}/logs/${toy.operation}`
  const checkpoint = (size: number, root: Uint8Array) =>
    signCheckpoint({ origin: name, size, root }, ...toy.key.signers(name))
  const verify = async (note: string) =>
    (await verifyLogs({ db, keys: toy.key.publicKeys, originHost, held: [{ log: toy.operation, note }] }, []))
      .discrepancies
  const other = await checkpoint(100, new Uint8Array(32))
  t.match(await verify(other), [{ log: toy.operation, what: /another root/ }])
  t.match(await verify(await checkpoint(400, new Uint8Array(32))), [{ what: /96 of them are missing/ }])
  t.match(await verify(other.replace('100', '101')), [{ what: /cannot be opened/ }])
  const stranger = await toyLog(t, somebody())
  const wrongKey = await verifyLogs({ db, keys: stranger.key.publicKeys, originHost }, [])
  t.ok(wrongKey.discrepancies.length > 0, 'the key is not taken from the database that is judged')
  const wrongHost = await verifyLogs({ db, keys: toy.key.publicKeys, originHost: 'elsewhere.example' }, [])
  t.ok(wrongHost.discrepancies.length > 0)
})

t.test('the report says what was verified, while others write', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  const seen: number[] = []
  const posts = Array.from({ length: 200 }, (_, i) => server.post(founder, { id: freshId(), text: `n${i}` }))
  const report = await verifyLogs({ db: server.db, keys: toy.key.publicKeys, originHost }, [toy.notes], {
    progress: ({ done }) => seen.push(done),
  })
  t.same(report.discrepancies, [])
  t.equal(report.logs.length, 2)
  t.ok(seen.length >= 2)
  await Promise.all(posts)
  const after = await verifyLogs({ db: server.db, keys: toy.key.publicKeys, originHost }, [toy.notes], {
    only: toy.operation,
  })
  t.match(after, { entries: 202, discrepancies: [], logs: [{ log: toy.operation, size: 202 }] })
})

t.test('what an owner finds, between entries too, is in the report', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  await server.post(founder, { id: freshId(), text: 'x' })
  const verify = async (owner: Partial<OwnerView> & { strays?: string[] }) => {
    const made: Owner = {
      name: 'thing',
      open: (_tx, log) => ({
        expects: () => 'any',
        rows: rowsAt(),
        ...(log.id === toy.operation ? owner : {}),
      }),
      strays: async function* () {
        yield* owner.strays ?? []
      },
    }
    const report = await verifyLogs({ db: server.db, keys: toy.key.publicKeys, originHost }, [made])
    return report.discrepancies.map(({ index, what }) => `${index ?? 'log'}: ${what}`)
  }
  async function* rowsAt(...indexes: number[]): AsyncGenerator<OwnedRow> {
    for (const index of indexes) yield { index, check: (leaf) => (leaf.index === index ? [] : ['another leaf']) }
  }
  t.same(await verify({}), [])
  t.same(await verify({ rows: rowsAt(0, 1, 1, 2) }), [], 'any number')
  t.same(await verify({ expects: () => 'one', rows: rowsAt(0, 1, 2) }), [])
  t.same(await verify({ expects: () => 'one', rows: rowsAt(0, 2) }), ['1: its thing is missing'])
  t.same(await verify({ expects: () => 'one', rows: rowsAt(0, 1, 1, 2) }), ['1: it has 2 rows of thing'])
  t.match(await verify({ expects: () => 'none', rows: rowsAt(1) }), [/1: it has a thing that no/])
  t.match(await verify({ rows: rowsAt(-1, 3) }), [
    /-1: a thing belongs to an entry that is not there/,
    /3: a thing belongs/,
  ])
  t.match(await verify({ rows: rowsAt(2, 0) }), [/0: a thing comes out of order/, /0: a thing belongs/])
  t.same(await verify({ after: (leaf) => (leaf.index === 1 ? ['too early'] : []) }), ['1: too early'])
  t.same(await verify({ finish: () => Promise.resolve(['unfinished']) }), ['log: unfinished'])
  t.same(await verify({ strays: ['a thing of nobody'] }), ['log: a thing of nobody'])
  const failing = (async function* (): AsyncGenerator<OwnedRow> {
    yield { index: 0, check: () => Promise.reject(new Error('cannot be checked')) }
  })()
  await t.rejects(verify({ rows: failing }), { message: 'cannot be checked' }, 'an owner that fails passes nothing')
})
