import fc from 'fast-check'
import t from 'tap'
import { openDatabase, transaction } from '../src/db/index.ts'
import {
  equalBytes,
  openCheckpoint,
  openWitnessed,
  originOf,
  type Checkpoint,
  type WitnessPolicy,
} from '../src/protocol/index.ts'
import { howMany, patience } from './support/counts.ts'
import { copyOfDatabase } from './support/database.ts'
import { freshId, originHost, somebody, toyLog, type Toy, type ToyServer } from './support/toy-log.ts'
import { policyOf, send, startWitness, submission, type TestWitness } from './support/witness.ts'

const quick = { publishEveryMs: 10, sendEveryMs: 10, retryAfterMs: 50, retryAtMostMs: 200, answerWithinMs: 2_000 }

type Owner = Parameters<typeof toyLog>[0]
type Post = (server: ToyServer, count: number) => Promise<void>

/** How the second continuation comes about. */
type How =
  /** A backup is restored and started with the same witnesses. */
  | 'restored'
  /**
   * It is started by somebody who keeps it away from the witnesses, and sends them its checkpoints
   * later.
   */
  | 'hidden'
  /** Both are sent to the witnesses at once. */
  | 'raced'

interface Fork {
  readonly how: How
  /** Entries before the copy, after it on the original, and after it on the copy. */
  readonly before: number
  readonly original: number
  readonly copy: number
}

interface Outcome {
  /** No server continued the copy. */
  readonly notContinued: boolean
  /** Witnesses that refused a checkpoint of it. */
  readonly refusals: number
  /** Two heads signed with the same keys, of which no log can hold both. */
  readonly shown: boolean
  /**
   * Entries of final checkpoints beyond the fork, on both sides: with a majority as quorum at most
   * one is above it.
   */
  readonly bothFinal: boolean
}

async function newest(server: ToyServer, toy: Toy): Promise<{ note: string; checkpoint: Checkpoint }> {
  const note = await server.logs.checkpoint(toy.operation)
  return { note, checkpoint: await openCheckpoint(note, ...toy.key.signers(originOf(originHost, toy.operation))) }
}

const rootAt = (server: ToyServer, toy: Toy, size: number) =>
  transaction(server.db, (tx) => server.logs.rootAt(tx, toy.operation, size))

/**
 * Submits the newest checkpoint of a server to a witness, with a right proof from whatever the
 * witness holds if there is one.
 */
async function submit({ url }: TestWitness, server: ToyServer, toy: Toy): Promise<{ status: number; text: string }> {
  const { note, checkpoint } = await newest(server, toy)
  let said = await send(url, submission(0, [], note))
  if (said.status === 409 && Number(said.text) <= checkpoint.size) {
    const old = Number(said.text)
    const proof = await server.logs.consistency(toy.operation, old, checkpoint.size)
    const lines = proof.map((hash) => Buffer.from(hash, 'base64url').toString('base64'))
    said = await send(url, submission(old, lines, note))
  }
  return said
}

async function finalSize(notes: readonly string[], toy: Toy, policy: WitnessPolicy): Promise<number> {
  const keys = toy.key.signers(originOf(originHost, toy.operation))
  const [first = ''] = notes
  const note = first.slice(0, first.indexOf('\n\n') + 2)
  const lines = notes.map((one) => one.slice(one.indexOf('\n\n') + 2)).join('')
  return openWitnessed(`${note}${lines}`, keys, policy).then(
    ({ size }) => size,
    () => 0,
  )
}

/**
 * Whether these two heads, each signed by the log, prove that it went two ways: at the smaller size
 * the trees differ.
 */
async function twoHeads(one: ToyServer, other: ToyServer, toy: Toy): Promise<boolean> {
  const [a, b] = [await newest(one, toy), await newest(other, toy)]
  const [small, large, of] =
    a.checkpoint.size <= b.checkpoint.size ? [a.checkpoint, b.checkpoint, other] : [b.checkpoint, a.checkpoint, one]
  const root = await rootAt(of, toy, small.size)
  return large.size >= small.size && root !== undefined && !equalBytes(root, small.root)
}

async function run(owner: Owner, { how, before, original, copy }: Fork): Promise<Outcome> {
  const founder = somebody()
  const toy = await toyLog(owner, founder)
  const witnesses = await Promise.all(
    [1, 2, 3].map((n) => startWitness(owner, { host: originHost, key: toy.key, name: `w${String(n)}.example` })),
  )
  const policy = await policyOf(witnesses, 2)
  const post: Post = async (server, count) => {
    for (let i = 0; i < count; i++) await server.post(founder, { id: freshId(), text: freshId() })
  }
  const first = await toy.server({ witnesses: policy, limits: quick })
  await post(first, before)
  await first.logs.checkpoint(toy.operation)
  await first.logs.close()
  const backup = await copyOfDatabase(owner, toy.database)
  const db = openDatabase({ connectionString: backup.url, onError: () => {} })
  const forkedAt = before + 2

  if (how === 'restored') {
    const truth = await toy.server({ witnesses: policy, limits: quick })
    await post(truth, original)
    await newest(truth, toy)
    await truth.logs.close()
    const lie = await toy.server({ db, witnesses: policy, limits: quick })
    const refused = await lie.post(founder, { id: freshId(), text: 'continued' }).then(
      () => undefined,
      (error: { code: string; extra: { missing: number } }) => error,
    )
    const right = refused?.code === 'LOG_READ_ONLY' && refused.extra.missing === original
    return { notContinued: right, refusals: 0, shown: false, bothFinal: false }
  }

  // Neither server sends by itself: what reaches which witness, and when, is in the hands of
  // whoever forks.
  const truth = await toy.server({ limits: quick })
  const lie = await toy.server({ db, limits: quick })
  await post(truth, original)
  await post(lie, copy)
  const cosigned: { truth: string[]; lie: string[] } = { truth: [], lie: [] }
  let refusals = 0
  const give = async (witness: TestWitness, server: ToyServer) => {
    const { note } = await newest(server, toy)
    const said = await submit(witness, server, toy)
    const text = note.slice(0, note.indexOf('\n\n') + 2)
    if (said.status === 200) cosigned[server === truth ? 'truth' : 'lie'].push(`${text}${said.text}`)
    else refusals++
  }
  if (how === 'hidden') {
    for (const witness of witnesses) await give(witness, truth)
    for (const witness of witnesses) await give(witness, lie)
  } else {
    await Promise.all(witnesses.flatMap((witness) => [give(witness, lie), give(witness, truth)]))
  }
  const log = async (notes: string[], server: ToyServer) => [(await newest(server, toy)).note, ...notes]
  const finals = [
    await finalSize(await log(cosigned.truth, truth), toy, policy),
    await finalSize(await log(cosigned.lie, lie), toy, policy),
  ]
  const outcome = {
    notContinued: false,
    refusals,
    shown: await twoHeads(truth, lie, toy),
    bothFinal: finals.every((size) => size > forkedAt),
  }
  await truth.logs.close()
  await lie.logs.close()
  return outcome
}

t.test(
  'INV-55: two continuations of one log are refused by witnesses, or shown by two signed heads',
  patience,
  async (t) => {
    const forks = howMany(10, 100)
    const seen = { forks: 0, 'not continued': 0, refused: 0, 'shown by two heads': 0, undetected: 0 }
    const ways: readonly How[] = ['restored', 'hidden', 'raced']
    const drawn = fc.sample(
      fc.record({ before: fc.nat(12), original: fc.integer({ min: 1, max: 9 }), copy: fc.integer({ min: 1, max: 9 }) }),
      { numRuns: forks, seed: 20_261_122 },
    )
    for (const [i, sizes] of drawn.entries()) {
      const how = ways[i % ways.length] as How
      const fork = { how, ...sizes }
      const ends: (() => Promise<unknown>)[] = []
      const owner = { teardown: (clean: () => Promise<unknown>) => void ends.unshift(clean) }
      try {
        const { notContinued, refusals, shown, bothFinal } = await run(owner, fork)
        seen.forks++
        if (notContinued) seen['not continued']++
        if (refusals > 0) seen.refused++
        if (shown) seen['shown by two heads']++
        if (!notContinued && refusals === 0 && !shown) seen.undetected++
        t.ok(notContinued || refusals > 0 || shown, JSON.stringify(fork))
        t.notOk(bothFinal, 'never do both sides become final')
        if (how === 'hidden') t.equal(refusals, 3, 'each witness refuses the second one')
        if (how === 'raced') t.ok(refusals >= 3, 'each witness takes one of two')
        if (how !== 'restored') t.ok(shown, 'and the two heads prove it')
      } finally {
        for (const end of ends) await end()
      }
    }
    t.equal(seen.forks, forks)
    t.equal(seen.undetected, 0)
    t.comment(
      Object.entries(seen)
        .map(([what, count]) => `${what} ${String(count)}`)
        .join(', '),
    )
  },
)
