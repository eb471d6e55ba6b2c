import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { domainToASCII } from 'node:url'
import { misspelt } from './variable-names.ts'

/** The whole configuration of the service, checked and frozen. */
export interface Config {
  readonly dataDirectory: string
  /** The connection string; undefined: the embedded Postgres in the data directory. */
  readonly databaseUrl: string | undefined
  readonly databaseOwnerUrl: string | undefined
  readonly host: string
  readonly port: number
  /**
   * The origin under which clients reach the service: the audience of tokens, and the htu of DPoP
   * proofs.
   */
  readonly publicUrl: string
  /** The host part of each log's origin. */
  readonly logHost: string
  /**
   * The origins whose pages may call the service and open the live channel; the origin of publicUrl
   * is always among them.
   */
  readonly allowedOrigins: readonly string[]
  readonly trustedProxies: readonly string[]
  /**
   * The files of the certificate; undefined: a proxy in front of the service has the certificate.
   */
  readonly tls: { readonly certificateFile: string; readonly keyFile: string } | undefined
  readonly logLevel: LogLevel
  readonly logKeyFile: string
  readonly tokenKeyFile: string
  readonly factorKeyFile: string
  readonly databaseConnections: number
  readonly liveConnections: number
  readonly passphraseChecks: number
  /** The text of a policy (C2SP tlog-policy) that names the witnesses of the logs. */
  readonly witnesses: string | undefined
  readonly witnessQuorum: number | undefined
  readonly sleepAfterDays: number
  /** The server that takes notices, and the address that they come from. */
  readonly notices: { readonly url: string; readonly from: string } | undefined
}

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/**
 * One key of the configuration as the operator sees it. docs/configuration.md is written from
 * these.
 */
export interface Setting {
  readonly name: string
  readonly shape: string
  /** The value that holds where the operator gives none, in words. */
  readonly otherwise: string
  readonly meaning: string
  /** Present where the key may be given as NAME_FILE, the path of a file that holds the value. */
  readonly fromFile?: true
}

export const settings = [
  {
    name: 'DATA_DIRECTORY',
    shape: 'path',
    otherwise: './data',
    meaning:
      'Where the embedded database, the keys and the newest checkpoints are kept. Made with mode 0700 if missing.',
  },
  {
    name: 'DATABASE_URL',
    shape: 'postgres:// URL',
    otherwise: 'an embedded Postgres in the data directory',
    meaning: 'The Postgres (16 or later) to serve from, as the role cordon_app.',
    fromFile: true,
  },
  {
    name: 'DATABASE_OWNER_URL',
    shape: 'postgres:// URL',
    otherwise: 'none: `cordon migrate` refuses',
    meaning:
      'The same database as a superuser, or as a role that may become cordon_owner and cordon_keeper. Used by `cordon migrate` only; the service does not need it.',
    fromFile: true,
  },
  {
    name: 'HOST',
    shape: 'address',
    otherwise: '127.0.0.1',
    meaning:
      'The address to listen on. Give TLS_CERTIFICATE_FILE, or put a proxy with TLS 1.3 in front, before listening on anything but the loopback.',
  },
  {
    name: 'PORT',
    shape: 'number, 0 to 65535',
    otherwise: '7300',
    meaning: 'The port to listen on; 0 takes a free one.',
  },
  {
    name: 'PUBLIC_URL',
    shape: 'http(s) origin',
    otherwise: 'http://HOST:PORT, https with a certificate',
    meaning: 'The origin under which clients reach the service. It stands in tokens and DPoP proofs.',
  },
  {
    name: 'LOG_HOST',
    shape: 'host name',
    otherwise: 'the host of PUBLIC_URL',
    meaning: 'Names the logs in their checkpoints (`<host>/logs/<id>`). Must never change once there are entries.',
  },
  {
    name: 'ALLOWED_ORIGINS',
    shape: 'origins, comma-separated',
    otherwise: 'none besides PUBLIC_URL',
    meaning:
      'Further origins whose pages may call the service (CORS, without cookies) and open the live channel. Each is named whole; there is no `*`.',
  },
  {
    name: 'TRUSTED_PROXIES',
    shape: 'addresses or networks, comma-separated',
    otherwise: 'none',
    meaning: 'Proxies whose X-Forwarded-For is believed.',
  },
  {
    name: 'TLS_CERTIFICATE_FILE',
    shape: 'path',
    otherwise: 'none: plain HTTP, for a proxy with TLS in front',
    meaning:
      'The certificate to serve under, with those of its issuers after it (PEM); TLS 1.3 alone. Read again when it changes, without a restart.',
  },
  {
    name: 'TLS_KEY_FILE',
    shape: 'path',
    otherwise: 'none',
    meaning: 'The private key of that certificate (PEM, without a passphrase).',
  },
  {
    name: 'LOG_LEVEL',
    shape: logLevels.join(', '),
    otherwise: 'info',
    meaning: 'How much the service writes to standard output, as JSON lines.',
  },
  {
    name: 'LOG_KEY_FILE',
    shape: 'path',
    otherwise: 'log.key in the data directory',
    meaning:
      'The Ed25519 key that signs checkpoints. Made at the first start on an empty database; keep a copy apart from the database.',
  },
  {
    name: 'TOKEN_KEY_FILE',
    shape: 'path',
    otherwise: 'token.key in the data directory',
    meaning:
      'The Ed25519 key that signs access tokens. Made if missing; losing it only ends access tokens (5 minutes).',
  },
  {
    name: 'FACTOR_KEY_FILE',
    shape: 'path',
    otherwise: 'factor.key in the data directory',
    meaning:
      'The key under which the secrets of authenticator apps are sealed in the database and passkeys know their people, the same on every server. Made at the first start; keep a copy apart from the database.',
  },
  {
    name: 'DATABASE_CONNECTIONS',
    shape: 'number, 4 to 200',
    otherwise: '20',
    meaning: 'Most connections to the database at once.',
  },
  {
    name: 'LIVE_CONNECTIONS',
    shape: 'number, 1 to 100000',
    otherwise: '10000',
    meaning: 'Most live connections at once; further ones get 503.',
  },
  {
    name: 'PASSPHRASE_CHECKS',
    shape: 'number, 1 to 64',
    otherwise: 'half of the processors, at least 1',
    meaning: 'Most passphrases checked at once; each needs 19 MiB and a processor for a moment.',
  },
  {
    name: 'WITNESSES',
    shape: 'lines of C2SP tlog-policy',
    otherwise: 'none: no checkpoint becomes final',
    meaning:
      'The witnesses that cosign what is published, `witness NAME VERIFIER-KEY URL` for each of their keys, and the quorum. The same on every server.',
    fromFile: true,
  },
  {
    name: 'WITNESS_QUORUM',
    shape: 'number, 1 to 32',
    otherwise: 'what the line `quorum` of WITNESSES says',
    meaning: 'How many of the witnesses make a checkpoint final.',
  },
  {
    name: 'SLEEP_AFTER_DAYS',
    shape: 'number, 61 to 366',
    otherwise: '90',
    meaning:
      'Days without use after which an account sleeps, once its person was told 30, 10 and 3 days before. The same on every server.',
  },
  {
    name: 'SMTP_URL',
    shape: 'smtp:// or smtps:// URL',
    otherwise: 'none: no notice is mailed, contact points see in the list of people what is due',
    meaning:
      'The server that takes the notices, `smtp://user:password@host:587` (STARTTLS, which only a server on the loopback may lack) or `smtps://…:465`. The same on every server.',
    fromFile: true,
  },
  {
    name: 'SMTP_FROM',
    shape: 'e-mail address',
    otherwise: 'none',
    meaning: 'The address that notices come from.',
  },
] as const satisfies readonly Setting[]

type Name = (typeof settings)[number]['name']

const namesOfSettings = (settings as readonly Setting[]).flatMap(({ name, fromFile }) =>
  fromFile === true ? [name, `${name}_FILE`] : [name],
)

const utf8 = new TextDecoder('utf-8', { fatal: true })

const halfOfProcessors = Math.min(64, Math.max(1, Math.floor(availableParallelism() / 2)))

/** Thrown with all faults of a configuration, one sentence each. */
export class ConfigurationFault extends Error {
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    )
    this.name = 'ConfigurationFault'
    this.faults = faults
  }
}

/**
 * Reads the configuration from an environment (that of the process unless another is given);
 * relative paths start at `directory`. Throws ConfigurationFault with every fault at once. A fault
 * never repeats the value of a secret.
 */
export function readConfig(environment: NodeJS.ProcessEnv = process.env, directory: string = process.cwd()): Config {
  const faults = misspelt(environment, namesOfSettings)
  const read = reader(environment, directory, faults)

  const path = (name: Name, otherwise: string) => resolve(directory, read(name) ?? otherwise)
  const dataDirectory = path('DATA_DIRECTORY', 'data')
  const host = address(read('HOST') ?? '127.0.0.1', faults)
  const port = whole('PORT', read('PORT'), 7300, 0, 65_535, faults)
  const tls = tlsFiles(read('TLS_CERTIFICATE_FILE'), read('TLS_KEY_FILE'), directory, faults)
  const scheme = tls === undefined ? 'http' : 'https'
  const publicUrl = origin(
    'PUBLIC_URL',
    read('PUBLIC_URL') ?? `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    faults,
  )
  const list = (name: Name) =>
    (read(name) ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
  const others = list('ALLOWED_ORIGINS').map((item) => origin('ALLOWED_ORIGINS', item, faults))

  const config: Config = {
    dataDirectory,
    databaseUrl: database('DATABASE_URL', read('DATABASE_URL'), faults),
    databaseOwnerUrl: database('DATABASE_OWNER_URL', read('DATABASE_OWNER_URL'), faults),
    host,
    port,
    publicUrl,
    logHost: hostName(read('LOG_HOST') ?? hostOf(publicUrl), faults),
    allowedOrigins: Object.freeze([...new Set([publicUrl, ...others])]),
    trustedProxies: Object.freeze(list('TRUSTED_PROXIES').map((item) => network(item, faults))),
    tls,
    logLevel: level(read('LOG_LEVEL'), faults),
    logKeyFile: path('LOG_KEY_FILE', join(dataDirectory, 'log.key')),
    tokenKeyFile: path('TOKEN_KEY_FILE', join(dataDirectory, 'token.key')),
    factorKeyFile: path('FACTOR_KEY_FILE', join(dataDirectory, 'factor.key')),
    databaseConnections: whole('DATABASE_CONNECTIONS', read('DATABASE_CONNECTIONS'), 20, 4, 200, faults),
    liveConnections: whole('LIVE_CONNECTIONS', read('LIVE_CONNECTIONS'), 10_000, 1, 100_000, faults),
    passphraseChecks: whole('PASSPHRASE_CHECKS', read('PASSPHRASE_CHECKS'), halfOfProcessors, 1, 64, faults),
    witnesses: read('WITNESSES'),
    witnessQuorum: quorum(read('WITNESS_QUORUM'), faults),
    sleepAfterDays: whole('SLEEP_AFTER_DAYS', read('SLEEP_AFTER_DAYS'), 90, 61, 366, faults),
    notices: mailServer(read('SMTP_URL'), read('SMTP_FROM'), faults),
  }
  if (config.witnessQuorum !== undefined && config.witnesses === undefined)
    faults.push('WITNESS_QUORUM counts witnesses, and WITNESSES names none')
  if (tls !== undefined && publicUrl.startsWith('http:'))
    faults.push('PUBLIC_URL begins with http:, and TLS_CERTIFICATE_FILE serves https')
  if ((config.notices === undefined) !== (read('SMTP_FROM') === undefined))
    faults.push('SMTP_URL and SMTP_FROM belong together; give both')
  const keyFiles = [config.logKeyFile, config.tokenKeyFile, config.factorKeyFile]
  if (new Set(keyFiles).size < keyFiles.length)
    faults.push('LOG_KEY_FILE, TOKEN_KEY_FILE and FACTOR_KEY_FILE name one file twice; each key needs its own')
  if (faults.length > 0) throw new ConfigurationFault(faults)
  return Object.freeze(config)
}

function reader(environment: NodeJS.ProcessEnv, directory: string, faults: string[]) {
  return (name: Name): string | undefined => {
    const value = environment[name]?.trim() || undefined
    const file = environment[`${name}_FILE`]?.trim() || undefined
    // Node has put this character where bytes of the environment were no UTF-8.
    if (`${value ?? ''}${file ?? ''}`.includes('\uFFFD')) {
      faults.push(`${name} was not given in UTF-8; write it in UTF-8`)
      return undefined
    }
    const setting: Setting | undefined = settings.find((candidate) => candidate.name === name)
    if (file === undefined || setting?.fromFile === undefined) return value
    if (value !== undefined) {
      faults.push(`${name} and ${name}_FILE are both given; give one`)
      return undefined
    }
    const path = resolve(directory, file)
    if (!existsSync(path)) {
      faults.push(`${name}_FILE names ${path}, which does not exist`)
      return undefined
    }
    try {
      const text = utf8.decode(readFileSync(path)).trim()
      if (text === '') faults.push(`${name}_FILE names ${path}, which is empty`)
      return text || undefined
    } catch (error) {
      if (error instanceof TypeError) faults.push(`${name}_FILE names ${path}, which is not UTF-8; save it as UTF-8`)
      else
        faults.push(
          `${name}_FILE names ${path}, which cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
        )
      return undefined
    }
  }
}

function whole(
  name: Name,
  text: string | undefined,
  otherwise: number,
  least: number,
  mostPrefixBits: number,
  faults: string[],
): number {
  if (text === undefined) return otherwise
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN
  if (value >= least && value <= mostPrefixBits) return value
  faults.push(`${name} is not a whole number from ${least} to ${mostPrefixBits}`)
  return otherwise
}

function quorum(text: string | undefined, faults: string[]): number | undefined {
  return text === undefined ? undefined : whole('WITNESS_QUORUM', text, 1, 1, 32, faults)
}

function tlsFiles(
  certificate: string | undefined,
  key: string | undefined,
  directory: string,
  faults: string[],
): Config['tls'] {
  if (certificate !== undefined && key !== undefined)
    return Object.freeze({ certificateFile: resolve(directory, certificate), keyFile: resolve(directory, key) })
  if (certificate !== undefined || key !== undefined)
    faults.push('TLS_CERTIFICATE_FILE and TLS_KEY_FILE belong together; give both')
  return undefined
}

const wrongEscape = 'has a host that does not exist, or a percent sign that begins no escape of UTF-8 (write it as %25)'

/** Whether a URL can be read: its escapes are those of UTF-8, and its host has a name in ASCII. */
function isEscapedRightly({ username, password, hostname, pathname }: URL): boolean {
  try {
    const host = decodeURIComponent(hostname)
    return [username, password, pathname].every((part) => decodeURIComponent(part) !== undefined) && isHost(host)
  } catch {
    return false
  }
}

const isHost = (host: string) => host === '' || host.startsWith('[') || domainToASCII(host) !== ''

function mailServer(url: string | undefined, from: string | undefined, faults: string[]): Config['notices'] {
  const parsed = url !== undefined && URL.canParse(url) ? new URL(url) : undefined
  const bare = parsed?.hash === '' && parsed.search === '' && /^\/?$/.test(parsed.pathname)
  const whole = (parsed?.username === '') === (parsed?.password === '')
  if (url !== undefined && !(bare && whole && parsed.hostname !== '' && /^smtps?:$/.test(parsed.protocol)))
    faults.push('SMTP_URL is not the URL of a mail server; give smtp://user:password@host:587')
  if (parsed && !isEscapedRightly(parsed)) faults.push(`SMTP_URL ${wrongEscape}`)
  if (from !== undefined && !/^[^\s<>"(),:;@]+@[^\s<>"(),:;@]+$/.test(from))
    faults.push('SMTP_FROM is not an e-mail address; give for example cordon@customs.example')
  return url === undefined ? undefined : Object.freeze({ url, from: from ?? '' })
}

function origin(name: Name, text: string, faults: string[]): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin
  faults.push(
    `${name} holds something that is no http(s) origin; give for example https://cordon.example without a path`,
  )
  return 'http://invalid.example'
}

function address(text: string, faults: string[]): string {
  if (/^[\w.-]+$/.test(text) || /^[0-9a-f:.]+$/i.test(text)) return text
  faults.push('HOST is not an address; give for example 127.0.0.1 or ::')
  return '127.0.0.1'
}

/**
 * Answers an address, or a network in the notation of RFC 4632, as it was given; adds a fault where
 * the text is neither.
 */
function network(text: string, faults: string[]): string {
  const [host = '', prefix, more] = text.split('/')
  const most = { 4: 32, 6: 128 }[isIP(host)] ?? -1
  const fits = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) >= 1 && Number(prefix) <= most)
  if (most > 0 && fits && more === undefined) return text
  faults.push('TRUSTED_PROXIES holds a text that is no address or network; give for example 10.0.0.7 or fd00::/64')
  return '192.0.2.0'
}

function hostOf(publicUrl: string): string {
  return new URL(publicUrl).host
}

// The origin of a checkpoint holds no space and no plus (C2SP signed-note), and a slash would
// change the path after it.
function hostName(text: string, faults: string[]): string {
  if (/^[a-z0-9.:[\]-]+$/i.test(text)) return text.toLowerCase()
  faults.push('LOG_HOST is not a host name; give for example cordon.example')
  return 'invalid.example'
}

function database(name: Name, text: string | undefined, faults: string[]): string | undefined {
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && !isEscapedRightly(url)) {
    faults.push(`${name} ${wrongEscape}`)
    return undefined
  }
  if (url !== undefined && /^postgres(ql)?:$/.test(url.protocol) && url.pathname.length > 1 && url.username !== '')
    return text
  faults.push(`${name} is not a database URL; give postgres://role:password@host:5432/database`)
  return undefined
}

function level(text: string | undefined, faults: string[]): LogLevel {
  const found = logLevels.find((candidate) => candidate === (text ?? 'info'))
  if (found !== undefined) return found
  faults.push(`LOG_LEVEL is none of ${logLevels.join(', ')}`)
  return 'info'
}

/** Writes docs/configuration.md; `npm run docs` calls it. */
export function describeSettings(): string {
  const all: readonly Setting[] = settings
  const rows = all.map(({ name, fromFile, shape, otherwise, meaning }) => {
    const names = fromFile === true ? `\`${name}\` or \`${name}_FILE\`` : `\`${name}\``
    return `| ${names} | ${shape} | ${otherwise} | ${meaning} |`
  })
  return `# Configuration

Written from \`src/config.ts\` by \`npm run docs\`; a test keeps the two in step.

The service reads its configuration once, at start, from the environment. All faults are listed at once, and with any of them it does not
start (exit code 1). Secrets and what is long can be given as files: \`NAME_FILE\` holds the path, the file holds the value.

| name | value | if not given | meaning |
|---|---|---|---|
${rows.join('\n')}

## A database of your own

The service needs Postgres 16 or later with \`fsync\`, \`full_page_writes\` and \`synchronous_commit\` on, and refuses to start otherwise.
\`cordon_app\` serves and can neither change the schema nor the log. \`cordon_owner\` owns the tables whose rows change. \`cordon_keeper\` owns those whose
rows never do (logs, statements, sealed bodies), with what guards them: nobody connects as it, and neither of the two can become it. As a superuser, once:

\`\`\`sql
CREATE ROLE cordon_owner NOLOGIN CREATEROLE;
CREATE ROLE cordon_app LOGIN PASSWORD '…';
CREATE ROLE cordon_keeper NOLOGIN;
CREATE DATABASE cordon OWNER cordon_owner ENCODING 'UTF8' TEMPLATE template0;
\`\`\`

Then, as the superuser, \`DATABASE_OWNER_URL=postgres://postgres:…@host/cordon cordon migrate\`, and start the service with
\`DATABASE_URL=postgres://cordon_app:…@host/cordon\`. \`cordon migrate\` hands over to \`cordon_keeper\` what it keeps, in a database of an earlier version too, and
leaves every row as it is. Later migrations run so again: as a superuser, or as a role that is a member of \`cordon_owner\` and
\`cordon_keeper\`, to which you grant that for as long as it takes. As \`cordon_owner\` alone a database is migrated that has no keeper yet; then \`cordon_owner\` can change the
logs, which \`cordon verify\` finds, and \`cordon migrate\` and the service say so. The first migration makes the roles that do not connect (\`cordon_auditor\`, \`cordon_eraser\`,
\`cordon_figures\`); where \`cordon_owner\` must not have CREATEROLE, make them beforehand (\`CREATE ROLE … NOLOGIN\`) together with
\`GRANT cordon_figures TO cordon_app WITH INHERIT FALSE, SET TRUE\`. A password in a URL is percent-encoded.
`
}
