import type { PostedMessage } from '../../client/index.ts'
import type { Cast, Player } from './cast.ts'
import type { Plan, PlannedMessage } from './generator.ts'

export interface DemoRun {
  readonly accepted: number
  readonly deliveries: number
  readonly latencyMs: { readonly p50: number; readonly p99: number }
  readonly paced: { readonly messages: number; readonly perSecond: number }
  readonly unpaced: { readonly messages: number; readonly perSecond: number }
  readonly removal: { readonly name: string; readonly index: number; readonly receivedAfter: number }
  readonly alarms: readonly string[]
}

const pacedPerSecond = 10
const pacedShare = 0.15
const postsInFlight = 48
const receiveWithinMs = 60_000

/** Counts the readers that have opened each message. */
class Arrivals {
  readonly #counts = new Map<string, number>()
  readonly #waiting = new Map<string, { readers: number; resolve: () => void }>()

  note(message: string): void {
    const count = (this.#counts.get(message) ?? 0) + 1
    this.#counts.set(message, count)
    const waiting = this.#waiting.get(message)
    if (waiting && count >= waiting.readers) waiting.resolve()
  }

  /** Resolves once so many readers have opened the message. */
  all(message: string, readers: number): Promise<void> {
    if ((this.#counts.get(message) ?? 0) >= readers) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.set(message, { readers, resolve }))
  }
}

/**
 * Plays the plan: first slowly, to measure how long a message takes, then as fast as possible.
 * Midway a member leaves.
 */
export async function play(cast: Cast, plan: Plan, progress: (done: number) => void): Promise<DemoRun> {
  const arrivals = new Arrivals()
  const readers = new Set([cast.coordinator, ...cast.players])
  for (const { session } of readers) session.events.on('message', ({ id }) => arrivals.note(id))
  const posted: Promise<PostedMessage>[] = []
  let done = 0
  const post = (i: number): Promise<PostedMessage> => {
    const message = plan.messages[i] as PlannedMessage
    const player = cast.players[message.sender] as Player
    return (posted[i] = (async () => {
      const target = message.refersTo === undefined ? undefined : await posted[message.refersTo.message]
      const thread = message.thread === i ? undefined : (await posted[message.thread])?.thread
      const { form, version, fields, subject, precedence } = message
      const answer = await player.session.post({
        form,
        version,
        fields,
        precedence,
        ...(subject === undefined ? {} : { subject }),
        ...(thread === undefined ? {} : { thread }),
        ...(message.refersTo && target ? { refersTo: { message: target.message, as: message.refersTo.as } } : {}),
        ...(message.addressees
          ? { addressees: message.addressees.map((n) => (cast.players[n] as Player).organization) }
          : {}),
      })
      progress(++done)
      return answer
    })())
  }

  const leaver = cast.players[plan.departure.organization] as Player
  let removedAt = Number.MAX_SAFE_INTEGER
  const removeLeaver = async () => {
    await Promise.all(posted)
    const ended = leaver.session.events.once('ended')
    await cast.coordinator.client.operations.remove(cast.operation, leaver.client.person)
    readers.delete(leaver)
    await ended
    removedAt = cast.coordinator.session.position
  }

  const pacedCount = Math.min(Math.ceil(plan.messages.length * pacedShare), plan.departure.before)
  const latencies = await playPaced(pacedCount, post, arrivals, readers.size)
  const pacedSeconds = pacedCount / pacedPerSecond

  const began = performance.now()
  const running = new Set<Promise<unknown>>()
  for (let i = pacedCount; i < plan.messages.length; i++) {
    if (i === plan.departure.before) await removeLeaver()
    if (running.size >= postsInFlight) await Promise.race(running)
    const one: Promise<unknown> = post(i).finally(() => running.delete(one))
    running.add(one)
  }
  await Promise.all(running)
  const unpacedSeconds = (performance.now() - began) / 1000
  const unpacedCount = plan.messages.length - pacedCount

  await everybodyHasAll(readers, plan.messages.length)
  const participants = [cast.coordinator, ...cast.players]
  latencies.sort((a, b) => a - b)
  const quantile = (q: number) =>
    Math.round(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? 0)
  return {
    accepted: (await Promise.all(posted)).length,
    deliveries: participants.reduce((sum, { opened }) => sum + opened, 0),
    latencyMs: { p50: quantile(0.5), p99: quantile(0.99) },
    paced: { messages: pacedCount, perSecond: pacedCount / pacedSeconds },
    unpaced: { messages: unpacedCount, perSecond: Math.round(unpacedCount / unpacedSeconds) },
    removal: { name: leaver.name, index: removedAt, receivedAfter: leaver.newest > removedAt ? 1 : 0 },
    alarms: participants.flatMap(({ name, session }) => session.alarms.map(({ code }) => `${name}: ${code}`)),
  }
}

async function playPaced(
  count: number,
  post: (i: number) => Promise<PostedMessage>,
  arrivals: Arrivals,
  readers: number,
): Promise<number[]> {
  const latencies: number[] = []
  const began = performance.now()
  const last: Promise<unknown>[] = []
  for (let i = 0; i < count; i++) {
    await sleep((i * 1000) / pacedPerSecond - (performance.now() - began))
    const sent = performance.now()
    last.push(
      post(i)
        .then(({ message }) => arrivals.all(message, readers))
        .then(() => latencies.push(performance.now() - sent)),
    )
  }
  await Promise.all(last)
  return latencies
}

async function everybodyHasAll(readers: ReadonlySet<Player>, messages: number): Promise<void> {
  const deadline = performance.now() + receiveWithinMs
  for (const player of readers) {
    while (player.opened < messages && performance.now() < deadline) await sleep(20)
  }
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)))
