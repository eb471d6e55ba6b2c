import type { ListedPermissions, OrganizationKind } from '../access.ts'
import { signSignIn, timestamp } from '../protocol/index.ts'
import { loadSelf, requireOtherPassphrase, type Self } from './account.ts'
import { proveTogether, readCertificateOnce, requirePinned } from './certificates.ts'
import { Audit } from './audit.ts'
import {
  importRows,
  proposeImport,
  type ImportDeps,
  type ImportInput,
  type ImportOutcome,
  type ImportProposal,
} from './import/runner.ts'
import { Factors, askPasskey, type Authenticator, type SignInEvidence } from './factors.ts'
import { LiveConnection } from './connection.ts'
import { Directory } from './directory.ts'
import type { CertifyOutcome, OwnDevice } from './directory-types.ts'
import {
  enrol,
  initialize,
  type EnrolmentRequest,
  type EnrolmentResult,
  type InitializationRequest,
  type RootSecrets,
  type ServerFacts,
} from './enrolment.ts'
import { Notices } from './notices.ts'
import { Operations } from './operations.ts'
import type { Platform } from './platform.ts'
import { refuse } from './problem.ts'
import type { OperationSession } from './operation-session.ts'
import { portableReceipt } from './portable-receipt.ts'
import { checkOwnPlace, type SelfCheck } from './self-check.ts'
import { Renewals } from './renewals.ts'
import { ServiceAccounts } from './service-accounts.ts'
import { signInKeyName, signInWithKey, type SignInKey } from './service-key.ts'
import { GuardedStore } from './guarded-store.ts'
import type { ClientStore } from './store.ts'
import { Transparency } from './transparency.ts'
import { Transport, type LentSession } from './transport.ts'
import { readPin, writePin, type WitnessPin } from './witness-watch.ts'

export interface CordonOptions {
  readonly store: ClientStore
  readonly platform: Platform
  /**
   * 'all': opened messages are kept in the store. 'none': they are only told as events. 'all' if
   * not given.
   */
  readonly keep?: 'all' | 'none'
  /**
   * Proves the identity of the person again, by `factors.stepUp` or `factors.stepUpWith`. Called
   * where the service wants a recent proof for an act, which is then sent once more; without it
   * such an act throws STEP_UP_REQUIRED.
   */
  readonly prove?: () => Promise<void>
}

export interface Me {
  readonly person: string
  readonly name: string
  readonly organization: string
  readonly organizationName: string
  readonly organizationKind: OrganizationKind
  readonly device: string
  /** Null until another device has certified this device. */
  readonly tier: 'administrator' | 'ncp' | 'person' | 'service' | 'auditor' | null
  readonly administrator: boolean
  /**
   * The number of certificates that this NCP or administrator is asked to renew: see `Renewals`.
   */
  readonly renewalsDue: number
  /** The permissions that a service account may use below its role; null for a person. */
  readonly listed: ListedPermissions
}

export interface Session {
  readonly session: string
  readonly device: string
  readonly startedAt: string
  readonly lastRefreshedAt: string
  /**
   * The address from which the session was last renewed, and the name that the client gave itself.
   */
  readonly address: string
  readonly agent: string
  readonly current: boolean
}

/**
 * Cordon, for one person on one device. A caller constructs it with an empty store and calls
 * `initialize` or `enrol`, or with a store that holds a device; then it calls `signIn`. All methods
 * throw `ClientProblem`.
 */
export class Cordon {
  readonly #options: CordonOptions
  /**
   * The platform of the options; its clock becomes that of the service once `load` has made a
   * transport. All dates that this device signs come from it.
   */
  #platform: Platform
  #self: Self | undefined
  #transport: Transport | undefined
  #connection: LiveConnection | undefined
  #directory: Directory | undefined
  #operations: Operations | undefined
  #transparency: Transparency | undefined
  #audit: Audit | undefined
  #serviceAccounts: ServiceAccounts | undefined
  #renewals: Renewals | undefined
  #cancelCertifying: (() => void) | undefined

  constructor(options: CordonOptions) {
    this.#options = { ...options, store: new GuardedStore(options.store) }
    this.#platform = options.platform
  }

  /**
   * Loads the device and, if there is one, the session that the store holds. Answers false for an
   * empty store.
   */
  async load(): Promise<boolean> {
    const { store } = this.#options
    const self = await loadSelf(store)
    if (!self) return false
    this.#self = self
    const { platform: devicePlatform, prove } = this.#options
    const transport = new Transport(self.account.server, devicePlatform, store, prove)
    await transport.resume()
    const platform = { ...this.#options.platform, clock: () => transport.now() }
    this.#platform = platform
    const connection = new LiveConnection({ platform, transport })
    this.#transport = transport
    this.#connection = connection
    const own = () => this.self
    const transparency = new Transparency({ platform, transport, store, pins: () => this.self.account.pins })
    this.#transparency = transparency
    this.#directory = new Directory({ platform, transport, transparency, self: own })
    this.#serviceAccounts = new ServiceAccounts({ platform, transport, self: own })
    this.#audit = new Audit({ transport, pins: () => this.self.account.pins })
    const keep = this.#options.keep ?? 'all'
    const me = () => this.me()
    this.#renewals = new Renewals({ platform, transport, transparency, self: own, me })
    this.#operations = new Operations({ platform, store, transport, connection, transparency, self: own, me, keep })
    return true
  }

  /**
   * Makes the root, its successor and the first administrator on a service that has no root. See
   * `initialize` of `enrolment.ts`.
   */
  async initialize(input: InitializationRequest): Promise<RootSecrets> {
    const secrets = await initialize(this.#options, input)
    await this.load()
    return secrets
  }

  /** Enrols this device with an invitation. See `enrol` of `enrolment.ts`. */
  async enrol(input: EnrolmentRequest): Promise<EnrolmentResult> {
    const enrolled = await enrol(this.#options, input)
    await this.load()
    return enrolled
  }

  /** The person and the device that act. Throws NOT_ENROLLED where the store holds no device. */
  get self(): Self {
    if (!this.#self) throw refuse('NOT_ENROLLED', 'This store holds no device.')
    return this.#self
  }

  get person(): string {
    return this.self.account.person
  }

  get organization(): string {
    return this.self.account.organization
  }

  get device(): string {
    return this.self.device.id
  }

  /** Whether this device belongs to a service account, which signs in with `signInService`. */
  get isService(): boolean {
    return this.self.isService
  }

  get signedIn(): boolean {
    return this.#transport?.signedIn ?? false
  }

  /** The platform of this client, with the time of the service where it is known. */
  get platform(): Platform {
    return this.#platform
  }

  /**
   * The difference between the clock of this device and that of the service, in words such as "70
   * seconds behind"; undefined where it is less than 5 seconds.
   */
  get clockOff(): string | undefined {
    return this.#transport?.clockOff(5_000)
  }

  /** Sends HTTP requests as the signed-in person, for routes that have no method in the SDK. */
  get transport(): Transport {
    return this.#require(this.#transport)
  }

  get directory(): Directory {
    return this.#require(this.#directory)
  }

  get operations(): Operations {
    return this.#require(this.#operations)
  }

  /** The factors with which this person signs in. */
  get factors(): Factors {
    return new Factors(this.transport)
  }

  /** The e-mail address to which the service sends notices for this person. */
  get notices(): Notices {
    return new Notices(this.transport)
  }

  get serviceAccounts(): ServiceAccounts {
    return this.#require(this.#serviceAccounts)
  }

  get renewals(): Renewals {
    return this.#require(this.#renewals)
  }

  /** Queries of logs. */
  get audit(): Audit {
    return this.#require(this.#audit)
  }

  #require<T>(part: T | undefined): T {
    if (!part) throw refuse('NOT_ENROLLED', 'This store holds no device.')
    return part
  }

  /**
   * Signs in, checks that the service is the pinned one, and certifies the newcomers that wait for
   * this person. Throws SIGN_IN_REFUSED, SECOND_FACTOR_REQUIRED (a code is missing) of the service;
   * PIN_CHANGED, STORE_PASSPHRASE_REUSED.
   */
  async signIn(
    by: SignInEvidence | { readonly authenticator: Authenticator },
  ): Promise<Me & { readonly certified: readonly CertifyOutcome[] }> {
    const { store } = this.#options
    const { account, device } = this.self
    const transport = this.transport
    if ('passphrase' in by && by.passphrase !== undefined) await requireOtherPassphrase(store, by.passphrase)
    await this.#requirePinned()
    const evidence = 'authenticator' in by ? await askPasskey(transport, by.authenticator) : by
    return this.#signIn(async (thumbprint) => ({
      proof: await signSignIn(device, account.person, thumbprint, timestamp(transport.now())),
      ...evidence,
    }))
  }

  /**
   * Signs a service account in, with the key that its store holds and without any person. Throws
   * NOT_A_SERVICE; ADDRESS_REFUSED of the service; PIN_CHANGED.
   */
  async signInService(): Promise<Me & { readonly certified: readonly CertifyOutcome[] }> {
    const { store } = this.#options
    const { person: account, server } = this.self.account
    const key = (await store.get(signInKeyName)) as SignInKey | undefined
    if (!key) throw refuse('NOT_A_SERVICE', 'This store holds the device of a person.')
    await this.#requirePinned()
    return this.#signIn(
      (thumbprint) => signInWithKey(key, { account, server, thumbprint }, this.transport.now(), this.#platform.random),
      '/v1/service-sessions',
    )
  }

  /** Throws PIN_CHANGED where the service is not the pinned one. */
  async #requirePinned(): Promise<void> {
    requirePinned(this.self.account.pins, await this.transport.open<ServerFacts>('GET', '/v1/server'))
  }

  async #signIn(prove: (thumbprint: string) => Promise<object>, path?: string) {
    const { store } = this.#options
    const { account } = this.self
    await this.transport.signIn(prove, path)
    if (!account.enrolled) await store.write([{ name: 'account', value: { ...account, enrolled: true } }])
    const me = await this.me()
    this.#connection?.resume()
    return { ...me, certified: me.tier === null ? [] : await this.directory.certifyWaiting() }
  }

  /** Certifies newcomers every `every` milliseconds, until `close` or `signOut`. */
  keepCertifying(every = 30_000): void {
    this.#cancelCertifying?.()
    this.#cancelCertifying = this.#platform.after(every, () => {
      // Where the service cannot be reached, the next turn asks again.
      this.directory.certifyWaiting().catch(() => {})
      this.keepCertifying(every)
    })
  }

  async signOut(): Promise<void> {
    await this.close()
    await this.transport.signOut()
  }

  /** The live sessions of this person. */
  async sessions(): Promise<Session[]> {
    return (await this.transport.request<{ sessions: Session[] }>('GET', '/v1/sessions')).sessions
  }

  /** Ends all sessions of this person except this one. */
  async endOtherSessions(): Promise<void> {
    await this.transport.request('DELETE', '/v1/sessions')
  }

  async endSession(session: string): Promise<void> {
    await this.transport.request('DELETE', `/v1/sessions/${session}`)
  }

  /**
   * Fetches the person, the tier and the certificate of this device, and checks them: the
   * certificate must lead up to the pinned root and name this device, this person and this
   * organization. Throws CERTIFICATE_REFUSED otherwise.
   */
  async me(): Promise<Me> {
    const { account, device } = this.self
    const { certificate, chain, ...me } = await this.transport.request<
      Me & { certificate: string | null; chain: string[] }
    >('GET', '/v1/me')
    if (me.person !== account.person || me.device !== device.id)
      throw refuse('CERTIFICATE_REFUSED', 'The service takes this device for another device.')
    if (certificate === null) return me
    const [own, ...above] = await this.#proven([certificate, ...chain])
    const fits =
      own?.device === device.id &&
      own.keys.seal.pub === device.keys.seal.pub &&
      own.person === account.person &&
      own.organization === account.organization
    if (!own || !fits) throw refuse('CERTIFICATE_REFUSED', 'The certificate of this device names another person.')
    this.#self = { ...this.self, certificate: own, chain: above, listed: me.listed }
    const listed = me.listed === null ? { name: 'listed' } : { name: 'listed', value: me.listed }
    await this.#options.store.write([{ name: 'certificate', value: [certificate, ...chain] }, listed])
    return me
  }

  async #proven(chain: readonly string[]) {
    try {
      return await proveTogether(chain, this.self.account.pins.root)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : ''
      throw refuse('CERTIFICATE_REFUSED', `The certificate of this device does not hold: ${why}`, undefined, cause)
    }
  }

  /**
   * The invitation of a newcomer whose device is not certified yet; null once it is. A device that
   * is not certified can sign in and receives no key. Any device of the inviter certifies it when
   * that device is next signed in.
   */
  async waitingFor(): Promise<{ invitation: string | undefined } | null> {
    const me = await this.me()
    return me.tier === null ? { invitation: this.self.account.invitation } : null
  }

  /**
   * The devices of this person as the service lists them, each with whether the directory log is
   * proven to hold its certificate. A device that is certified and not in the directory log belongs
   * to no person: it should be revoked.
   */
  async devices(): Promise<(OwnDevice & { readonly proven: boolean })[]> {
    const devices = await this.directory.devices()
    const certificates = await Promise.all(
      devices.flatMap(({ certificate }) => certificate ?? []).map(readCertificateOnce),
    )
    const hidden = new Set<string>((await this.#transparency?.unproven(certificates)) ?? [])
    return devices.map((one) => ({ ...one, proven: one.certificate !== null && !hidden.has(one.device) }))
  }

  /**
   * Follows an operation and certifies newcomers meanwhile. Answers the open session where the
   * operation is followed already. See `OperationSession`.
   */
  follow(operation: string): Promise<OperationSession> {
    if (!this.#cancelCertifying) this.keepCertifying()
    return this.operations.follow(operation)
  }

  /** Imports rows into an operation. A repeated import sends no row twice. See `importRows`. */
  async importRows(input: Omit<ImportInput, 'session'> & { readonly operation: string }): Promise<ImportOutcome> {
    const { operation, ...rest } = input
    return importRows(this.#importDeps(), { ...rest, session: await this.follow(operation) })
  }

  /** What a file says otherwise than the operation. Sends nothing. See `proposeImport`. */
  async proposeImport(
    input: Pick<ImportInput, 'mapping' | 'rows'> & { readonly operation: string },
  ): Promise<ImportProposal> {
    const { operation, ...rest } = input
    return proposeImport(this.#importDeps(), { ...rest, session: await this.follow(operation) })
  }

  #importDeps(): ImportDeps {
    return {
      platform: this.#platform,
      transport: this.transport,
      transparency: this.#require(this.#transparency),
      self: () => this.self,
    }
  }

  /**
   * Pins a witness policy. From now on a quorum of the policy must cosign every entry that this
   * device accepted, within the lag; otherwise nothing is sealed and no operation is ready
   * (WITNESSES_MISSING). Undefined removes the policy. Throws `ProtocolError` POLICY where the
   * policy cannot be read.
   */
  pinWitnesses(pin: WitnessPin | undefined): Promise<void> {
    return writePin(this.#options.store, pin)
  }

  pinnedWitnesses(): Promise<WitnessPin | undefined> {
    return readPin(this.#options.store)
  }

  /**
   * Checks the log of an operation as far as a member can. See `checkOwnPlace` of `self-check.ts`.
   */
  checkOwnPlace(operation: string, progress?: (done: number, of: number) => void): Promise<SelfCheck> {
    const { store } = this.#options
    const { pins } = this.self.account
    return checkOwnPlace({ store, platform: this.#platform, pins, transport: this.transport }, operation, progress)
  }

  /**
   * A receipt of this device that others verify offline and with other software. See
   * `portableReceipt` of `portable-receipt.ts`.
   */
  portableReceipt(operation: string, message: string): Promise<string> {
    const { pins } = this.self.account
    const { store, platform } = this.#options
    return portableReceipt({ store, platform, pins, transport: this.transport }, operation, message)
  }

  /** Lends the session to another program. See `Transport.lend`. */
  lendSession(): Promise<LentSession> {
    return this.transport.lend()
  }

  /**
   * Closes all connections and timers. Pending messages stay in the store; the session at the
   * service goes on.
   */
  async close(): Promise<void> {
    this.#cancelCertifying?.()
    this.#cancelCertifying = undefined
    await this.#operations?.close()
    this.#connection?.close()
  }
}
