import { transaction, type Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { comparingForm } from '../../forms/index.ts'
import { actInDirectory } from '../directory-act.ts'
import { endOthers } from '../sessions.ts'
import { asActor, type SignedInCaller, type IdentityDeps } from '../deps.ts'
import { checkCountedAttempt } from '../attempts.ts'
import * as identityStore from '../store.ts'
import type { Attempt } from '../store.ts'
import { hashSecret } from '../tokens.ts'
import type { FactorKey } from './factor-key.ts'
import {
  newRecoveryCodes,
  newTotpSecret,
  readRecoveryCode,
  readTotpCode,
  totpSheet,
  totpStep,
} from './one-time-codes.ts'
import { Passkeys } from './passkeys.ts'
import { lengthOf, passphraseLength, requireStrong } from './passphrase-rules.ts'
import * as store from './store.ts'

/**
 * What a person brings to prove who they are: a passkey's answer, or a passphrase with a code where
 * there is a second factor.
 */
export interface FactorEvidence {
  readonly passphrase?: string
  /** Six digits of the authenticator app, or a recovery code. */
  readonly code?: string
  /** The answer of `navigator.credentials.get`, as JSON. */
  readonly passkey?: unknown
}

/** The factor by which a person was recognised. */
export interface FactorProof extends store.StoredProof {
  readonly by: 'passphrase' | 'passphrase+totp' | 'passphrase+recovery-code' | 'passkey'
}

/**
 * A change of these factors ends the person's other sessions: a session that began by the old
 * factor does not go on.
 */
const endsOthers: ReadonlySet<string> = new Set(['passphrase', 'totp'])

export interface PersonFactorsView {
  passphrase: { setAt: string } | null
  totp: { confirmedAt: string } | null
  recoveryCodes: number
  passkeys: { id: string; name: string; addedAt: string; lastUsedAt: string | null }[]
}

interface FactorsDeps extends IdentityDeps {
  readonly factorKey: FactorKey
}

/** How long a proof of who a person is counts for acts that ask for a recent one. */
export const recentProofMs = 10 * 60_000

/**
 * The factors by which people prove who they are. Every door calls `prove`; a person who changes a
 * factor has proven themselves lately.
 */
export class FactorService {
  readonly #deps: FactorsDeps
  readonly #passkeys: Passkeys

  constructor(deps: FactorsDeps) {
    this.#deps = deps
    this.#passkeys = new Passkeys(deps)
  }

  /**
   * Answers the factor by which this evidence proves the person; undefined where it does not, after
   * the work of a passphrase. SECOND_FACTOR_REQUIRED where the passphrase is right and a code is
   * missing. Takes a code, a step and a challenge: they work once, on all servers.
   */
  async prove(attempt: Attempt, evidence: FactorEvidence, now: Date): Promise<FactorProof | undefined> {
    const first = await this.#first(attempt, evidence, now)
    if (first?.by !== 'passphrase') return first
    const { person } = attempt
    const { totp } = await transaction(this.#deps.db, (tx) => store.factorsOf(tx, person))
    if (!totp?.confirmed_at) return first
    if (evidence.code === undefined) throw new Problem('SECOND_FACTOR_REQUIRED')
    const by = await this.#takeCode(person, totp.sealed_secret, evidence.code)
    return by && { by }
  }

  /**
   * Whether the evidence holds the passphrase or a passkey of the person. That is enough to enrol a
   * further device, which the person's first device invited and certifies; the first sign-in on it
   * asks for the code.
   */
  async knows(attempt: Attempt, evidence: FactorEvidence, now: Date): Promise<boolean> {
    return (await this.#first(attempt, evidence, now)) !== undefined
  }

  /**
   * Answers the proof by the first factor; undefined where the evidence is wrong. Each attempt is
   * counted before it is checked: SIGN_IN_REFUSED once too many have failed at this door.
   */
  async #first(attempt: Attempt, { passphrase, passkey }: FactorEvidence, now: Date): Promise<FactorProof | undefined> {
    const { db, passphrases } = this.#deps
    const { person } = attempt
    const factors = () => checkCountedAttempt(db, attempt, now, (tx) => store.factorsOf(tx, person))
    if (passkey !== undefined) {
      const id = await this.#passkeys.verify(person, (await factors()).passkeys, passkey)
      return id === undefined ? undefined : { by: 'passkey', passkey: id }
    }
    const right = await passphrases.verify(async () => (await factors()).credential?.passphrase_hash, passphrase ?? '')
    return right ? { by: 'passphrase' } : undefined
  }

  async #takeCode(person: string, sealed: Uint8Array, code: string): Promise<FactorProof['by'] | undefined> {
    const { db, clock, factorKey } = this.#deps
    const digits = readTotpCode(code)
    if (digits !== undefined) {
      const step = totpStep(factorKey.open(person, sealed), digits, clock())
      if (step === undefined) return undefined
      return (await transaction(db, (tx) => store.takeStep(tx, person, step))) ? 'passphrase+totp' : undefined
    }
    const plain = readRecoveryCode(code)
    if (plain === undefined) return undefined
    const digest = factorKey.digest(person, plain)
    const taken = await transaction(db, (tx) => store.takeRecoveryCode(tx, person, digest))
    return taken ? 'passphrase+recovery-code' : undefined
  }

  askToSignIn() {
    return this.#passkeys.askToSignIn()
  }

  /** Whether this person has a factor. A person without factors sets a passphrase at enrolment. */
  async has(tx: Tx, person: string): Promise<boolean> {
    const { credential, passkeys } = await store.factorsOf(tx, person)
    return credential !== undefined || passkeys.length > 0
  }

  /** Answers the argon2id hash of a first passphrase: a person has no second factor before it. */
  hashFirst(passphrase: string, names: readonly string[]): Promise<string> {
    requireStrong(passphrase, names, passphraseLength.alone)
    return this.#deps.passphrases.hash(passphrase)
  }

  async setFirst(tx: Tx, person: string, hash: string, now: Date): Promise<{ factor: 'passphrase'; held: string }> {
    // Two devices of a person may enrol at once: the first sets the passphrase, and the person has
    // to know it for the second.
    if (!(await store.insertCredential(tx, { person_id: person, passphrase_hash: hash, set_at: now })))
      throw new Problem('SIGN_IN_REFUSED')
    return { factor: 'passphrase', held: await store.factorsHeld(tx, person) }
  }

  /** Answers the names that a passphrase of this person must not be. */
  async namesOf(tx: Tx, { person, organization }: { person: string; organization: string }): Promise<string[]> {
    const people = await identityStore.findPeople(tx, [person])
    const organizations = await identityStore.findOrganizations(tx, [organization])
    return [...people, ...organizations].map(({ name }) => name)
  }

  /** Removes every factor of this person, who begins again with the factor that they set next. */
  async forget(tx: Tx, person: string): Promise<void> {
    await store.dropCredential(tx, person)
    await store.dropTotp(tx, person)
    await store.dropPasskeys(tx, person)
    await store.replaceRecoveryCodes(tx, person, [])
  }

  async list(actor: SignedInCaller): Promise<PersonFactorsView> {
    const { credential, totp, passkeys, recoveryCodes } = await transaction(this.#deps.db, (tx) =>
      store.factorsOf(tx, actor.person),
    )
    return {
      passphrase: credential ? { setAt: credential.set_at.toISOString() } : null,
      totp: totp?.confirmed_at ? { confirmedAt: totp.confirmed_at.toISOString() } : null,
      recoveryCodes,
      passkeys: passkeys.map(({ id, name, added_at, last_used_at }) => ({
        id: shortId(id),
        name,
        addedAt: added_at.toISOString(),
        lastUsedAt: last_used_at?.toISOString() ?? null,
      })),
    }
  }

  /**
   * Sets another passphrase. Eight characters are enough beside a second factor; PASSPHRASE_WEAK
   * otherwise.
   */
  async setPassphrase(actor: SignedInCaller, passphrase: string): Promise<void> {
    const { db, clock, passphrases } = this.#deps
    const { names, second } = await transaction(db, async (tx) => {
      await requireRecent(tx, actor, clock())
      const { totp } = await store.factorsOf(tx, actor.person)
      return { names: await this.namesOf(tx, actor), second: totp?.confirmed_at instanceof Date }
    })
    requireStrong(passphrase, names, second ? passphraseLength.besideSecondFactor : passphraseLength.alone)
    const hash = await passphrases.hash(passphrase)
    await this.#change(actor, 'passphrase', 'changed', async (tx, now) => {
      const short = lengthOf(passphrase) < passphraseLength.alone
      const { totp } = await store.factorsOf(tx, actor.person)
      if (short && !totp?.confirmed_at) throw new Problem('PASSPHRASE_WEAK', { reason: 'length' })
      const row = { person_id: actor.person, passphrase_hash: hash, set_at: now, needs_second_factor: short }
      await store.setCredential(tx, row)
    })
  }

  /**
   * Removes the passphrase and the codes that belong to it, so that a passkey alone remains;
   * FACTOR_NEEDED where there is none.
   */
  removePassphrase(actor: SignedInCaller): Promise<void> {
    return this.#change(actor, 'passphrase', 'removed', async (tx) => {
      const { credential, passkeys } = await store.factorsOf(tx, actor.person)
      if (!credential) throw new Problem('NOT_FOUND')
      if (passkeys.length === 0) throw new Problem('FACTOR_NEEDED')
      await store.dropCredential(tx, actor.person)
      await store.dropTotp(tx, actor.person)
      await store.replaceRecoveryCodes(tx, actor.person, [])
    })
  }

  /**
   * Makes a new secret for an authenticator app; it counts once a code of the app has been given to
   * `confirmTotp`.
   */
  async beginTotp(actor: SignedInCaller): Promise<{ secret: string; uri: string }> {
    const { factorKey } = this.#deps
    const secret = newTotpSecret()
    const label = await actInDirectory(this.#deps, actor, [actor.person], async ({ tx, by, now }) => {
      await requireRecent(tx, by, now)
      const { credential, totp } = await store.factorsOf(tx, actor.person)
      if (!credential)
        throw new Problem('FACTOR_NEEDED', { detail: 'A code is used beside a passphrase: set a passphrase first.' })
      if (totp?.confirmed_at) throw new Problem('ALREADY_EXISTS', { detail: 'Remove the app that is set up first.' })
      const sealed = factorKey.seal(actor.person, secret)
      await store.putTotp(tx, {
        person_id: actor.person,
        sealed_secret: sealed,
        set_at: now,
        confirmed_at: null,
      })
      return (await identityStore.findPeople(tx, [actor.person]))[0]?.name ?? ''
    })
    return totpSheet(secret, label)
  }

  /**
   * Makes the second factor count from now on; answers the recovery codes, which are shown once.
   * CODE_WRONG where the code is not of the new secret.
   */
  async confirmTotp(actor: SignedInCaller, code: string): Promise<readonly string[]> {
    const { clock, factorKey } = this.#deps
    const codes = newRecoveryCodes()
    await this.#change(actor, 'totp', 'added', async (tx, now, session) => {
      const { totp } = await store.factorsOf(tx, actor.person)
      if (!totp || totp.confirmed_at) throw new Problem('NOT_FOUND')
      const digits = readTotpCode(code)
      const step = digits ? totpStep(factorKey.open(actor.person, totp.sealed_secret), digits, clock()) : undefined
      if (step === undefined) throw new Problem('CODE_WRONG')
      await store.takeStep(tx, actor.person, step)
      await store.confirmTotp(tx, actor.person, now)
      await store.markVerified(tx, session, { by: 'passphrase+totp' }, now)
      await this.#keepCodes(tx, actor, codes)
    })
    return codes
  }

  /**
   * Removes the authenticator app. FACTOR_NEEDED where the passphrase is too short to stand alone.
   */
  removeTotp(actor: SignedInCaller): Promise<void> {
    return this.#change(actor, 'totp', 'removed', async (tx) => {
      const { credential, totp } = await store.factorsOf(tx, actor.person)
      if (!totp?.confirmed_at) throw new Problem('NOT_FOUND')
      if (credential?.needs_second_factor === true)
        throw new Problem('FACTOR_NEEDED', { detail: 'Set a passphrase of 15 characters or more first.' })
      await store.dropTotp(tx, actor.person)
      await store.replaceRecoveryCodes(tx, actor.person, [])
    })
  }

  /** Answers new recovery codes in place of all earlier ones. */
  async renewRecoveryCodes(actor: SignedInCaller): Promise<readonly string[]> {
    const codes = newRecoveryCodes()
    await this.#change(actor, 'recovery-codes', 'changed', async (tx) => {
      const { totp } = await store.factorsOf(tx, actor.person)
      if (!totp?.confirmed_at)
        throw new Problem('FACTOR_NEEDED', { detail: 'Recovery codes replace an app: add the app first.' })
      await this.#keepCodes(tx, actor, codes)
    })
    return codes
  }

  async #keepCodes(tx: Tx, { person }: SignedInCaller, codes: readonly string[]): Promise<void> {
    const { factorKey } = this.#deps
    const digests = codes.map((code) => factorKey.digest(person, readRecoveryCode(code) ?? ''))
    await store.replaceRecoveryCodes(tx, person, digests)
  }

  async askToAddPasskey(actor: SignedInCaller) {
    const { name, known } = await transaction(this.#deps.db, async (tx) => {
      await requireRecent(tx, actor, this.#deps.clock())
      const [person] = await identityStore.findPeople(tx, [actor.person])
      const { passkeys } = await store.factorsOf(tx, actor.person)
      return { name: person?.name ?? '', known: passkeys.map(({ id }) => id) }
    })
    return this.#passkeys.askToAdd({ id: actor.person, name }, known)
  }

  /**
   * Keeps a passkey that answers `askToAddPasskey`. PASSKEY_INVALID where it does not,
   * ALREADY_EXISTS where the person has a passkey of this name.
   */
  async addPasskey(actor: SignedInCaller, name: string, response: unknown): Promise<{ id: string }> {
    await transaction(this.#deps.db, (tx) => requireRecent(tx, actor, this.#deps.clock()))
    const { id, publicKey, signCount } = await this.#passkeys.verifyNew(actor.person, response)
    await this.#change(actor, 'passkey', 'added', async (tx, now) => {
      const row = { id, person_id: actor.person, public_key: publicKey, sign_count: signCount, name }
      const { passkeys } = await store.factorsOf(tx, actor.person)
      const isTaken = passkeys.some((one) => comparingForm(one.name) === comparingForm(name))
      if (isTaken || !(await store.insertPasskey(tx, { ...row, added_at: now, last_used_at: null })))
        throw new Problem('ALREADY_EXISTS')
    })
    return { id: shortId(id) }
  }

  /** Removes a passkey. FACTOR_NEEDED where it is the last one and there is no passphrase. */
  removePasskey(actor: SignedInCaller, id: string): Promise<void> {
    return this.#change(actor, 'passkey', 'removed', async (tx) => {
      const { credential, passkeys } = await store.factorsOf(tx, actor.person)
      const named = passkeys.find((one) => shortId(one.id) === id)
      if (!named) throw new Problem('NOT_FOUND')
      if (!credential && passkeys.length === 1) throw new Problem('FACTOR_NEEDED')
      await store.dropPasskey(tx, named.id)
    })
  }

  forgetExpired(tx: Tx, now: Date): Promise<void> {
    return store.forgetChallenges(tx, now)
  }

  async #change(
    actor: SignedInCaller,
    factor: 'passphrase' | 'totp' | 'recovery-codes' | 'passkey',
    reason: 'added' | 'changed' | 'removed',
    work: (tx: Tx, now: Date, session: string) => Promise<void>,
  ): Promise<void> {
    await actInDirectory(this.#deps, actor, [actor.person], async (act) => {
      const { tx, by, now, enter } = act
      await requireRecent(tx, by, now)
      await work(tx, now, by.session)
      if (endsOthers.has(factor)) {
        await endOthers(act, 'credential-changed')
        await store.markKnown(tx, by.session, now)
      }
      const held = await store.factorsHeld(tx, by.person)
      const details = { session: by.session, factor, outcome: 'accepted', reason, held }
      await enter({ kind: 'credential.set', actor: asActor(by), subject: by.person, details })
    })
  }
}

/** Answers the SHA-256 by which people and addresses name a passkey: its own id can be long. */
function shortId(id: string): string {
  return hashSecret(id).toString('base64url')
}

/**
 * Refuses with STEP_UP_REQUIRED unless this session's person has proven lately, on a certified
 * device, who they are. The factor of that proof must exist since before the session, and still
 * exist: a factor that was added since, or that is gone, does not count.
 */
export async function requireRecent(tx: Tx, actor: SignedInCaller, now: Date): Promise<void> {
  if (actor.tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
  const late = now.getTime() - actor.verifiedAt.getTime() > recentProofMs
  if (late || (await store.proofHolds(tx, actor.session)) !== 'holds') throw new Problem('STEP_UP_REQUIRED')
}
