import type { Role, State } from '../../src/access.ts'
import { openDatabase, transaction } from '../../src/db/index.ts'
import { extractOf, encodeExtract } from '../../src/forms/index.ts'
import { Views, enterOperation } from '../../src/operations/index.ts'
import * as protocol from '../../src/protocol/index.ts'
import type { CompartmentId, DeviceId, MessageToPost, OperationView, PersonId } from '../../src/protocol/index.ts'
import { base64url } from '../../src/protocol/index.ts'
import type { TestServer } from './server.ts'
import { freshId, now, random, type Answer, type WireActor } from './wire.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export interface Draft {
  readonly id?: string
  readonly compartment?: string
  readonly thread?: string
  readonly form?: 'text' | 'warning' | 'feedback' | 'seizure'
  readonly fields?: Readonly<Record<string, unknown>>
  readonly subject?: string
  readonly refersTo?: { message: string; as: 'reply' | 'feedback' | 'correction' | 'withdrawal' }
  readonly addressees?: string[]
  /** Replaces members of the payload before it is signed. */
  readonly payload?: Readonly<Record<string, unknown>>
  readonly signer?: WireActor
}

export interface Posted {
  readonly id: string
  readonly thread: string
  readonly input: MessageToPost
}

export const sampleFields = {
  text: { text: 'Seen at the port, nothing more.' },
  warning: { country: 'KE', suspicion: 'Declared weight does not fit the goods.' },
  feedback: { outcome: 'nothing-found', date: '2026-11-20' },
  seizure: {
    country: 'KE',
    date: '2026-11-20',
    items: [{ category: 'wildlife/pangolin/scales', quantity: '12.5', unit: 'KGM' }],
  },
} as const

/**
 * One operation as its actors see it who do everything by hand: heads, recipients and keys are
 * looked up in the log.
 */
export class WireOperation {
  readonly id: string
  readonly server: TestServer
  readonly coordinator: WireActor
  /** Epoch keys by `<compartment>#<epoch>`. */
  readonly keys = new Map<string, protocol.EpochKey>()
  readonly #read: () => Promise<OperationView>

  constructor(owner: Owner, server: TestServer, coordinator: WireActor, id: string) {
    this.id = id
    this.server = server
    this.coordinator = coordinator
    const db = openDatabase({ connectionString: server.database.url, onError: () => {} })
    owner.teardown(() => db.close())
    const views = new Views()
    this.#read = () =>
      transaction(db, async (tx) => {
        await enterOperation(tx, id)
        return views.current(tx, id)
      })
  }

  get path(): string {
    return `/v1/operations/${this.id}`
  }

  view(): Promise<OperationView> {
    return this.#read()
  }

  async head(): Promise<string> {
    return (await this.view()).head ?? ''
  }

  async #act(act: object, compartment?: string): Promise<protocol.MemberAct> {
    const view = await this.view()
    const previous =
      compartment === undefined
        ? (view.head ?? null)
        : (view.compartments.get(compartment as CompartmentId)?.head ?? null)
    const v = protocol.memberVersion
    return { v, operation: this.id, previous, at: now(), ...act } as protocol.MemberAct
  }

  /** A member statement on the newest head, signed by anybody. */
  async sign(signer: WireActor, act: object, compartment?: string): Promise<string> {
    return signer.signAct(await this.#act(act, compartment))
  }

  async admitOrganization(organization: string, by = this.coordinator): Promise<Answer> {
    return by.call('POST', `${this.path}/organizations`, { organization })
  }

  async admit(member: { person: string; organization: string }, role: Role, by = this.coordinator): Promise<Answer> {
    const { person, organization } = member
    const statement = await this.sign(by, { act: 'admit', person, organization, role })
    return by.call('POST', `${this.path}/members`, { statement })
  }

  async remove(person: string, by = this.coordinator): Promise<Answer> {
    const statement = await this.sign(by, { act: 'remove', person })
    return by.call('POST', `${this.path}/members/${person}/removal`, { statement })
  }

  async changeRole(person: string, role: Role, by = this.coordinator): Promise<Answer> {
    const statement = await this.sign(by, { act: 'change-role', person, role })
    return by.call('POST', `${this.path}/members/${person}/role`, { statement })
  }

  async setRules(rules: { history: string; allHolds: string[] }, by = this.coordinator): Promise<Answer> {
    return by.call('POST', `${this.path}/rules`, { statement: await this.sign(by, { act: 'set-operation', ...rules }) })
  }

  async advance(to: State, by = this.coordinator): Promise<Answer> {
    return by.call('POST', `${this.path}/advance`, { statement: await this.sign(by, { act: 'advance', state: to }) })
  }

  async createCompartment(by: WireActor, members: readonly string[], id = freshId()): Promise<Answer & { id: string }> {
    const statement = await this.sign(by, { act: 'create-compartment', compartment: id, members: [...members] }, id)
    return { ...(await by.call('POST', `${this.path}/compartments`, { statement, name: 'A compartment' })), id }
  }

  async addTo(compartment: string, person: string, by = this.coordinator): Promise<Answer> {
    const statement = await this.sign(by, { act: 'add-to-compartment', compartment, person }, compartment)
    return by.call('POST', `${this.path}/compartments/${compartment}/members`, { statement })
  }

  async removeFrom(compartment: string, person: string, by = this.coordinator): Promise<Answer> {
    const statement = await this.sign(by, { act: 'remove-from-compartment', compartment, person }, compartment)
    return by.call('POST', `${this.path}/compartments/${compartment}/members/${person}/removal`, { statement })
  }

  /** What opens the next epoch, complete and right unless `change` says otherwise. */
  async epoch(
    by: WireActor,
    compartment = this.id,
    change: { recipients?: DeviceId[]; payload?: Readonly<Record<string, unknown>> } = {},
  ): Promise<{
    statement: string
    grants: { device: string; grant: string }[]
    key: protocol.EpochKey
    number: number
  }> {
    const view = await this.view()
    const id = compartment as CompartmentId
    const number = (view.currentEpoch(id)?.number ?? 0) + 1
    const recipients = change.recipients ?? view.recipients(id)
    const key = protocol.makeEpochKey(random)
    const payload = {
      v: 1,
      operation: this.id,
      compartment,
      epoch: number,
      commitment: await protocol.commitmentOf(key),
      recipients,
      members: view.heads(id),
      reason: 'routine',
      openedAt: now(),
      ...change.payload,
    } as protocol.EpochPayload
    const grants = await Promise.all(
      recipients.map(async (device) => ({ device, grant: await this.seal(view, device, compartment, number, key) })),
    )
    return { statement: await protocol.signEpochStatement(by.device, by.crt, payload), grants, key, number }
  }

  async seal(view: OperationView, device: DeviceId, compartment: string, epoch: number, key: protocol.EpochKey) {
    const seal = view.devices.get(device)?.keys.seal ?? this.coordinator.device.keys.seal
    return protocol.sealGrant({ device, seal }, compartment, epoch, key)
  }

  /** Somebody comes into a compartment and leaves it: its key has to be renewed. */
  async outdate(compartment: string, { person }: WireActor, by = this.coordinator): Promise<void> {
    if (await this.isStale(compartment)) return
    went(await this.addTo(compartment, person, by))
    went(await this.removeFrom(compartment, person, by))
  }

  async openEpoch(by: WireActor, compartment = this.id): Promise<Answer> {
    const { statement, grants, key, number } = await this.epoch(by, compartment)
    const answer = await by.call('POST', `${this.path}/epochs`, { statement, grants })
    if (answer.status < 400) this.keys.set(`${compartment}#${number}`, key)
    return answer
  }

  /** A message, complete and right unless the draft says otherwise. */
  async compose(by: WireActor, draft: Draft = {}): Promise<Posted> {
    const view = await this.view()
    const compartment = draft.compartment ?? this.id
    const id = draft.id ?? freshId()
    const thread = draft.thread ?? freshId()
    const form = draft.form ?? 'text'
    const fields = draft.fields ?? sampleFields[form]
    const epoch = Math.max(view.currentEpoch(compartment as CompartmentId)?.number ?? 1, 1)
    const key = this.keys.get(`${compartment}#${epoch}`) ?? protocol.makeEpochKey(random)
    const signer = draft.signer ?? by
    const body = await protocol.sealBody(
      { compartment, epoch, message: id, device: signer.device.id },
      { form, fields, ...(draft.subject === undefined ? {} : { subject: draft.subject }), attachments: [] },
      key,
    )
    const content = draft.refersTo?.as === 'withdrawal' ? undefined : extractOf(form, 1, fields)
    const extract = content === undefined ? undefined : encodeExtract(content)
    const salt = base64url(random(32))
    const payload = {
      v: 1,
      id,
      operation: this.id,
      compartment,
      thread,
      epoch,
      form: { id: form, version: 1 },
      precedence: 'routine',
      handling: { tlp: 'AMBER' },
      ...(draft.refersTo === undefined ? {} : { refersTo: draft.refersTo }),
      ...(draft.addressees === undefined ? {} : { addressees: draft.addressees }),
      sentAt: now(),
      seen: await this.seen(),
      ...(extract === undefined ? {} : { extract: { sha256: await protocol.digestOfExtract(salt, extract) } }),
      body: await protocol.describeBody(body),
      attachments: [],
      members: view.heads(compartment as CompartmentId),
      ...(view.state === 'rehearsal' ? { exercise: true } : {}),
      ...draft.payload,
    } as protocol.Plain<protocol.MessagePayload>
    const statement = await protocol.signMessageStatement(signer.device, signer.crt, payload)
    return { id, thread, input: { statement, body, ...(extract === undefined ? {} : { extract, salt }) } }
  }

  /** The checkpoint that everybody here has seen: the newest published one. */
  async seen(): Promise<{ size: number; root: string }> {
    const note = await this.server.logs.checkpoint(this.id)
    const { size, root } = protocol.parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
    return { size, root: base64url(root) }
  }

  async post(by: WireActor, draft: Draft = {}): Promise<Answer & Posted> {
    const posted = await this.compose(by, draft)
    return { ...(await by.call('POST', `${this.path}/messages`, posted.input)), ...posted }
  }

  async isStale(compartment = this.id): Promise<boolean> {
    return (await this.view()).compartments.get(compartment as CompartmentId)?.stale ?? false
  }

  async holds(person: string, compartment = this.id): Promise<boolean> {
    return (await this.view()).isIn(person as PersonId, compartment as CompartmentId)
  }
}

export interface OperationOptions {
  readonly history?: 'full' | 'from-joining'
  readonly allHolds?: ('partner' | 'observer')[]
  readonly timeZone?: string
  readonly purpose?: string
}

export async function createOperation(
  owner: Owner,
  administrator: WireActor,
  coordinator: WireActor,
  { history = 'full', allHolds = [], timeZone = 'Africa/Nairobi', purpose }: OperationOptions = {},
): Promise<WireOperation> {
  const operation = freshId()
  const { person, organization } = coordinator
  const statement = await administrator.signAct({
    v: 2,
    operation,
    previous: null,
    at: now(),
    act: 'create-operation',
    history,
    allHolds,
    coordinators: [{ person, organization }],
  })
  const stated = purpose === undefined ? {} : { purpose }
  const named = { statement, name: 'Operation', reference: 'OP-1', timeZone, ...stated }
  await administrator.must('POST', '/v1/operations', named)
  return new WireOperation(owner, administrator.server, coordinator, operation)
}

/** Makes sure that something which is not what a test is about went well. */
export function went<A extends Answer>(answer: A): A {
  if (answer.status >= 400) throw new Error(`${answer.status} ${answer.text}`)
  return answer
}
