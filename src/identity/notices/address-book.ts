import { transaction, type Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import type { Random } from '../../protocol/index.ts'
import { actInDirectory } from '../directory-act.ts'
import { asActor, type SignedInCaller, type IdentityDeps } from '../deps.ts'
import { readDigits } from '../factors/one-time-codes.ts'
import { requireRecent } from '../factors/service.ts'
import type { FactorKey } from '../factors/factor-key.ts'
import { addressSealing, isAddress } from './addresses.ts'
import * as store from './store.ts'

/**
 * How long a code counts, and how many wrong codes a person may give before another code is needed.
 */
export const codeLifeMinutes = 60
const mostWrongCodes = 5
const codeDigits = 8
const notAnAddress =
  'is no e-mail address such as anna@customs.example: at most 254 bytes, 64 before the @, without blanks and characters that are not shown'
/**
 * Codes in a day: that a person may ask for, and that one address gets from all people together.
 */
const mostCodes = { person: 5, recipient: 3 } as const
const dayMs = 24 * 3600_000

export interface AddressView {
  readonly address: { readonly address: string; readonly confirmedAt: string } | null
  /** An address that waits for its code. */
  readonly waiting: { readonly address: string; readonly until: string } | null
  /** Whether this service sends notices. */
  readonly sends: boolean
}

interface AddressBookDeps extends Pick<IdentityDeps, 'db' | 'logs' | 'clock' | 'random'> {
  readonly factorKey: FactorKey
  /** Whether there is a channel that could write to an address. */
  readonly sends: boolean
}

/**
 * The addresses at which people want to be told that something waits. Each person sets, confirms,
 * sees and removes their own address alone.
 */
export class AddressBook {
  readonly #deps: AddressBookDeps
  readonly #sealing: ReturnType<typeof addressSealing>

  constructor(deps: AddressBookDeps) {
    this.#deps = deps
    this.#sealing = addressSealing(deps.factorKey)
  }

  async show({ person }: SignedInCaller): Promise<AddressView> {
    const row = await transaction(this.#deps.db, (tx) => store.findAddress(tx, person))
    const { sealed_address: sealed = null, confirmed_at = null, sealed_candidate = null, asked_at = null } = row ?? {}
    return {
      address:
        sealed && confirmed_at
          ? { address: this.#sealing.open(person, sealed), confirmedAt: confirmed_at.toISOString() }
          : null,
      waiting:
        sealed_candidate && asked_at && this.#holds(asked_at)
          ? {
              address: this.#sealing.openCandidate(person, sealed_candidate).address,
              until: endOf(asked_at).toISOString(),
            }
          : null,
      sends: this.#deps.sends,
    }
  }

  /**
   * Sends a code to an address, which counts once the person has given the code. NOTICES_OFF,
   * NOTICE_CODE_LIMIT, STEP_UP_REQUIRED.
   */
  async ask(actor: SignedInCaller, address: string): Promise<void> {
    const { clock, random, sends } = this.#deps
    const { person } = actor
    await transaction(this.#deps.db, (tx) => requireRecent(tx, actor, clock()))
    if (!isAddress(address))
      throw new Problem('VALIDATION', {
        faults: [{ in: 'body', pointer: '/address', reason: notAnAddress }],
      })
    if (!sends) throw new Problem('NOTICES_OFF')
    const recipient = this.#sealing.recognise(address)
    await actInDirectory(this.#deps, actor, [person], async ({ tx, by, now }) => {
      await requireRecent(tx, by, now)
      const sent = await store.codesSince(tx, { person, recipient, since: new Date(now.getTime() - dayMs) })
      if (sent.person >= mostCodes.person || sent.recipient >= mostCodes.recipient)
        throw new Problem('NOTICE_CODE_LIMIT')
      await store.noteCode(tx, person, recipient, now)
      await store.putCandidate(tx, person, this.#sealing.sealCandidate(person, { address, code: newCode(random) }), now)
      await store.queueNotices(tx, [{ person, kind: 'address' }], now)
    })
  }

  /**
   * Makes the address count from now on. NOTICE_CODE_WRONG where the code is another, too old, or
   * wrong too often.
   */
  async confirm(actor: SignedInCaller, code: string): Promise<void> {
    const { person } = actor
    const digits = readDigits(code, codeDigits)
    if (digits === undefined) {
      const reason = `is no code of ${String(codeDigits)} digits`
      throw new Problem('VALIDATION', { faults: [{ in: 'body', pointer: '/code', reason }] })
    }
    const confirmed = await actInDirectory(this.#deps, actor, [person], async ({ tx, by, now, enter }) => {
      const row = await store.findAddress(tx, person)
      if (!row?.sealed_candidate || !row.asked_at || !this.#holds(row.asked_at) || row.tries >= mostWrongCodes)
        return false
      const candidate = this.#sealing.openCandidate(person, row.sealed_candidate)
      if (candidate.code !== digits) {
        await store.countTry(tx, person)
        return false
      }
      await store.confirmAddress(tx, person, this.#sealing.seal(person, candidate.address), now)
      await enter(setDraft(by, row.sealed_address ? 'changed' : 'added'))
      return true
    })
    if (!confirmed) throw new Problem('NOTICE_CODE_WRONG')
  }

  /** Removes the address. NOT_FOUND, STEP_UP_REQUIRED. */
  async remove(actor: SignedInCaller): Promise<void> {
    await actInDirectory(this.#deps, actor, [actor.person], async ({ tx, by, now, enter }) => {
      await requireRecent(tx, by, now)
      if (!(await store.forgetAddresses(tx, [by.person]))) throw new Problem('NOT_FOUND')
      await enter(setDraft(by, 'removed'))
    })
  }

  /** Answers the address of a person; undefined where they have set none. */
  async addressOf(tx: Tx, person: string): Promise<string | undefined> {
    const row = await store.findAddress(tx, person)
    return row?.sealed_address ? this.#sealing.open(person, row.sealed_address) : undefined
  }

  /**
   * Answers the address that waits since this time, with its code; undefined once another address
   * waits, or none.
   */
  async candidateSince(tx: Tx, person: string, since: Date): Promise<{ address: string; code: string } | undefined> {
    const row = await store.findAddress(tx, person)
    if (!row?.sealed_candidate || row.asked_at?.getTime() !== since.getTime() || !this.#holds(since)) return undefined
    return this.#sealing.openCandidate(person, row.sealed_candidate)
  }

  #holds(askedAt: Date): boolean {
    return this.#deps.clock() < endOf(askedAt)
  }
}

const endOf = (askedAt: Date) => new Date(askedAt.getTime() + codeLifeMinutes * 60_000)

function setDraft(actor: SignedInCaller, reason: 'added' | 'changed' | 'removed') {
  const details = { session: actor.session, outcome: 'accepted', reason }
  return { kind: 'notice.address-set' as const, actor: asActor(actor), subject: actor.person, details }
}

function newCode(random: Random): string {
  const drawn = random(6).reduce((sum, byte) => sum * 256 + byte, 0)
  return String(drawn % 10 ** codeDigits).padStart(codeDigits, '0')
}
