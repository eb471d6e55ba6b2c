import { randomBytes } from 'node:crypto'
import type { Server } from 'node:https'
import type { Writable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
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
  type Database,
  type Tx,
} from './db/index.ts'
import { Problem } from './errors.ts'
import {
  RateLimits,
  buildHttp,
  closesWhole,
  describeError,
  followTls,
  quotaFor,
  readTls,
  usualRoom,
  type Access,
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
  actInDirectory,
  asActor,
  createIdentity,
  hasFactors,
  hasNoticeAddresses,
  identityOwners,
  isPlatformAuditor,
  mountIdentity,
  openFactorKey,
  mountServiceAccounts,
  openTokenKey,
  type Accesses,
  type Actor,
  type Certified,
  type Identity,
  type NoticeChannel,
  type SmtpSettings,
} from './identity/index.ts'
import { Hub, frameDuties, mountLive, registerLive } from './live/index.ts'
import {
  createLogs,
  hasLogs,
  mountLogRoutes,
  openLogKey,
  type LogLimits,
  type Logs,
  type Owner,
  type ReadOnlyLog,
  seesLog,
} from './log/index.ts'
import { Consultation, Messages, messagesOwners, mountMessages, noteAct } from './messages/index.ts'
import {
  LogReaders,
  Operations,
  Views,
  authorize,
  membersAmong,
  mountOperations,
  operationAccesses,
  operationSnapshots,
  operationsOf,
  operationsOwners,
  takeMembers,
} from './operations/index.ts'
import {
  formatNoteKey,
  formatSetUp,
  isUuid,
  newId,
  type OperationView,
  type Random,
  type WitnessPolicy,
} from './protocol/index.ts'
import { EvidenceBundles, Reports, mountReports } from './reports/index.ts'

export interface ServerOptions {
  /** Connection string of the role cordon_app. */
  readonly databaseUrl: string
  readonly databaseConnections: number
  readonly liveConnections: number
  readonly passphraseChecks: number
  /** Who checks them; made for that many at once unless given. */
  readonly passphrases?: Passphrases
  /** The origin under which clients reach the service; undefined: the address it listens on. */
  readonly publicUrl: string | undefined
  readonly logHost: string
  readonly allowedOrigins: readonly string[]
  readonly trustedProxies: readonly string[]
  /** The certificate to serve under; without it a proxy has one. */
  readonly tls?: TlsFiles | undefined
  readonly logLevel: string
  readonly logKeyFile: string
  readonly tokenKeyFile: string
  readonly factorKeyFile: string
  readonly checkpointDirectory: string
  /** Days without use after which an account sleeps; 90 unless given. */
  readonly sleepAfterDays?: number
  /** The server that takes notices, or what else carries them; without it they are listed to those who answer for somebody. */
  readonly notices?: SmtpSettings | NoticeChannel | undefined
  /** Who cosigns the logs; nobody unless given. */
  readonly witnesses?: WitnessPolicy
  readonly logLimits?: Partial<LogLimits>
  /** Requests a minute. */
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
  /** Logs that this server must not continue. */
  readonly readOnly: readonly ReadOnlyLog[]
  /** Listens, and returns the address. */
  listen(where: { host: string; port: number }): Promise<string>
  /** On a service without a root: the string with which `cordon init` makes it, new at every call. */
  setUpString(): Promise<string | undefined>
  close(): Promise<void>
}

const hintChannel = 'cordon_log'
const hintEveryMs = 5
const forgetEveryMs = 60_000
const reviewEveryMs = 10 * 60_000
const random: Random = (length) => new Uint8Array(randomBytes(length))

/** Makes every service once, hands each what it needs, and mounts every route. Listens nowhere yet. */
export async function createServer(options: ServerOptions): Promise<CordonServer> {
  const { clock, sleepAfterDays = 90 } = options
  let address = options.publicUrl ?? ''
  let app: HttpServer | undefined
  // What fails before there is a log to say it in is said once there is one.
  const early: (readonly [what: string, error: unknown])[] = []
  const onError = (what: string, error: unknown) => {
    if (app === undefined) early.push([what, error])
    else app.log.error({ err: describeError(error) }, what)
  }

  const db = openDatabase({
    connectionString: options.databaseUrl,
    connections: options.databaseConnections,
    onError: (error) => onError('an idle database connection ended', error),
  })
  const opened: { close(): unknown }[] = [db]
  try {
    await requireServable(db)
    const key = openLogKey(options.logKeyFile, await hasLogs(db))
    const tokenKey = await openTokenKey(options.tokenKeyFile)
    const sealed = async (tx: Tx) => (await hasFactors(tx)) || (await hasNoticeAddresses(tx))
    const factorKey = openFactorKey(options.factorKeyFile, await transaction(db, sealed))
    const notifier = createNotifier(options.databaseUrl, hintChannel, { everyMs: hintEveryMs })
    opened.unshift(notifier)
    const { passphraseChecks } = options
    const passphrases =
      options.passphrases ?? new Passphrases(passphraseChecks, new Argon2Process(passphraseChecks, onError))
    opened.unshift(passphrases)

    const late: { hub?: Hub } = {}
    const logs: Logs<OperationView> = createLogs<OperationView>({
      db,
      clock,
      random,
      key,
      originHost: options.logHost,
      checkpointDirectory: options.checkpointDirectory,
      lockActors: (tx, actors, persons) => identity.sessions.lockActors(tx, actors, persons),
      snapshots: operationSnapshots,
      publish: (log, size) => {
        late.hub?.hint(log, size)
        notifier.notify(log)
      },
      onError,
      ...(options.witnesses === undefined ? {} : { witnesses: options.witnesses }),
      ...(options.logLimits === undefined ? {} : { limits: options.logLimits }),
    })
    const identity = createIdentity({
      db,
      logs,
      clock,
      random,
      tokenKey,
      factorKey,
      passphrases,
      get publicUrl() {
        return address
      },
      operationsOf,
      membersAmong,
      takeMembers,
      server: options.logHost,
      sleepAfterDays,
      channel: channelOf(options.notices),
      onError,
    })
    const { readOnly } = await logs.start()

    const views = new Views()
    const keys = new VerifyKeyCache(db)
    const refusals = new Refusals({ db, logs, clock, server: options.logHost, onError })
    const consultation = new Consultation({ logs, server: options.logHost, onError })
    const operations = new Operations({ db, logs, clock, views, keys })
    const messages = new Messages({ db, logs, views, keys, operations })
    const reports = new Reports({ db, logs, clock })
    const evidence = new EvidenceBundles({
      db,
      logs,
      clock,
      logHost: options.logHost,
      witnessKeys: await Promise.all(
        (options.witnesses?.witnesses ?? []).flatMap(({ keys }) => keys).map(formatNoteKey),
      ),
      root: async () => (await identity.directory.root()) ?? '',
    })
    const logReaders = new LogReaders({ db, logs, clock, views })
    const hub = new Hub({
      db,
      logs,
      sessions: identity.sessions,
      consultation,
      random,
      onError,
      directory: () => logs.directory,
      mostConnections: options.liveConnections,
      refused: (actor, problem, what) => refusals.note(problem, { actor }, what),
    })
    late.hub = hub

    const rateStore = createRateStore(db)
    const rates = new RateLimits({
      store: rateStore,
      clock,
      onError,
      ...(options.quotas === undefined ? {} : { quotas: options.quotas }),
    })
    opened.unshift(rates)

    app = await buildHttp({
      publicUrl: options.publicUrl ?? 'http://localhost',
      version: options.version,
      trustedProxies: options.trustedProxies,
      logLevel: options.logLevel,
      requestId: () => newId(clock(), random),
      clock,
      toProblem: toDatabaseProblem,
      rates,
      room: { ...usualRoom, connections: 2 * options.liveConnections + usualRoom.requests },
      commit: options.commit,
      accountOf: ({ actor }) => actor?.person,
      ready: async () => (await answers(db)) && (logs.whyNothingContinues() ?? true),
      ...(options.tls === undefined ? {} : { tls: readTls(options.tls) }),
      ...(options.logTo === undefined ? {} : { logTo: options.logTo }),
    })
    for (const [what, error] of early) onError(what, error)
    noteRefusals(app, refusals)
    await registerLive(app)
    mountIdentity(app, identity, { version: options.version, logHost: options.logHost })
    mountServiceAccounts(app, identity)
    const may = operationAccesses(db, identity.access, operations)
    const reader = logReader(db, logs, identity.access)
    mountOperations(app, operations, identity.access, may)
    mountMessages(app, messages, may)
    mountReports(app, { reports, evidence }, may, reader)
    mountLogRoutes(app, {
      logs,
      reader,
      enterExport: (actor, log, entries) => enterExport({ db, logs, clock }, actor, log, entries),
      enterQuery: (actor, log, query) => logReaders.enter(actor, log, query),
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
      get allowedOrigins() {
        return [address, ...options.allowedOrigins]
      },
    })

    const listener = listen(
      options.databaseUrl,
      hintChannel,
      (payload) => {
        for (const log of notifiedLogs(payload)) hub.hint(log)
      },
      () => hub.reread(),
    )
    const forgetting = setInterval(() => {
      const forgotten = [identity.sessions.forgetExpired(), identity.outbox.forgetGiven(), rateStore.forget(clock())]
      for (const one of forgotten) one.catch((error: unknown) => onError('forgetting what has expired', error))
      identity.serviceAccounts
        .endOverdue()
        .catch((error: unknown) => onError('ending service accounts that have expired', error))
      identity.renewals.endOverdue().catch((error: unknown) => onError('ending certificates that have expired', error))
      identity.outbox.hurry()
    }, forgetEveryMs)
    forgetting.unref()
    const reviewing = setInterval(() => {
      identity.idleness.review().catch((error: unknown) => onError('looking for accounts that nobody uses', error))
    }, reviewEveryMs)
    reviewing.unref()

    const running = app
    const closeWhole = closesWhole(running)
    const unfollowTls = options.tls === undefined ? () => {} : followCertificate(running, options.tls)
    return {
      app: running,
      logs,
      identity,
      consultation,
      refusals,
      readOnly,
      async listen(where) {
        await logs.enterStart({
          version: options.version,
          configuration: {
            publicUrl: options.publicUrl ?? null,
            logHost: options.logHost,
            allowedOrigins: options.allowedOrigins,
            trustedProxies: options.trustedProxies,
            logKeys: await logs.verifierKeys(logs.directory),
            tokenKey: tokenKey.thumbprint,
            sleepAfterDays: String(sleepAfterDays),
          },
        })
        const listening = await running.listen(where)
        if (options.publicUrl === undefined) address = listening
        return address
      },
      async setUpString() {
        const secret = await identity.directory.newSetUpSecret()
        return secret === undefined ? undefined : formatSetUp({ server: address, secret })
      },
      async close() {
        clearInterval(forgetting)
        clearInterval(reviewing)
        await identity.outbox.close()
        unfollowTls()
        await hub.close()
        await closeWhole()
        await passphrases.close()
        await rates.close()
        await consultation.close()
        await refusals.close()
        await listener.close()
        await logs.close()
        await notifier.close()
        await db.close()
      },
    }
  } catch (error) {
    for (const part of opened) await part.close()
    throw error
  }
}

function channelOf(notices: ServerOptions['notices']): NoticeChannel | undefined {
  return notices === undefined || 'deliver' in notices ? notices : new SmtpChannel(notices)
}

function followCertificate(app: HttpServer, files: TlsFiles): () => void {
  const server = app.server as unknown as Server
  return followTls(server, files, (sentence, error) =>
    error === undefined ? app.log.info(sentence) : app.log.error({ reason: error.message }, sentence),
  )
}

function noteRefusals(app: HttpServer, refusals: Refusals): void {
  app.addHook('onError', async (request: FastifyRequest, _reply, error) => {
    if (!(error instanceof Problem)) return
    const { operation, id } = (request.params ?? {}) as { operation?: string; id?: string }
    refusals.note(
      error,
      { actor: request.actor, address: request.ip },
      // What somebody wrote in the place of an id is nothing that a log keeps.
      { where: `${request.method} ${request.routeOptions.url ?? ''}`, operation: [operation, id].find(isUuid) },
    )
  })
}

/** Members read the log of their operation, everybody with a certified device that of the directory: checkpoints and proofs. */
function logReader(db: Database, logs: Pick<Logs<unknown>, 'directory'>, accesses: Accesses): Access<Certified> {
  return accesses.certified('log-reader', async (actor, { params }) => {
    const { id, log = id } = params as { id?: unknown; log?: unknown }
    if (!isUuid(log)) return undefined
    if (log === logs.directory) return actor
    await transaction(db, async (tx) => {
      await authorize(tx, actor, log, 'log.verify')
      if (!(await seesLog(tx, log))) throw new Problem('NOT_FOUND')
    })
    return actor
  })
}

/** Entries themselves are given to the auditors of a log alone, each time with an entry that says so. */
async function enterExport(
  { db, logs, clock }: { db: Database; logs: Logs<OperationView>; clock: () => Date },
  actor: Actor,
  log: string,
  entries: { from: number; count: number },
): Promise<void> {
  if (log === logs.directory) {
    if (!isPlatformAuditor(actor)) throw new Problem('AUDITOR_ONLY')
    await actInDirectory({ db, logs, clock }, actor, [], ({ by, enter }) =>
      enter({ kind: 'export.made', actor: asActor(by), subject: by.person, details: { entries } }),
    )
    return
  }
  // Before the log is asked for its lock, which nobody outside may feel.
  await transaction(db, (tx) => authorize(tx, actor, log, 'log.export'))
  const note = { kind: 'export.made', subject: actor.person, permission: 'log.export', details: { entries } } as const
  await logs.append(log, noteAct, note, actor)
}

/**
 * Everybody whose rows entries are about, for `verifyLogs`, once per run. `root`: thumbprint of the root that the verifier
 * trusts; without it the root that the database itself names.
 */
export function verificationOwners(options: { readonly root?: string } = {}): Owner[] {
  const { owners, views } = operationsOwners(options)
  return [...identityOwners(options), ...owners, ...messagesOwners(views)]
}
