import { transaction, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import type { Caller, Standing } from '../log/index.ts'
import { mostClockDifferenceMs, DeviceKeys, base64url, newId, shape } from '../protocol/index.ts'
import { actInDirectory, callerOf, lockActors, type DirectoryAct } from './directory-act.ts'
import { patientSince } from './attempts.ts'
import { asActor, momentOf, type SignedInCaller, type IdentityDeps } from './deps.ts'
import { claimOf, provesDevice } from './device-proof.ts'
import type { FactorEvidence, FactorService, FactorProof } from './factors/service.ts'
import { markVerified, proofColumns, proofHolds } from './factors/store.ts'
import { admitAddress, requireAssertion } from './service-accounts/admission.ts'
import * as store from './store.ts'
import { Turns } from './turns.ts'
import {
  hashSecret,
  issueAccessToken,
  lifetimes,
  nextRefreshToken,
  sameSecret,
  verifyAccessToken,
  verifyProof,
} from './tokens.ts'

export interface SessionTokens {
  readonly accessToken: string
  readonly refreshToken: string
  /** Seconds. */
  readonly expiresIn: number
}

export interface SignInAnswer extends SessionTokens {
  readonly session: string
  readonly person: string
  readonly organization: string
}

export interface SessionEnds {
  readonly ended: ReadonlySet<string>
  /** Undefined where none of the sessions lives. */
  readonly nextExpiry: Date | undefined
}

export interface SessionView {
  session: string
  device: string
  startedAt: string
  lastRefreshedAt: string
  address: string
  agent: string
  current: boolean
}

export interface ProofOf {
  readonly method: string
  readonly path: string
  readonly proof: string | undefined
  readonly source: store.Source
}

/** The possession of the session's key, by a proof that may have been used before. */
interface Possession {
  readonly thumbprint: string
  readonly jti: string
}

/** Signs in and out, and recognises callers: every door uses this class. */
export class SessionService {
  readonly #deps: IdentityDeps
  readonly #factors: FactorService
  readonly #proving = new Turns(2, 500, () => new Problem('OVERLOADED', { retryAfter: 2 }))

  constructor(deps: IdentityDeps, factors: FactorService) {
    this.#deps = deps
    this.#factors = factors
  }

  /**
   * Signs in on an enrolled device. Every fault (of account, device, passphrase, code, passkey or
   * proof, or too many attempts) answers with one SIGN_IN_REFUSED; SECOND_FACTOR_REQUIRED where all
   * is right and a code is missing. Without a device of the person nothing is read of the person
   * and no passphrase is checked: a stranger learns nothing by time, costs the service nothing, and
   * counts against no account.
   */
  async signIn(request: ProofOf, input: FactorEvidence & { proof: string }): Promise<SignInAnswer> {
    const { clock, passphrases } = this.#deps
    passphrases.requireRoom()
    const now = clock()
    const { claim, possession } = await this.#proving.take(() => this.#requireDevice(request, input.proof, now))
    const { thumbprint } = possession
    const attempt = { person: claim.person, door: claim.device }
    return passphrases.admit(async () => {
      await this.#useProof(possession, now)
      const proven = await this.#factors.prove(attempt, input, now)
      if (proven === undefined) throw new Problem('SIGN_IN_REFUSED')
      return this.#start(claim.person, claim.device, thumbprint, proven, request.source)
    })
  }

  /**
   * Verifies the device of a sign-in. A crowd proves its devices a few at a time, so that other
   * requests are served in between.
   */
  async #requireDevice(request: ProofOf, proof: string, now: Date) {
    const { db, passphrases } = this.#deps
    passphrases.requireRoom()
    const possession = await this.#verifyProof(request, undefined, now)
    const claim = claimOf(proof)
    if (!claim) throw new Problem('SIGN_IN_REFUSED')
    const device = await transaction(db, (tx) => store.findDevice(tx, claim.device))
    const proven = await provesDevice(claim, device)
    const timely = Math.abs(now.getTime() - new Date(claim.at).getTime()) <= mostClockDifferenceMs
    if (!proven || !timely || claim.jkt !== possession.thumbprint) throw new Problem('SIGN_IN_REFUSED')
    return { claim, possession }
  }

  /** Signs in a service account with `private_key_jwt` (RFC 7523): see `requireAssertion`. */
  async signInService(request: ProofOf, assertion: string): Promise<SignInAnswer> {
    const now = this.#deps.clock()
    const { thumbprint } = await this.#requireProof(request, undefined, now)
    const { address } = request.source
    const { person, device } = await requireAssertion(this.#deps, { assertion, thumbprint, address }, now)
    return this.#start(person, device, thumbprint, { by: 'private_key_jwt' }, request.source)
  }

  /**
   * Proves in a session once more who its person is. SIGN_IN_REFUSED and SECOND_FACTOR_REQUIRED as
   * at sign-in, and counted with its attempts.
   */
  async stepUp(actor: SignedInCaller, evidence: FactorEvidence): Promise<{ verifiedAt: string }> {
    const { clock, passphrases } = this.#deps
    const now = clock()
    const attempt = { person: actor.person, door: actor.device }
    const proven = await passphrases.admit(() => this.#factors.prove(attempt, evidence, now))
    if (proven === undefined) throw new Problem('SIGN_IN_REFUSED')
    await actInDirectory(this.#deps, actor, [actor.person], async ({ tx, by, enter }) => {
      await store.forgetAttempts(tx, attempt)
      await markVerified(tx, by.session, proven, now)
      if ((await proofHolds(tx, by.session)) !== 'holds') throw new Problem('FACTOR_NEWER')
      const details = { outcome: 'accepted', reason: proven.by }
      await enter({ kind: 'session.stepped-up', actor: asActor(by), subject: by.session, details })
    })
    return { verifiedAt: now.toISOString() }
  }

  async #start(
    person: string,
    device: string,
    thumbprint: string,
    proven: FactorProof | { readonly by: 'private_key_jwt' },
    source: store.Source,
  ): Promise<SignInAnswer> {
    const { db, clock, logs, random, tokenKey, address } = this.#deps
    const now = clock()
    const byKey = proven.by === 'private_key_jwt'
    const session = newId(now, random)
    const refreshToken = base64url(random(32))
    const { acting, appended } = await transaction(db, async (tx) => {
      await store.sharePersons(tx, [person])
      const expiresAt = new Date(now.getTime() + lifetimes.session * 1000)
      await store.insertSession(tx, {
        id: session,
        person_id: person,
        device_id: device,
        key_thumbprint: thumbprint,
        started_at: now,
        refreshed_at: now,
        expires_at: expiresAt,
        ended_at: null,
        // No person was there to prove who they are: a program may not do acts that ask for such a
        // proof.
        verified_at: byKey ? new Date(0) : now,
        ...proofColumns(proven),
        known_since: now,
        reading: momentOf(this.#deps, now).onCopy,
        ...source,
      })
      const standing = requireDoor((await store.sessionsStanding(tx, [session], momentOf(this.#deps, now)))[0], byKey)
      await store.forgetAttempts(tx, { person, door: device })
      await store.insertRefreshToken(tx, {
        hash: hashSecret(refreshToken),
        session_id: session,
        issued_at: now,
        rotated_at: null,
      })
      const acting: Caller = { session, person, organization: standing.organization, device }
      const details = {
        outcome: 'accepted',
        reason: proven.by,
        key: thumbprint,
        expiresAt: expiresAt.toISOString(),
      }
      const drafts = [{ kind: 'session.started' as const, actor: asActor(acting), subject: session, details }]
      const appended = await logs.appendWithin(tx, [{ log: logs.directory, drafts }])
      return { acting, appended }
    })
    appended.afterCommit()
    const accessToken = await issueAccessToken(tokenKey, address.origin, acting, thumbprint, newId(now, random), now)
    return {
      session,
      person,
      organization: acting.organization,
      accessToken,
      refreshToken,
      expiresIn: lifetimes.access,
    }
  }

  /**
   * Exchanges a refresh token for the next one. A repetition gets the answer of the first exchange:
   * within a moment, and, where the client names its first attempt, until the next token is
   * exchanged itself. Any other second use ends the session.
   */
  async refresh(request: ProofOf, refreshToken: string, named?: string): Promise<SessionTokens> {
    const { db, clock, tokenKey, address, random } = this.#deps
    const now = clock()
    const { thumbprint } = await this.#requireProof(request, undefined, now)
    const next = nextRefreshToken(tokenKey, refreshToken)
    const attempt = named === undefined ? undefined : hashSecret(named)
    const outcome = await transaction(db, async (tx) => {
      const token = await store.lockRefreshToken(tx, hashSecret(refreshToken))
      if (!token || token.thumbprint !== thumbprint) return { stolen: token?.person, session: token?.session_id }
      const standing = (await store.sessionsStanding(tx, [token.session_id], momentOf(this.#deps, now)))[0]
      if (!standing?.alive) throw new Problem('SESSION_ENDED')
      await admitAddress(tx, standing, request.source.address, now)
      if (token.rotated_at) {
        const soon = now.getTime() - token.rotated_at.getTime() <= lifetimes.refreshRepeat * 1000
        if (!soon && !(await isSameAttempt(tx, token.attempt, attempt, next)))
          return { stolen: token.person, session: token.session_id }
      } else {
        await store.markRotated(tx, { hash: token.hash, session: token.session_id, attempt }, now, request.source)
        await store.insertRefreshToken(tx, {
          hash: hashSecret(next),
          session_id: token.session_id,
          issued_at: now,
          rotated_at: null,
        })
      }
      const { session, person, organization, device } = standing
      return { acting: { session, person, organization, device } }
    })
    if (!outcome.acting) {
      if (outcome.stolen && outcome.session) await this.#endStolen(outcome.stolen, outcome.session)
      throw new Problem('UNAUTHENTICATED')
    }
    const accessToken = await issueAccessToken(
      tokenKey,
      address.origin,
      outcome.acting,
      thumbprint,
      newId(now, random),
      now,
    )
    return { accessToken, refreshToken: next, expiresIn: lifetimes.access }
  }

  /** Recognises the caller from the token, its proof and the rows as they are now. */
  async recognise(request: ProofOf & { readonly authorization: string | undefined }): Promise<SignedInCaller> {
    const { clock, tokenKey, address } = this.#deps
    const now = clock()
    const token = /^DPoP ([A-Za-z0-9._-]{20,4096})$/i.exec(request.authorization ?? '')?.[1]
    if (token === undefined) throw new Problem('UNAUTHENTICATED')
    const claims = await verifyAccessToken(tokenKey, address.origin, token, now)
    const possession = await this.#verifyProof(request, token, now)
    if (possession.thumbprint !== claims.thumbprint) throw new Problem('UNAUTHENTICATED')
    const actor = await this.#actorOf(claims.session, possession, request.source.address, now)
    // This service signed the token, so it can differ from the rows only where the key was misused:
    // whose token it is does not depend on that.
    const same = actor.person === claims.person && actor.device === claims.device
    if (!same || actor.organization !== claims.organization) throw new Problem('UNAUTHENTICATED')
    return actor
  }

  /**
   * Answers whom a session lets in. The possession of its key works once, also where it is refused.
   */
  async #actorOf(
    session: string,
    possession: Possession | undefined,
    address: string,
    now: Date,
  ): Promise<SignedInCaller> {
    const outcome = await transaction(this.#deps.db, async (tx) => {
      const [isNew, [found]] = await Promise.all([
        possession === undefined || recordUse(tx, possession, now),
        store.sessionsStanding(tx, [session], momentOf(this.#deps, now)),
      ])
      if (!isNew) return new Problem('UNAUTHENTICATED')
      const actor = callerOf(found)
      if (actor instanceof Problem) return actor
      const isOwn = possession === undefined || found?.thumbprint === possession.thumbprint
      if (!found || !isOwn) return new Problem('UNAUTHENTICATED')
      try {
        await admitAddress(tx, found, address, now)
      } catch (error) {
        if (error instanceof Problem) return error
        throw error
      }
      return actor
    })
    if (outcome instanceof Problem) throw outcome
    return outcome
  }

  async #requireProof(request: ProofOf, token: string | undefined, now: Date): Promise<{ thumbprint: string }> {
    const possession = await this.#verifyProof(request, token, now)
    await this.#useProof(possession, now)
    return possession
  }

  #verifyProof(request: ProofOf, token: string | undefined, now: Date): Promise<Possession> {
    const { method, path, proof } = request
    return verifyProof({ method, url: this.#deps.address.origin + path, proof, token }, now)
  }

  /** Records the use of a proof, which works once. */
  async #useProof(possession: Possession, now: Date): Promise<void> {
    if (!(await transaction(this.#deps.db, (tx) => recordUse(tx, possession, now))))
      throw new Problem('UNAUTHENTICATED')
  }

  /**
   * Answers a ticket for one WebSocket: it holds 30 seconds and works once, for this session and
   * origin.
   */
  async issueTicket(actor: SignedInCaller, origin: string | undefined): Promise<{ ticket: string; expiresIn: number }> {
    const { db, clock, random } = this.#deps
    const ticket = base64url(random(32))
    const expiresAt = new Date(clock().getTime() + lifetimes.ticket * 1000)
    await transaction(db, (tx) =>
      store.insertTicket(tx, {
        hash: hashSecret(ticket),
        session_id: actor.session,
        origin: origin ?? '',
        expires_at: expiresAt,
      }),
    )
    return { ticket, expiresIn: lifetimes.ticket }
  }

  async redeemTicket(ticket: string, origin: string | undefined, address: string): Promise<SignedInCaller> {
    const { db, clock } = this.#deps
    const now = clock()
    const row = await transaction(db, (tx) => store.takeTicket(tx, hashSecret(ticket)))
    if (!row || row.expires_at <= now || row.origin !== (origin ?? '')) throw new Problem('UNAUTHENTICATED')
    return this.#actorOf(row.session_id, undefined, address, now)
  }

  async list(actor: SignedInCaller): Promise<SessionView[]> {
    const { db, clock } = this.#deps
    const rows = await transaction(db, (tx) => store.liveSessionsOf(tx, actor.person, clock()))
    return rows.map((row) => ({
      session: row.id,
      device: row.device_id,
      startedAt: row.started_at.toISOString(),
      lastRefreshedAt: row.refreshed_at.toISOString(),
      address: row.address,
      agent: row.agent,
      current: row.id === actor.session,
    }))
  }

  /** Ends sessions of the caller; NOT_FOUND if there was none to end. */
  async end(actor: SignedInCaller, which: store.SessionSelection): Promise<void> {
    const ended = await actInDirectory(this.#deps, actor, [actor.person], (act) => endOwn(act, which, 'signed-out'))
    if (ended === 0) throw new Problem('NOT_FOUND')
  }

  /** Ends all sessions of this person but the caller's own, if there are any. */
  async endOthers(actor: SignedInCaller): Promise<void> {
    if (actor.tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
    await actInDirectory(this.#deps, actor, [actor.person], (act) => endOthers(act, 'signed-out'))
  }

  /** Ends a session of which another client has a token, or had one. */
  async #endStolen(person: string, session: string): Promise<void> {
    const { db, logs, clock, server } = this.#deps
    const appended = await transaction(db, async (tx) => {
      await store.lockPerson(tx, person)
      const ended = await store.endSessions(tx, { person, session }, clock())
      if (ended.length === 0) return undefined
      const drafts = endedDrafts(ended, 'refresh-token-reused', { server })
      return logs.appendWithin(tx, [{ log: logs.directory, drafts }])
    })
    appended?.afterCommit()
  }

  /** Answers which callers of acts on a log may still act. */
  lockActors(tx: Tx, actors: readonly Caller[], persons: readonly string[]): Promise<Map<string, Standing | Problem>> {
    return lockActors(tx, actors, persons, momentOf(this.#deps, this.#deps.clock()))
  }

  /**
   * Answers which of these sessions have ended, and the first time at which time alone ends
   * another. Until then they end only by an act, and each such act is an entry of the directory
   * log.
   */
  async endsAmong(tx: Tx, sessions: readonly string[]): Promise<SessionEnds> {
    if (sessions.length === 0) return { ended: new Set(), nextExpiry: undefined }
    const rows = await store.sessionsStanding(tx, sessions, momentOf(this.#deps, this.#deps.clock()))
    const alive = rows.filter((row) => row.alive)
    const ids = new Set(alive.map(({ session }) => session))
    const ended = new Set(sessions.filter((session) => !ids.has(session)))
    const nextExpiry = alive.map(({ expiresAt }) => expiresAt).sort((a, b) => a.getTime() - b.getTime())[0]
    return { ended, nextExpiry }
  }

  /**
   * Ends the sessions that only read an older copy, once the directory log goes on: no entry says
   * that they began.
   */
  async endReading(): Promise<void> {
    const { db, logs, clock } = this.#deps
    if (logs.gapOf(logs.directory) !== undefined) return
    await transaction(db, (tx) => store.endReadingSessions(tx, clock()))
  }

  async forgetExpired(): Promise<void> {
    const now = this.#deps.clock()
    await transaction(this.#deps.db, async (tx) => {
      await store.forgetExpired(tx, now, patientSince(now))
      await this.#factors.forgetExpired(tx, now)
    })
  }
}

/** Answers whether this is the first use of a proof. */
function recordUse(tx: Tx, { thumbprint, jti }: Possession, now: Date): Promise<boolean> {
  const expiresAt = new Date(now.getTime() + 2 * lifetimes.proof * 1000)
  return store.recordProof(tx, hashSecret(`${thumbprint} ${jti}`), expiresAt)
}

/**
 * Answers the row of a session that may begin: a service account signs in by its key alone, and no
 * person signs in by such a key.
 */
function requireDoor(standing: store.SessionStanding | undefined, byKey: boolean): store.SessionStanding {
  const fits = (standing?.permissions !== null) === byKey
  if (standing?.asleep === true && fits) throw new Problem('ACCOUNT_ASLEEP')
  if (standing?.deviceState === 'expired' && fits && !byKey) throw new Problem('DEVICE_EXPIRED')
  if (!standing?.alive || !fits) throw new Problem('SIGN_IN_REFUSED')
  return standing
}

/** Ends sessions of the caller, whose person's row is locked; answers how many. */
async function endOwn(
  { tx, by, now, enter }: DirectoryAct,
  which: store.SessionSelection,
  reason: string,
): Promise<number> {
  const ended = await store.endSessions(tx, { person: by.person, ...which }, now)
  if (ended.length > 0) await enter(...endedDrafts(ended, reason, by))
  return ended.length
}

/** Ends all sessions of the caller's person but the caller's own; answers how many. */
export function endOthers(act: DirectoryAct, reason: string): Promise<number> {
  return endOwn(act, { except: act.by.session }, reason)
}

/**
 * Whether a client that never got the answer asks again for the token that it exchanged: a service
 * may pause for long. A client that names its attempt knows the name that it made up, and no client
 * has used the answer yet.
 */
async function isSameAttempt(
  tx: Tx,
  known: Uint8Array | null,
  attempt: Uint8Array | undefined,
  next: string,
): Promise<boolean> {
  if (known === null || attempt === undefined || !sameSecret(known, attempt)) return false
  const following = await store.lockRefreshToken(tx, hashSecret(next))
  return following?.rotated_at === null
}

/** Makes the entries of sessions that a person, or the server itself, ended. */
export function endedDrafts(sessions: readonly string[], reason: string, by: Caller | { readonly server: string }) {
  const [actor, own] = 'server' in by ? [{ server: by.server }, {}] : [asActor(by), { session: by.session }]
  return sessions.map((session) => ({
    kind: 'session.ended' as const,
    actor,
    subject: session,
    details: { outcome: 'ended', reason, ...own },
  }))
}

const parseKeys = shape('device keys', DeviceKeys)

/** Answers the public keys of a device from its row. */
export function keysOf(row: { sign_key: string; seal_key: string }): DeviceKeys {
  return parseKeys({ sign: JSON.parse(row.sign_key), seal: JSON.parse(row.seal_key) })
}
