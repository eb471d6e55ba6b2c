import type { ListedPermissions, OrganizationKind } from '../access.ts'
import { signSignIn, timestamp } from '../protocol/index.ts'
import { loadSelf, requireOtherPassphrase, type Self } from './account.ts'
import { proveTogether, readCertificateOnce, requirePinned } from './certificates.ts'
import { Audit } from './audit.ts'
import { importRows, type ImportOutcome, type ImportInput } from './import/runner.ts'
import { Factors, askPasskey, type Authenticator, type SignInEvidence } from './factors.ts'
import { LiveConnection } from './connection.ts'
import { Directory, type CertifyOutcome, type OwnDevice } from './directory.ts'
import {
  enrol,
  initialize,
  type EnrolmentInput,
  type EnrolmentResult,
  type InitializationInput,
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
  /** Whether opened messages are kept (in the store) or only told as events; 'all' if not given. */
  readonly keep?: 'all' | 'none'
}

export interface Me {
  readonly person: string
  readonly name: string
  readonly organization: string
  readonly organizationName: string
  readonly organizationKind: OrganizationKind
  readonly device: string
  /** Null until somebody has certified this device. */
  readonly tier: 'administrator' | 'ncp' | 'person' | 'service' | 'auditor' | null
  readonly administrator: boolean
  /** How many certificates this NCP or administrator is asked to renew: see `Renewals`. */
  readonly renewalsDue: number
  /** What a service account may use below its role; null for a person. */
  readonly listed: ListedPermissions
}

export interface Session {
  readonly session: string
  readonly device: string
  readonly startedAt: string
  readonly lastRefreshedAt: string
  /** From where it was last renewed, and what the client called itself. */
  readonly address: string
  readonly agent: string
  readonly current: boolean
}

/**
 * Cordon as one person on one device has it. Make one with an empty store and call `initialize` or
 * `enrol`, or with a store that holds a device; then `signIn`. Refusals are `ClientProblem`s.
 */
export class Cordon {
  readonly #options: CordonOptions
  /**
   * With the time of the service, once one is known: by it everything is dated that this device
   * signs.
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
   * Takes up what the store holds: the device, and its session if it has one. False in an empty
   * store.
   */
  async load(): Promise<boolean> {
    const { store } = this.#options
    const self = await loadSelf(store)
    if (!self) return false
    this.#self = self
    const transport = new Transport(self.account.server, this.#options.platform, store)
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
   * The root, its successor and the first administrator, on a service that has none. See
   * `initialize`.
   */
  async initialize(input: InitializationInput): Promise<RootSecrets> {
    const secrets = await initialize(this.#options, input)
    await this.load()
    return secrets
  }

  /** Enrols this device with an invitation. See `enrol`. */
  async enrol(input: EnrolmentInput): Promise<EnrolmentResult> {
    const enrolled = await enrol(this.#options, input)
    await this.load()
    return enrolled
  }

  /** Who this is: NOT_ENROLLED where the store holds no device. */
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

  /** Whether this is the device of a service account: it signs in with `signInService`. */
  get isService(): boolean {
    return this.self.isService
  }

  get signedIn(): boolean {
    return this.#transport?.signedIn ?? false
  }

  /** What this client runs on, with the time of the service where one is known. */
  get platform(): Platform {
    return this.#platform
  }

  /**
   * By how much the clock of this device is off, where it is by 5 seconds or more: in words such as
   * "70 seconds behind".
   */
  get clockOff(): string | undefined {
    return this.#transport?.clockOff(5_000)
  }

  /** HTTP to the service as the signed-in person, for what has no method here. */
  get transport(): Transport {
    return this.#require(this.#transport)
  }

  get directory(): Directory {
    return this.#require(this.#directory)
  }

  get operations(): Operations {
    return this.#require(this.#operations)
  }

  /** By what this person signs in. */
  get factors(): Factors {
    return new Factors(this.transport)
  }

  /** Where this person is told that something waits. */
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
   * Signs in, checks that the service is the one that was pinned, and certifies whoever waits for
   * this person. SIGN_IN_REFUSED, and SECOND_FACTOR_REQUIRED where a code is missing, of the
   * service; PIN_CHANGED, STORE_PASSPHRASE_REUSED.
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
   * The same for a service account, with the key that its store holds; nobody has to be there.
   * NOT_A_SERVICE; ADDRESS_REFUSED of the service.
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

  /** The service is the one that was pinned. */
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

  /** Certifies newcomers from now on every so many milliseconds, until `close` or `signOut`. */
  keepCertifying(every = 30_000): void {
    this.#cancelCertifying?.()
    this.#cancelCertifying = this.#platform.after(every, () => {
      // A service that cannot be reached now is asked again next time.
      this.directory.certifyWaiting().catch(() => {})
      this.keepCertifying(every)
    })
  }

  async signOut(): Promise<void> {
    await this.close()
    await this.transport.signOut()
  }

  /** One's own live sessions. */
  async sessions(): Promise<Session[]> {
    return (await this.transport.request<{ sessions: Session[] }>('GET', '/v1/sessions')).sessions
  }

  /** Ends all sessions of this person but this one. */
  async endOtherSessions(): Promise<void> {
    await this.transport.request('DELETE', '/v1/sessions')
  }

  async endSession(session: string): Promise<void> {
    await this.transport.request('DELETE', `/v1/sessions/${session}`)
  }

  /**
   * Who the service says this is, checked: the certificate leads up to the pinned root and names
   * this device, this person and this organization. CERTIFICATE_REFUSED otherwise.
   */
  async me(): Promise<Me> {
    const { account, device } = this.self
    const { certificate, chain, ...me } = await this.transport.request<
      Me & { certificate: string | null; chain: string[] }
    >('GET', '/v1/me')
    if (me.person !== account.person || me.device !== device.id)
      throw refuse('CERTIFICATE_REFUSED', 'The service takes this device for another one.')
    if (certificate === null) return me
    const [own, ...above] = await this.#proven([certificate, ...chain])
    const fits =
      own?.device === device.id &&
      own.keys.seal.pub === device.keys.seal.pub &&
      own.person === account.person &&
      own.organization === account.organization
    if (!own || !fits) throw refuse('CERTIFICATE_REFUSED', 'The certificate of this device names somebody else.')
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
   * For whom a newcomer waits: null once it is certified. A device that is not certified can sign
   * in and receives no key; any device of whoever invited it certifies it when it is next signed
   * in.
   */
  async waitingFor(): Promise<{ invitation: string | undefined } | null> {
    const me = await this.me()
    return me.tier === null ? { invitation: this.self.account.invitation } : null
  }

  /**
   * One's own devices as the service lists them, each with whether the directory log is proven to
   * hold its certificate. A device that is certified and not held there is nobody's: revoke it.
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
   * Follows an operation: see `OperationSession`. The same one while it is open. Newcomers are
   * certified meanwhile.
   */
  follow(operation: string): Promise<OperationSession> {
    if (!this.#cancelCertifying) this.keepCertifying()
    return this.operations.follow(operation)
  }

  /** Imports rows into an operation, each once however often it is repeated. See `importRows`. */
  async importRows(input: Omit<ImportInput, 'session'> & { readonly operation: string }): Promise<ImportOutcome> {
    const { operation, ...rest } = input
    const deps = {
      platform: this.#platform,
      transport: this.transport,
      transparency: this.#require(this.#transparency),
      self: () => this.self,
    }
    return importRows(deps, { ...rest, session: await this.follow(operation) })
  }

  /**
   * Insists on witnesses from now on: what this device accepted must be cosigned by the policy's
   * quorum within its lag, or nothing is sealed and no operation is ready (WITNESSES_MISSING).
   * `ProtocolError` POLICY where the policy cannot be read. Undefined: no more.
   */
  pinWitnesses(pin: WitnessPin | undefined): Promise<void> {
    return writePin(this.#options.store, pin)
  }

  pinnedWitnesses(): Promise<WitnessPin | undefined> {
    return readPin(this.#options.store)
  }

  /** Checks what a member can check of an operation's log. See `checkOwnPlace`. */
  checkOwnPlace(operation: string, progress?: (done: number, of: number) => void): Promise<SelfCheck> {
    const { store } = this.#options
    const { pins } = this.self.account
    return checkOwnPlace({ store, platform: this.#platform, pins, transport: this.transport }, operation, progress)
  }

  /**
   * A receipt of this device as others check it, offline and with other software. See
   * `portableReceipt`.
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
   * Ends everything live; what is pending stays in the store. The session at the service goes on.
   */
  async close(): Promise<void> {
    this.#cancelCertifying?.()
    this.#cancelCertifying = undefined
    await this.#operations?.close()
    this.#connection?.close()
  }
}
