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

/**
 * Server, access token and key, with which another program acts in a session until the token ends.
 */
export interface LentSession {
  readonly server: string
  readonly accessToken: string
  readonly expiresAt: Date
  /** Private JWK of the key that proves possession (DPoP). */
  readonly key: JWK
}

interface Exchange {
  /**
   * The name of an exchange of the refresh token that began and has no answer. Repeated with this
   * name, it gets the answer of the first try.
   */
  readonly attempt?: string
}

interface StoredSession extends Tokens, Exchange {
  readonly session: string
  readonly key: StoredSessionKey
  /** Milliseconds, see `ServiceTime.ahead`. */
  readonly ahead?: number
}

interface OpenSession extends Tokens, Exchange {
  readonly session: string
  readonly key: SessionKey
  readonly stored: StoredSessionKey
}

const mostAttempts = 5
/**
 * Milliseconds that one request may take with all repetitions: two windows of a quota that is used
 * up.
 */
const longestRequestMs = 150_000
/**
 * Milliseconds until an answer must begin (less than a proof is valid), and until it must be
 * complete.
 */
const answerWithinMs = 30_000
const wholeAnswerWithinMs = 60_000
/** Milliseconds after which a proof may have been too old when the service checked it. */
const lateProofMs = 10_000
const name = 'session'

/**
 * HTTP to one service: it proves possession of the session, renews tokens before they end, and
 * repeats requests that may be repeated. All changes at the service carry ids that the client made,
 * so that a request whose answer was lost can be repeated.
 */
export class Transport {
  readonly server: string
  readonly #platform: Platform
  readonly #store: ClientStore
  readonly #time: ServiceTime
  #open: OpenSession | undefined
  readonly #prove: (() => Promise<void>) | undefined
  #refreshing: Promise<OpenSession> | undefined
  #proving: Promise<void> | undefined

  /**
   * `prove` proves the identity of the person again, where the service wants a recent proof
   * (STEP_UP_REQUIRED); then the request is sent once more. Without `prove` the caller gets the
   * refusal.
   */
  constructor(server: string, platform: Platform, store: ClientStore, prove?: () => Promise<void>) {
    this.server = server.replace(/\/+$/, '')
    this.#platform = platform
    this.#store = store
    this.#prove = prove
    this.#time = new ServiceTime(platform)
  }

  /** The time of the service, as far as it is followed: see `ServiceTime`. */
  now(): Date {
    return this.#time.now()
  }

  /** The time of this device. */
  deviceTime(): Date {
    return this.#platform.clock()
  }

  /**
   * The difference between the clocks in words, such as "70 seconds behind"; undefined where it is
   * less than `milliseconds`.
   */
  clockOff(milliseconds: number): string | undefined {
    return Math.abs(this.#time.ahead) >= milliseconds ? this.#time.words() : undefined
  }

  /** Takes the session that the store holds. Answers whether there is one. */
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

  /**
   * Starts a session. `prove` makes the body of the request from the thumbprint of the new session
   * key.
   */
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

  /** Sends a request that needs no session. Answers the JSON of the service. */
  open<T>(method: Method, path: string, body?: object, repeat = method === 'GET'): Promise<T> {
    return this.#repeated(
      async () => valueOf<T>(await this.#send(method, path, () => body, {}), `${method} ${path}`),
      repeat,
    )
  }

  /**
   * Sends a request of the signed-in person. Answers the JSON of the service. Throws
   * `ClientProblem` with the code of the service; NETWORK where the service could not be reached
   * after some repetitions; NOT_SIGNED_IN and SESSION_ENDED where there is no session.
   */
  async request<T>(method: Method, path: string, body?: object, repeat = true): Promise<T> {
    const text = await this.#signed(method, path, body, repeat)
    return valueOf<T>(text, `${method} ${path}`)
  }

  /**
   * Sends a request of the signed-in person. Answers the plain text of the service: a note or a
   * proof. Throws as `request` does.
   */
  text(path: string, method: Method = 'GET', body?: object): Promise<string> {
    return this.#signed(method, path, body, method === 'GET')
  }

  /**
   * Lends the session to another program on this machine until the access token ends, after at most
   * 5 minutes. The program can do what this person can, and cannot renew the token. Throws
   * SESSION_KEY_HELD where the store does not export the key.
   */
  async lend(): Promise<LentSession> {
    const { accessToken, expiresAt, stored } = await this.refresh()
    if (!('jwk' in stored)) throw refuse('SESSION_KEY_HELD', 'The key of this session never leaves its store.')
    return { server: this.server, accessToken, expiresAt: new Date(expiresAt), key: stored.jwk }
  }

  async #signed(method: Method, path: string, body: object | undefined, repeat: boolean): Promise<string> {
    try {
      return await this.#signedOnce(method, path, body, repeat)
    } catch (error) {
      // What is asked for a proof must not wait for that proof.
      const canProve = this.#prove !== undefined && this.#proving === undefined
      if (!canProve || !isProblem(error, 'STEP_UP_REQUIRED')) throw error
      this.#proving = this.#prove().finally(() => (this.#proving = undefined))
      await this.#proving
      return this.#signedOnce(method, path, body, repeat)
    }
  }

  #signedOnce(method: Method, path: string, body: object | undefined, repeat: boolean): Promise<string> {
    return this.#repeated(async () => {
      const open = await this.#current()
      try {
        return await this.#send(method, path, () => body, { key: open.key, token: open.accessToken })
      } catch (error) {
        // The token may have ended on the way. A second refusal is final.
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
    if (!open) throw refuse('NOT_SIGNED_IN', 'No person is signed in on this device.')
    const remaining = open.expiresAt - this.#platform.clock().getTime()
    return remaining > 30_000 ? open : this.refresh(open)
  }

  /** Exchanges the refresh token. Callers that ask at one time share one exchange. */
  refresh(before = this.#open): Promise<OpenSession> {
    if (this.#open && before && this.#open.accessToken !== before.accessToken) return Promise.resolve(this.#open)
    this.#refreshing ??= this.#exchange().finally(() => (this.#refreshing = undefined))
    return this.#refreshing
  }

  async #exchange(): Promise<OpenSession> {
    const open = this.#open
    if (!open) throw refuse('NOT_SIGNED_IN', 'No person is signed in on this device.')
    const attempt = open.attempt ?? base64url(this.#platform.random(16))
    // Kept before the request: a process that never gets the answer repeats this exchange, or the
    // next process does.
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
   * Sends a request with a new proof. Where the service refused the proof because it came late or
   * because the clock of this device is wrong, the request is sent once more: the answer said the
   * right time, and the service did nothing.
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

  /**
   * The problem of an answer. A proxy before a service that is away answers in its own form: that
   * becomes NETWORK.
   */
  #problemOf(text: string, status: number, retryAfter: number | undefined): ClientProblem {
    // 408: the request did not arrive complete and has to be sent again (RFC 9110, 15.5.9).
    if (status === 408) return refuse('NETWORK', `A request did not reach ${this.server} whole in time.`)
    const problem = fromProblemJson(parse(text), status, retryAfter)
    if (problem.code !== 'ANSWER_INVALID' || status < 502 || status > 504) return problem
    return refuse('NETWORK', `The service at ${this.server} is away: a proxy before it answered ${String(status)}.`)
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
 * Whether a request may be sent again: where the service did not begin with it, or where it may be
 * repeated and nothing shows whether it arrived.
 */
function mayRepeat(error: unknown, attempt: number, repeat: boolean): error is ClientProblem {
  if (!(error instanceof ClientProblem)) return false
  if (error.status === 429) return true
  // An older copy stays one for long.
  const passing = error.code === 'NETWORK' || (error.status === 503 && error.code !== 'LOG_READ_ONLY')
  return passing && (repeat || error.code === 'OVERLOADED') && attempt + 1 < mostAttempts
}

/**
 * The whole seconds of Retry-After. A date there is ignored, because the clock of this device may
 * be wrong.
 */
function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get('retry-after') ?? ''
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined
}

/** The JSON of an answer; undefined where it is empty. Throws ANSWER_INVALID. */
function valueOf<T>(text: string, what: string): T {
  const value = text === '' ? undefined : parse(text)
  if (value === undefined && text !== '')
    throw refuse('ANSWER_INVALID', `The service answered ${what} with a text that is not JSON.`)
  return value as T
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
