import { may } from '../access.ts'
import { Problem } from '../errors.ts'
import type { Tx } from '../db/index.ts'
import { asActor, findOrganizations } from '../identity/index.ts'
import { entriesAt, type Act, type EntryDraft } from '../log/index.ts'
import {
  contentKeyId,
  mayOpenNext,
  type CompartmentId,
  type DeviceId,
  type EpochStatement,
  type Member,
  type OperationView,
} from '../protocol/index.ts'
import { placed, repeated, requireSigner, writeAll, type EntryPlace, type Write } from './acts.ts'
import { authorizeIn } from './authorize.ts'
import * as store from './store.ts'

/** SHA-256 of each sealed grant by device: the entry's private details commit to them. */
export type GrantDigests = Readonly<Record<string, string>>

export interface EpochInput {
  readonly operation: string
  readonly statement: EpochStatement
  readonly grants: readonly { readonly device: string; readonly grant: string }[]
  readonly digests: GrantDigests
}

export interface GrantsInput {
  readonly operation: string
  readonly compartment: string
  readonly grants: readonly { readonly device: string; readonly epoch: number; readonly grant: string }[]
  readonly digests: GrantDigests
}

export interface DisputeInput {
  readonly operation: string
  readonly compartment: string
  readonly epoch: number
}

function requireIn(view: OperationView, member: Member, compartment: string): CompartmentId {
  const id = compartment as CompartmentId
  if (!view.isIn(member.person, id)) throw new Problem('NOT_FOUND')
  return id
}

/**
 * Opens the next epoch of a compartment: with the right number, the newest heads, and exactly the
 * recipients that the log has now.
 */
export const openEpochAct: Act<OperationView, EpochInput, Map<string, string>, Write, EntryPlace> = {
  name: 'open epoch',
  key: ({ statement }) => statement.hash,
  load: (tx, view, inputs) =>
    store.statementsByHash(
      tx,
      view.operation,
      inputs.map(({ statement }) => statement.hash),
    ),
  decide({ snapshot: view, loaded, input, actor }) {
    const { statement, operation } = input
    const { payload, hash } = statement
    const member = authorizeIn(view, actor, 'epoch.open')
    if (payload.operation !== operation) throw new Problem('NOT_FOUND')
    const compartment = requireIn(view, member, payload.compartment)
    if (loaded.has(hash)) return repeated
    requireSigner(view, actor, statement)
    const current = view.currentEpoch(compartment)?.number ?? 0
    if (payload.epoch !== current + 1) throw new Problem('EPOCH_NUMBER', { current })
    if (!mayOpenNext(view, compartment)) throw new Problem('EPOCH_FRESH', { compartment, epoch: current })
    const heads = view.heads(compartment)
    if (heads.operation !== payload.members.operation || heads.compartment !== payload.members.compartment) {
      throw new Problem('MEMBERS_MOVED', { members: heads })
    }
    requireRecipients(view.recipients(compartment), payload.recipients)
    requireGrants(payload.recipients, input.grants)
    const draft: EntryDraft = {
      kind: 'epoch.opened',
      actor: asActor(actor),
      compartment,
      subject: contentKeyId(compartment, payload.epoch),
      digest: hash,
      statement: { type: 'epoch', value: statement },
      details: {
        session: actor.session,
        hashes: { old: view.currentEpoch(compartment)?.digest ?? null, new: hash },
        reason: payload.reason,
        grants: input.digests,
      },
    }
    return { entries: [draft], rows: [storeEpoch(input, compartment)], answer: placed }
  },
  write: writeAll,
}

function storeEpoch({ operation, statement, grants }: EpochInput, compartment: string): Write {
  const { epoch } = statement.payload
  return async (tx, entries) => {
    await store.insertEpoch(tx, {
      operation_id: operation,
      compartment_id: compartment,
      number: epoch,
      hash: statement.hash,
      jws: statement.jws,
    })
    const rows = grants.map(({ device, grant }) => ({ compartment, epoch, device, sealed: grant }))
    await store.insertGrants(tx, operation, entries[0]?.index ?? -1, rows)
  }
}

function requireRecipients(expected: readonly string[], given: readonly string[]): void {
  const wanted = new Set(expected)
  const named = new Set(given)
  const missing = expected.filter((device) => !named.has(device))
  const surplus = given.filter((device) => !wanted.has(device))
  if (missing.length > 0 || surplus.length > 0) throw new Problem('EPOCH_RECIPIENTS', { missing, surplus })
}

function requireGrants(recipients: readonly string[], grants: EpochInput['grants']): void {
  const named = new Set(grants.map(({ device }) => device))
  const exact = grants.length === recipients.length && recipients.every((device) => named.has(device))
  if (!exact) throw new Problem('EPOCH_GRANTS')
}

/**
 * How often one device gives another the key of one epoch: again where a grant did not open, never
 * without end.
 */
const mostGrantsByOneDevice = 3

interface LoadedGrants {
  readonly purpose: string
  /**
   * The grants that the devices have already, and how often each device gave them; `decide` notes
   * what it accepts.
   */
  readonly given: { readonly sealed: Set<string>; readonly times: Map<string, number> }
  /** The country of each organization; null where it belongs to no country. */
  readonly countries: ReadonlyMap<string, string | null>
}

async function loadGiven(
  tx: Tx,
  { operation }: OperationView,
  inputs: readonly GrantsInput[],
): Promise<LoadedGrants['given']> {
  const grants = inputs.flatMap((input) => input.grants)
  const [devices, epochs] = [grants.map(({ device }) => device), grants.map(({ epoch }) => epoch)]
  const rows = await store.grantsOf(tx, operation, [...new Set(devices)], [...new Set(epochs)])
  const entries = await entriesAt(tx, operation, [...new Set(rows.map(({ index }) => index))])
  const givers = new Map(entries.map(({ index, device }) => [index, device ?? '']))
  const times = new Map<string, number>()
  for (const row of rows) {
    const name = nameOf(givers.get(row.index) ?? '', row)
    times.set(name, (times.get(name) ?? 0) + 1)
  }
  return { sealed: new Set(rows.map(({ sealed }) => sealed)), times }
}

const nameOf = (giver: string, given: { compartment: string; device: string; epoch: number }) =>
  [giver, given.compartment, given.device, given.epoch].join(' ')

/**
 * Answers the grants that are new: neither stored before, nor given by this device as often as it
 * may.
 */
function newOnes({ compartment, grants }: GrantsInput, giver: string, { sealed, times }: LoadedGrants['given']) {
  const each = new Set(grants.map(({ device, epoch }) => `${device}#${String(epoch)}`))
  if (each.size !== grants.length)
    throw new Problem('EPOCH_GRANTS', { detail: 'A request gives a device each epoch once.' })
  const given = (grant: GrantsInput['grants'][number]) => times.get(nameOf(giver, { compartment, ...grant })) ?? 0
  return grants.filter((grant) => !sealed.has(grant.grant) && given(grant) < mostGrantsByOneDevice)
}

function note(
  { compartment }: GrantsInput,
  giver: string,
  fresh: GrantsInput['grants'],
  given: LoadedGrants['given'],
): void {
  for (const grant of fresh) {
    const name = nameOf(giver, { compartment, ...grant })
    given.sealed.add(grant.grant)
    given.times.set(name, (given.times.get(name) ?? 0) + 1)
  }
}

async function loadDisclosing(tx: Tx, view: OperationView, inputs: readonly GrantsInput[]): Promise<LoadedGrants> {
  const organizations = inputs.flatMap((input) =>
    input.grants.flatMap(({ device }) => view.devices.get(device as DeviceId)?.organization ?? []),
  )
  const rows = await findOrganizations(tx, [...new Set<string>(organizations)])
  return {
    purpose: await store.purposeOfOperation(tx, view.operation),
    given: await loadGiven(tx, view, inputs),
    countries: new Map(rows.map(({ id, country }) => [id, country])),
  }
}

/** Answers the recipients of the keys, each device once. */
function recipientsOf(view: OperationView, { countries }: LoadedGrants, grants: GrantsInput['grants']) {
  return [...new Set(grants.map(({ device }) => device))].map((device) => {
    const certificate = view.devices.get(device as DeviceId)
    const organization = certificate?.organization ?? ''
    return { device, person: certificate?.person, organization, country: countries.get(organization) ?? null }
  })
}

/**
 * Gives past epochs to a device of a member, as far as the history rule allows; a role with `self`
 * gives to devices of its own person only.
 */
export const giveGrantsAct: Act<OperationView, GrantsInput, LoadedGrants, Write, EntryPlace> = {
  name: 'give grants',
  load: (tx, view, inputs) => loadDisclosing(tx, view, inputs),
  decide({ snapshot: view, loaded, input, actor }) {
    const member = authorizeIn(view, actor, 'grant.give')
    const compartment = requireIn(view, member, input.compartment)
    const self = may(member.role, 'grant.give', view.state).role === 'self'
    for (const { device, epoch } of input.grants) {
      const certificate = view.devices.get(device as DeviceId)
      if (self && certificate?.person !== member.person) throw new Problem('FORBIDDEN', { permission: 'grant.give' })
      const opened = view.epoch(compartment, epoch)
      if (!certificate || !opened || !mayHoldKey(view, device as DeviceId, compartment, opened.openedIndex)) {
        throw new Problem('GRANT_REFUSED', { device, epoch })
      }
    }
    const fresh = newOnes(input, actor.device, loaded.given)
    if (fresh.length === 0) return repeated
    note(input, actor.device, fresh, loaded.given)
    return {
      entries: [
        {
          kind: 'history.granted',
          actor: asActor(actor),
          compartment,
          subject: compartment,
          details: {
            session: actor.session,
            recipients: recipientsOf(view, loaded, fresh),
            // The legal basis is not asked for: the operation's members were admitted under its
            // rule of history.
            legalBasis: { purpose: loaded.purpose, history: view.history },
            approvers: [],
            grants: fresh.map(({ device, epoch }) => ({
              device,
              epoch,
              sha256: input.digests[`${device}#${String(epoch)}`],
            })),
          },
        },
      ],
      rows: [
        (tx, entries) =>
          store.insertGrants(
            tx,
            input.operation,
            entries[0]?.index ?? -1,
            fresh.map(({ device, epoch, grant }) => ({ compartment, epoch, device, sealed: grant })),
          ),
      ],
      answer: placed,
    }
  },
  write: writeAll,
}

/** Whether a device may hold the key of an epoch that was opened at this index. */
export function mayHoldKey(
  view: OperationView,
  device: DeviceId,
  compartment: CompartmentId,
  openedIndex: number,
): boolean {
  if (!view.isRecipient(device, compartment)) return false
  const person = view.devices.get(device)?.person
  return person !== undefined && openedIndex >= (view.readsFrom(person, compartment) ?? Infinity)
}

/** Records that a recipient's grant does not open; two people who say so make the epoch stale. */
export const disputeAct: Act<OperationView, DisputeInput, null, Write, EntryPlace> = {
  name: 'dispute epoch',
  load: () => Promise.resolve(null),
  decide({ snapshot: view, input, actor }) {
    const member = authorizeIn(view, actor, 'message.read')
    const compartment = requireIn(view, member, input.compartment)
    const current = view.currentEpoch(compartment)
    const known = view.epoch(compartment, input.epoch)
    if (!known || !view.isRecipient(actor.device as DeviceId, compartment)) throw new Problem('NOT_FOUND')
    // One person cannot make an epoch stale by two devices of theirs, and the person who opened it
    // has its key.
    const complaining = [...(view.compartments.get(compartment)?.disputedBy ?? []), known.signer]
    const disputed = complaining.some((device) => view.devices.get(device)?.person === member.person)
    if (disputed || current?.number !== input.epoch) return repeated
    return {
      entries: [
        {
          kind: 'epoch.disputed',
          actor: asActor(actor),
          compartment,
          subject: contentKeyId(compartment, input.epoch),
          details: { session: actor.session, hash: known.digest, reason: 'grant-bad' },
        },
      ],
      rows: [],
      answer: placed,
    }
  },
  write: writeAll,
}
