import { randomBytes } from 'node:crypto'
import type { Server } from 'node:https'
import type { Writable } from 'node:stream'
import {
  answers,
  createNotifier,
  createRateStore,
  listen,
  notifiedLogs,
  openDatabase,
  requireServable,
  toDatabaseProblem,
  transaction,
  type Tx,
} from './db/index.ts'
import { startHousekeeping } from './housekeeping.ts'
import {
  PublicAddress,
  RateLimits,
  buildHttp,
  closesWhole,
  createLogger,
  describeError,
  followCertificate,
  quotaFor,
  readTls,
  usualRoom,
  type HttpServer,
  type Quotas,
  type TlsFiles,
} from './http/index.ts'
import {
  Argon2Process,
  Passphrases,
  Refusals,
  SmtpChannel,
  VerifyKeyCache,
  createIdentity,
  hasFactors,
  hasNoticeAddresses,
  lockActors,
  momentOf,
  mountIdentity,
  mountServiceAccounts,
  noteRefusals,
  openFactorKey,
  openTokenKey,
  type Identity,
  type NoticeChannel,
  type SmtpSettings,
} from './identity/index.ts'
import { Hub, frameDuties, mountLive, registerLive } from './live/index.ts'
import {
  GrowthBroadcast,
  createLogs,
  hasLogs,
  mountLogRoutes,
  openLogKey,
  type LogLimits,
  type Logs,
  type ReadOnlyLog,
} from './log/index.ts'
import { Consultation, MessageService, mountMessages, readingEntries } from './messages/index.ts'
import {
  LogReaders,
  OperationService,
  Views,
  membersAmong,
  mountOperations,
  operationAccesses,
  operationSnapshots,
  operationsOf,
  takeMembers,
} from './operations/index.ts'
import {
  formatNoteKey,
  formatSetUp,
  definedMembers,
  newId,
  type OperationView,
  type Random,
  type WitnessPolicy,
} from './protocol/index.ts'
import { EvidenceBundles, ReportService, enterLogExport, mountReports } from './reports/index.ts'

export interface ServerOptions {
  /** Connection string of the role cordon_app. */
  readonly databaseUrl: string
  readonly databaseConnections: number
  readonly liveConnections: number
  readonly passphraseChecks: number
  /**
   * The limiter of passphrase checks; unless given, it is made for `passphraseChecks` checks at
   * once.
   */
  readonly passphrases?: Passphrases
  /**
   * The origin under which clients reach the service; undefined: the address that the server
   * listens on.
   */
  readonly publicUrl: string | undefined
  readonly logHost: string
  readonly allowedOrigins: readonly string[]
  readonly trustedProxies: readonly string[]
  /**
   * The files of the certificate to serve under; without them a proxy in front has the certificate.
   */
  readonly tls?: TlsFiles | undefined
  readonly logLevel: string
  readonly logKeyFile: string
  readonly tokenKeyFile: string
  readonly factorKeyFile: string
  readonly checkpointDirectory: string
  /** Days without use after which an account sleeps; 90 unless given. */
  readonly sleepAfterDays?: number
  /**
   * The server that takes notices, or another channel; without it, notices are listed to the
   * contact points and administrators who answer for the person.
   */
  readonly notices?: SmtpSettings | NoticeChannel | undefined
  /** The witnesses that cosign the logs; none unless given. */
  readonly witnesses?: WitnessPolicy
  readonly logLimits?: Partial<LogLimits>
  /** Quotas of requests in a minute. */
  readonly quotas?: Partial<Quotas>
  readonly version: string
  readonly commit?: string | undefined
  readonly clock: () => Date
  readonly logTo?: Writable
}

export interface CordonServer {
  readonly app: HttpServer
  readonly logs: Logs<OperationView>
  readonly identity: Identity
  readonly consultation: Consultation
  readonly refusals: Refusals
  /** The logs that this server must not continue. */
  readonly readOnly: readonly ReadOnlyLog[]
  /** Listens, and answers the address. */
  listen(where: { host: string; port: number }): Promise<string>
  /**
   * Answers the string with which `cordon init` makes the root, a new one at every call; undefined
   * on a service that has a root.
   */
  setUpString(): Promise<string | undefined>
  close(): Promise<void>
}

const hintChannel = 'cordon_log'
const hintEveryMs = 5
const random: Random = (length) => new Uint8Array(randomBytes(length))

/**
 * Makes every service once, hands each the parts that it needs, and mounts every route. The server
 * does not listen yet. All parts are closed in the reverse order of their opening, by `close`, or
 * where opening fails.
 */
export async function createServer(options: ServerOptions): Promise<CordonServer> {
  await using opened = new AsyncDisposableStack()
  const log = createLogger({ level: options.logLevel, to: options.logTo })
  const onError = (what: string, error: unknown) => log.error({ err: describeError(error) }, what)
  const address = new PublicAddress(options.publicUrl)
  const growth = new GrowthBroadcast()
  const stores = await openStores(options, { opened, growth, onError })
  const services = await makeServices(options, { ...stores, opened, growth, address, onError })
  const { app, rates } = await openHttp(options, { ...stores, opened, log, onError })
  const hub = openHub(options, { ...stores, ...services, opened, onError })
  growth.follow((grown, size, entries) => hub.hint(grown, size, entries))
  await mountRoutes(app, options, { ...stores, ...services, hub, rates, address, onError })
  opened.adopt(
    listen(
      options.databaseUrl,
      hintChannel,
      (payload, sender) => {
        if (stores.notifier.isSender(sender)) return
        for (const grown of notifiedLogs(payload)) hub.hint(grown)
      },
      () => hub.reread(),
      (error) => onError('the connection that hears of other servers failed', error),
    ),
    (it) => it.close(),
  )
  if (options.tls !== undefined) opened.defer(followCertificate(app.server as unknown as Server, options.tls, log))
  const { identity, consultation, refusals, readOnly } = services
  opened.adopt(identity.outbox, (it) => it.close())
  opened.use(startHousekeeping({ identity, rateStore: stores.rateStore, clock: options.clock, onError }))
  const lifetime = opened.move()
  return {
    app,
    logs: stores.logs,
    identity,
    consultation,
    refusals,
    readOnly,
    async listen(where) {
      await enterStart(options, stores)
      address.learn(await app.listen(where))
      return address.origin
    },
    async setUpString() {
      const secret = await identity.directory.newSetUpSecret()
      return secret === undefined ? undefined : formatSetUp({ server: address.origin, secret })
    },
    close: () => lifetime.disposeAsync(),
  }
}

interface OpeningContext {
  readonly opened: AsyncDisposableStack
  readonly growth: GrowthBroadcast
  readonly onError: (what: string, error: unknown) => void
}

/**
 * Opens the database, the keys of this service and the logs: nothing that the rungs above keep in
 * memory.
 */
async function openStores(options: ServerOptions, { opened, growth, onError }: OpeningContext) {
  const { clock, witnesses, logLimits } = options
  const db = opened.adopt(
    openDatabase({
      connectionString: options.databaseUrl,
      connections: options.databaseConnections,
      onError: (error) => onError('an idle database connection ended', error),
    }),
    (it) => it.close(),
  )
  await requireServable(db)
  const logKey = openLogKey(options.logKeyFile, await hasLogs(db))
  const tokenKey = await openTokenKey(options.tokenKeyFile)
  const sealed = async (tx: Tx) => (await hasFactors(tx)) || (await hasNoticeAddresses(tx))
  const factorKey = openFactorKey(options.factorKeyFile, await transaction(db, sealed))
  const notifier = opened.adopt(createNotifier(options.databaseUrl, hintChannel, { everyMs: hintEveryMs }), (it) =>
    it.close(),
  )
  growth.follow((log) => notifier.notify(log))
  const logs: Logs<OperationView> = opened.adopt(
    createLogs<OperationView>({
      db,
      clock,
      random,
      key: logKey,
      originHost: options.logHost,
      checkpointDirectory: options.checkpointDirectory,
      lockActors: (tx, actors, persons) => lockActors(tx, actors, persons, momentOf({ logs }, clock())),
      snapshots: operationSnapshots,
      publish: growth.tell,
      findReadings: readingEntries,
      onError,
      ...(witnesses === undefined ? {} : { witnesses }),
      ...(logLimits === undefined ? {} : { limits: logLimits }),
    }),
    (it) => it.close(),
  )
  return { db, logs, notifier, tokenKey, factorKey, rateStore: createRateStore(db) }
}

type Stores = Awaited<ReturnType<typeof openStores>>

/** Makes the services that decide: one for each rung above the log. */
async function makeServices(
  options: ServerOptions,
  made: Stores & OpeningContext & { readonly address: PublicAddress },
) {
  const { clock, logHost, witnesses, passphraseChecks } = options
  const { db, logs, tokenKey, factorKey, opened, address, onError } = made
  const passphrases = opened.adopt(
    options.passphrases ?? new Passphrases(passphraseChecks, new Argon2Process(passphraseChecks, onError)),
    (it) => it.close(),
  )
  const identity = createIdentity({
    db,
    logs,
    clock,
    random,
    tokenKey,
    factorKey,
    passphrases,
    address,
    operationsOf,
    membersAmong,
    takeMembers,
    server: logHost,
    sleepAfterDays: sleepAfterDaysOf(options),
    channel: channelOf(options.notices),
    onError,
  })
  const { readOnly } = await logs.start()
  await identity.sessions.endReading()
  const views = new Views()
  const keys = new VerifyKeyCache(db)
  const refusals = opened.adopt(new Refusals({ db, logs, clock, server: logHost, onError }), (it) => it.close())
  const consultation = opened.adopt(new Consultation({ logs, server: logHost, onError }), (it) => it.close())
  const operations = new OperationService({ db, logs, clock, views, keys })
  const witnessKeys = (witnesses?.witnesses ?? []).flatMap((witness) => witness.keys)
  return {
    identity,
    readOnly,
    refusals,
    consultation,
    operations,
    messages: new MessageService({ db, logs, views, keys, operations }),
    reports: new ReportService({ db, logs, clock }),
    logReaders: new LogReaders({ db, logs, clock, views }),
    evidence: new EvidenceBundles({
      db,
      logs,
      clock,
      logHost,
      witnessKeys: await Promise.all(witnessKeys.map(formatNoteKey)),
      root: async () => (await identity.directory.root()) ?? '',
    }),
  }
}

type Services = Awaited<ReturnType<typeof makeServices>>

/**
 * Makes the HTTP server, with no route yet, and the limits that its routes share with the live
 * connections.
 */
async function openHttp(
  options: ServerOptions,
  made: Stores & Omit<OpeningContext, 'growth'> & { readonly log: ReturnType<typeof createLogger> },
) {
  const { db, logs, rateStore, opened, log, onError } = made
  const { clock, quotas, tls } = options
  const rates = opened.adopt(
    new RateLimits({ store: rateStore, clock, onError, ...definedMembers({ quotas }) }),
    (it) => it.close(),
  )
  const app = await buildHttp({
    publicUrl: options.publicUrl ?? 'http://localhost',
    version: options.version,
    trustedProxies: options.trustedProxies,
    allowedOrigins: options.allowedOrigins,
    log,
    requestId: () => newId(clock(), random),
    clock,
    toProblem: toDatabaseProblem,
    rates,
    room: { ...usualRoom, connections: 2 * options.liveConnections + usualRoom.requests },
    commit: options.commit,
    accountOf: ({ actor }) => actor?.person,
    ready: async () => (await answers(db)) && (logs.whyNothingContinues() ?? true),
    ...(tls === undefined ? {} : { tls: readTls(tls) }),
  })
  opened.defer(closesWhole(app))
  return { app, rates }
}

/** Makes the hub of live connections and the followers of operations that feed them. */
function openHub(options: ServerOptions, made: Stores & Services & Omit<OpeningContext, 'growth'>): Hub {
  const { db, logs, identity, consultation, refusals, opened, onError } = made
  return opened.adopt(
    new Hub({
      db,
      logs,
      sessions: identity.sessions,
      consultation,
      random,
      clock: options.clock,
      onError,
      mostConnections: options.liveConnections,
      refused: (actor, problem, what) => refusals.note(problem, { actor }, what),
    }),
    (it) => it.close(),
  )
}

interface MountingContext {
  readonly hub: Hub
  readonly rates: RateLimits
  readonly address: PublicAddress
  readonly onError: (what: string, error: unknown) => void
}

async function mountRoutes(
  app: HttpServer,
  options: ServerOptions,
  made: Stores & Services & MountingContext,
): Promise<void> {
  const { db, logs, identity, operations, messages, reports, evidence, logReaders } = made
  const { hub, rates, address, consultation, onError } = made
  noteRefusals(app, made.refusals)
  await registerLive(app)
  mountIdentity(app, identity, { version: options.version, logHost: options.logHost })
  mountServiceAccounts(app, identity)
  const may = operationAccesses(db, identity.access, operations)
  const reader = logReaders.access(identity.access)
  mountOperations(app, { operations, logReaders }, identity.access, may)
  mountMessages(app, messages, may)
  mountReports(app, { reports, evidence }, may, reader)
  mountLogRoutes(app, {
    logs,
    reader,
    enterExport: (actor, log, entries) => enterLogExport({ db, logs, clock: options.clock }, actor, log, entries),
    enterQuery: (actor, log, query) => logReaders.enterQuery(actor, log, query),
    namesIn: (actor, log, page) => logReaders.namesIn(actor, log, page),
  })
  mountLive(app, {
    hub,
    logs,
    messages,
    operations,
    consultation,
    sessions: identity.sessions,
    demandRoom: (person, frame) => {
      if (frame === 'subscribe') rates.demand('account-following', person)
      rates.demand(frame === 'acknowledge' ? 'account-reading' : quotaFor(frameDuties[frame]), person)
    },
    onError,
    allowedOrigins: () => [address.origin, ...options.allowedOrigins],
  })
}

/** Records in the directory log that this server starts to serve, and with which configuration. */
async function enterStart(options: ServerOptions, { logs, tokenKey }: Stores): Promise<void> {
  const { publicUrl = null, logHost, allowedOrigins, trustedProxies } = options
  await logs.enterStart({
    version: options.version,
    configuration: {
      publicUrl,
      logHost,
      allowedOrigins,
      trustedProxies,
      logKeys: await logs.verifierKeys(logs.directory),
      tokenKey: tokenKey.thumbprint,
      sleepAfterDays: String(sleepAfterDaysOf(options)),
    },
  })
}

function sleepAfterDaysOf({ sleepAfterDays = 90 }: ServerOptions): number {
  return sleepAfterDays
}

function channelOf(notices: ServerOptions['notices']): NoticeChannel | undefined {
  return notices === undefined || 'deliver' in notices ? notices : new SmtpChannel(notices)
}
