import type { JWK } from 'jose'
import { base64url } from '../protocol/index.ts'
import { ClientProblem, fromProblemJson, isProblem, refuse } from './problem.ts'
import { backOff, sleep, type Platform } from './platform.ts'
import { makeSessionKey, openSessionKey, proveRequest, type SessionKey, type StoredSessionKey } from './session-key.ts'
import { ServiceTime } from './service-time.ts'
import type { ClientStore } from './store.ts'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** What another program needs to act in a session for as long as its access token lasts. */
export interface LentSession {
  readonly server: string
  readonly accessToken: string
  readonly expiresAt: Date
  /** Private JWK of the key that proves possession (DPoP). */
  readonly key: JWK
}

interface Exchange {
  /**
   * Of an exchange of the refresh token that was begun and not answered: repeated by the same name,
   * it gets the same answer.
   */
  readonly attempt?: string
}

interface StoredSession extends Tokens, Exchange {
  readonly session: string
  readonly key: StoredSessionKey
  /** See `ServiceTime.ahead`. */
  readonly ahead?: number
}

interface OpenSession extends Tokens, Exchange {
  readonly session: string
  readonly key: SessionKey
  readonly stored: StoredSessionKey
}

const mostAttempts = 5
/**
 * Milliseconds that one request may take altogether: where a quota is used up, two windows of it.
 */
const longestRequestMs = 150_000
/** Milliseconds until an answer begins, less than a proof lives; and until all of it is there. */
const answerWithinMs = 30_000
const wholeAnswerWithinMs = 60_000
/** Milliseconds after which a proof may have been too old when the service came to look at it. */
const lateProofMs = 10_000
const name = 'session'

/**
 * HTTP to one service: proofs of possession, tokens renewed before they end, and repetitions of
 * what can be repeated. All mutations of the service carry ids made by the client, so that a lost
 * answer is asked for again.
 */
export class Transport {
  readonly server: string
  readonly #platform: Platform
  readonly #store: ClientStore
  readonly #time: ServiceTime
  #open: OpenSession | undefined
  #refreshing: Promise<OpenSession> | undefined

  constructor(server: string, platform: Platform, store: ClientStore) {
    this.server = server.replace(/\/+$/, '')
    this.#platform = platform
    this.#store = store
    this.#time = new ServiceTime(platform)
  }

  /** The time of the service, as far as it is followed. See `ServiceTime`. */
  now(): Date {
    return this.#time.now()
  }

  /** The time of this device. */
  deviceTime(): Date {
    return this.#platform.clock()
  }

  /**
   * Where the clock of this device is off by so many milliseconds or more: in words, such as "70
   * seconds behind".
   */
  clockOff(milliseconds: number): string | undefined {
    return Math.abs(this.#time.ahead) >= milliseconds ? this.#time.words() : undefined
  }

  /** Takes up the session that the store holds, if there is one. */
  async resume(): Promise<boolean> {
    const stored = (await this.#store.get(name)) as StoredSession | undefined
    if (!stored) return false
    this.#open = { ...stored, key: await openSessionKey(stored.key), stored: stored.key }
    this.#time.resume(stored.ahead)
    return true
  }

  get signedIn(): boolean {
    return this.#open !== undefined
  }

  get session(): string | undefined {
    return this.#open?.session
  }

  /** Starts a session: `prove` signs in with the thumbprint of the new session key. */
  async signIn<T extends { session: string; accessToken: string; refreshToken: string; expiresIn: number }>(
    prove: (thumbprint: string) => Promise<object>,
    path = '/v1/sessions',
  ): Promise<T> {
    const { key, stored } = await makeSessionKey(!this.#store.holdsKeys)
    const send = () => this.#send('POST', path, () => prove(key.thumbprint), { key })
    const answer = valueOf<T>(await this.#repeated(send, false), `POST ${path}`)
    await this.#keep({ ...this.#tokens(answer), session: answer.session, key, stored })
    return answer
  }

  /** Ends this session at the service and forgets it here. */
  async signOut(): Promise<void> {
    const session = this.#open?.session
    if (session === undefined) return
    try {
      await this.request('DELETE', `/v1/sessions/${session}`)
    } catch (error) {
      if (!isProblem(error, 'SESSION_ENDED', 'UNAUTHENTICATED', 'NOT_FOUND', 'NOT_SIGNED_IN')) throw error
    }
    await this.forget()
  }

  async forget(): Promise<void> {
    this.#open = undefined
    await this.#store.write([{ name }])
  }

  /** A request that needs no session. */
  open<T>(method: Method, path: string, body?: object, repeat = method === 'GET'): Promise<T> {
    return this.#repeated(
      async () => valueOf<T>(await this.#send(method, path, () => body, {}), `${method} ${path}`),
      repeat,
    )
  }

  /**
   * A request of the signed-in person; answers the JSON of the service. `ClientProblem` with the
   * service's code; NETWORK where it could not be reached after some repetitions; NOT_SIGNED_IN and
   * SESSION_ENDED where there is no session.
   */
  async request<T>(method: Method, path: string, body?: object, repeat = true): Promise<T> {
    const text = await this.#signed(method, path, body, repeat)
    return valueOf<T>(text, `${method} ${path}`)
  }

  /** The same for what the service answers as plain text: notes and proofs. */
  text(path: string, method: Method = 'GET', body?: object): Promise<string> {
    return this.#signed(method, path, body, method === 'GET')
  }

  /**
   * Lends the session to another program on this machine until its access token ends (at most 5
   * minutes): it can do what this person can, and nothing of it can be renewed. SESSION_KEY_HELD
   * where the platform does not let the key go.
   */
  async lend(): Promise<LentSession> {
    const { accessToken, expiresAt, stored } = await this.refresh()
    if (!('jwk' in stored)) throw refuse('SESSION_KEY_HELD', 'The key of this session never leaves its store.')
    return { server: this.server, accessToken, expiresAt: new Date(expiresAt), key: stored.jwk }
  }

  #signed(method: Method, path: string, body: object | undefined, repeat: boolean): Promise<string> {
    return this.#repeated(async () => {
      const open = await this.#current()
      try {
        return await this.#send(method, path, () => body, { key: open.key, token: open.accessToken })
      } catch (error) {
        // A token can end between here and there; a second refusal is meant.
        if (!isProblem(error, 'UNAUTHENTICATED')) throw error
        const renewed = await this.refresh(open)
        return this.#send(method, path, () => body, { key: renewed.key, token: renewed.accessToken })
      }
    }, repeat)
  }

  async #repeated<T>(send: () => Promise<T>, repeat: boolean): Promise<T> {
    const begun = this.#platform.elapsed()
    for (let attempt = 0; ; attempt++) {
      try {
        return await send()
      } catch (error) {
        if (!mayRepeat(error, attempt, repeat)) throw error
        const pause = (error.retryAfter ?? 0) * 1000 + backOff(this.#platform, attempt, 200, 5_000)
        if (this.#platform.elapsed() - begun + pause > longestRequestMs) throw error
        await sleep(this.#platform, pause)
      }
    }
  }

  async #current(): Promise<OpenSession> {
    const open = this.#open
    if (!open) throw refuse('NOT_SIGNED_IN', 'Nobody is signed in on this device.')
    const remaining = open.expiresAt - this.#platform.clock().getTime()
    return remaining > 30_000 ? open : this.refresh(open)
  }

  /** Exchanges the refresh token; several that ask at once share one exchange. */
  refresh(before = this.#open): Promise<OpenSession> {
    if (this.#open && before && this.#open.accessToken !== before.accessToken) return Promise.resolve(this.#open)
    this.#refreshing ??= this.#exchange().finally(() => (this.#refreshing = undefined))
    return this.#refreshing
  }

  async #exchange(): Promise<OpenSession> {
    const open = this.#open
    if (!open) throw refuse('NOT_SIGNED_IN', 'Nobody is signed in on this device.')
    const attempt = open.attempt ?? base64url(this.#platform.random(16))
    // Kept before it is sent: whoever never gets the answer asks for the same one again, also in
    // the next process.
    if (open.attempt === undefined) await this.#keep({ ...open, attempt })
    const body = { refreshToken: open.refreshToken, attempt }
    const text = await this.#repeated(() => this.#send('POST', '/v1/tokens', () => body, { key: open.key }), true)
    const answer = valueOf<{ accessToken: string; refreshToken: string; expiresIn: number }>(text, 'POST /v1/tokens')
    const { session, key, stored } = open
    return this.#keep({ session, key, stored, ...this.#tokens(answer) })
  }

  #tokens(answer: { accessToken: string; refreshToken: string; expiresIn: number }): Tokens {
    const { accessToken, refreshToken, expiresIn } = answer
    return { accessToken, refreshToken, expiresAt: this.#platform.clock().getTime() + expiresIn * 1000 }
  }

  async #keep(open: OpenSession): Promise<OpenSession> {
    const { session, accessToken, refreshToken, expiresAt, stored, attempt } = open
    const beside = { ...(attempt === undefined ? {} : { attempt }), ahead: this.#time.ahead }
    await this.#store.write([
      { name, value: { session, accessToken, refreshToken, expiresAt, key: stored, ...beside } },
    ])
    this.#open = open
    return open
  }

  /**
   * Sends with a fresh proof. One that the service refused because it came late, or was dated by a
   * clock that is off, is made once more: the answer said what time it is, and nothing was done of
   * what was refused so.
   */
  async #send(
    method: Method,
    path: string,
    make: () => object | undefined | Promise<object | undefined>,
    proof: { key?: SessionKey; token?: string },
  ): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      const begun = this.#platform.elapsed()
      const { status, text, date, retryAfter } = await this.#exchangeBytes(
        this.server + path,
        await this.#requestOf(method, path, await make(), proof),
      )
      const took = this.#platform.elapsed() - begun
      const corrected = this.#time.learn(date, took)
      if (status >= 200 && status < 300) return text
      const problem = this.#problemOf(text, status, retryAfter)
      const unproven = proof.key !== undefined && problem.code === 'UNAUTHENTICATED'
      if (unproven && attempt === 0 && this.#time.isFollowed && (corrected || took > lateProofMs)) continue
      throw (unproven ? this.#time.refusal() : undefined) ?? problem
    }
  }

  async #requestOf(
    method: Method,
    path: string,
    body: object | undefined,
    { key, token }: { key?: SessionKey; token?: string },
  ): Promise<RequestInit> {
    const headers: Record<string, string> = { accept: 'application/json' }
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (key) {
      const url = this.server + (path.split('?', 1)[0] ?? path)
      const request = { method, url, ...(token === undefined ? {} : { token }) }
      headers['dpop'] = await proveRequest(key, request, this.now(), this.#platform.random)
      if (token !== undefined) headers['authorization'] = `DPoP ${token}`
    }
    return { method, headers, redirect: 'error', ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
  }

  /** Whatever stands before a service that is away answers for it, in words of its own. */
  #problemOf(text: string, status: number, retryAfter: number | undefined): ClientProblem {
    // It did not arrive whole, whoever held it up, and is to be sent again (RFC 9110, 15.5.9).
    if (status === 408) return refuse('NETWORK', `A request did not reach ${this.server} whole in time.`)
    const problem = fromProblemJson(parse(text), status, retryAfter)
    if (problem.code !== 'ANSWER_INVALID' || status < 502 || status > 504) return problem
    return refuse('NETWORK', `The service at ${this.server} is away: what stands before it answered ${String(status)}.`)
  }

  async #exchangeBytes(url: string, init: RequestInit) {
    const { platform, giveUp, signal } = this.#deadline()
    let cancel = giveUp(answerWithinMs)
    try {
      const response = await platform.fetch(url, { ...init, signal })
      cancel()
      cancel = giveUp(wholeAnswerWithinMs)
      const { status, headers } = response
      return { status, text: await response.text(), date: headers.get('date'), retryAfter: retryAfterOf(headers) }
    } catch (cause) {
      const why = signal.aborted ? 'does not answer' : 'cannot be reached'
      throw refuse('NETWORK', `The service at ${this.server} ${why}.`, undefined, cause)
    } finally {
      cancel()
    }
  }

  #deadline() {
    const platform = this.#platform
    const controller = new AbortController()
    const giveUp = (milliseconds: number) => platform.after(milliseconds, () => controller.abort())
    return { platform, giveUp, signal: controller.signal }
  }
}

/**
 * What may be sent again: what the service did not begin with, and, where it can be repeated, what
 * may or may not have arrived.
 */
function mayRepeat(error: unknown, attempt: number, repeat: boolean): error is ClientProblem {
  if (!(error instanceof ClientProblem)) return false
  if (error.status === 429) return true
  const passing = error.code === 'NETWORK' || error.status === 503
  return passing && (repeat || error.code === 'OVERLOADED') && attempt + 1 < mostAttempts
}

/** Whole seconds; a date says nothing to a clock that may be wrong. */
function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get('retry-after') ?? ''
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined
}

/** The JSON of an answer; nothing where it is empty. */
function valueOf<T>(text: string, what: string): T {
  const value = text === '' ? undefined : parse(text)
  if (value === undefined && text !== '')
    throw refuse('ANSWER_INVALID', `The service answered ${what} with something that is not JSON.`)
  return value as T
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
