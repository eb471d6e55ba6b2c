import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigurationFault, describeSettings, readConfig, settings } from '../src/config.ts'
import { repository } from './support/architecture.ts'

function faultsOf(environment: Record<string, string>, directory = '/srv/cordon'): readonly string[] {
  try {
    readConfig(environment, directory)
    return []
  } catch (error) {
    if (error instanceof ConfigurationFault) return error.faults
    throw error
  }
}

t.test('an empty environment gives a service on the loopback with its own database', async (t) => {
  const config = readConfig({}, '/srv/cordon')
  t.match(config, {
    dataDirectory: '/srv/cordon/data',
    databaseUrl: undefined,
    host: '127.0.0.1',
    port: 7300,
    publicUrl: 'http://127.0.0.1:7300',
    logHost: '127.0.0.1:7300',
    allowedOrigins: ['http://127.0.0.1:7300'],
    logKeyFile: '/srv/cordon/data/log.key',
    tokenKeyFile: '/srv/cordon/data/token.key',
    logLevel: 'info',
  })
  t.throws(() => Object.assign(config, { port: 1 }), TypeError, 'frozen')
  t.throws(() => (config.allowedOrigins as string[]).push('https://elsewhere.example'), TypeError, 'frozen within')
})

t.test('what is given is taken', async (t) => {
  const config = readConfig(
    {
      DATA_DIRECTORY: '/var/lib/cordon',
      DATABASE_URL: 'postgres://cordon_app:p%40ss@db/cordon',
      HOST: '::',
      PORT: '0',
      PUBLIC_URL: 'https://cordon.example',
      ALLOWED_ORIGINS: 'https://console.example, https://cordon.example',
      LOG_LEVEL: 'warn',
      LOG_KEY_FILE: '/run/secrets/log.key',
    },
    '/srv/cordon',
  )
  t.match(config, {
    databaseUrl: 'postgres://cordon_app:p%40ss@db/cordon',
    host: '::',
    port: 0,
    logHost: 'cordon.example',
    allowedOrigins: ['https://cordon.example', 'https://console.example'],
    logKeyFile: '/run/secrets/log.key',
    tokenKeyFile: '/var/lib/cordon/token.key',
  })
})

// Bites: the decoder of `readConfig`, which would else put U+FFFD into a passphrase.
t.test('a setting is UTF-8 to its last byte', async (t) => {
  const directory = t.testdir({ url: '' })
  const file = join(directory, 'url')
  writeFileSync(file, Buffer.from('smtp://anna:m\xfcde@mail.example', 'latin1'))
  const notices = { SMTP_URL_FILE: file, SMTP_FROM: 'a@customs.example' }
  t.match(faultsOf(notices)[0], /SMTP_URL_FILE names .*, which is not UTF-8; save it as UTF-8/)
  writeFileSync(file, '\uFEFFsmtp://anna:secret@mail.example\r\n')
  t.match(readConfig(notices).notices, { url: 'smtp://anna:secret@mail.example' })
  for (const escape of ['100%', '%FC', '%zz']) {
    const from = { SMTP_FROM: 'a@customs.example' }
    t.match(faultsOf({ ...from, SMTP_URL: `smtp://anna:${escape}@mail.example` })[0], /SMTP_URL has .*write it as %25/)
    t.match(faultsOf({ DATABASE_URL: `postgres://a:${escape}@db/cordon` })[0], /DATABASE_URL has .*write it as %25/)
  }
  t.match(
    faultsOf({ SMTP_URL: 'smtp://x.א1b.example', SMTP_FROM: 'a@customs.example' })[0],
    /a host that does not exist/,
  )
  t.match(faultsOf({ SMTP_FROM: 'm\uFFFDller@customs.example' })[0], /SMTP_FROM was not given in UTF-8/)
})

t.test('each fault is named, and nothing else', async (t) => {
  const cases: [Record<string, string>, string][] = [
    [{ PORT: '70000' }, 'PORT'],
    [{ PORT: '80a' }, 'PORT'],
    [{ PORT: '-1' }, 'PORT'],
    [{ PORT: '1e3' }, 'PORT'],
    [{ HOST: 'http://x' }, 'HOST'],
    [{ PUBLIC_URL: 'cordon.example' }, 'PUBLIC_URL'],
    [{ PUBLIC_URL: 'https://cordon.example/path' }, 'PUBLIC_URL'],
    [{ PUBLIC_URL: 'https://user@cordon.example' }, 'PUBLIC_URL'],
    [{ PUBLIC_URL: 'ftp://cordon.example' }, 'PUBLIC_URL'],
    [{ ALLOWED_ORIGINS: '*' }, 'ALLOWED_ORIGINS'],
    [{ ALLOWED_ORIGINS: 'null' }, 'ALLOWED_ORIGINS'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL'],
    [{ TRUSTED_PROXIES: 'proxy.example' }, 'TRUSTED_PROXIES'],
    [{ TRUSTED_PROXIES: '10.0.0.1, 0.0.0.0/0' }, 'TRUSTED_PROXIES'],
    [{ TRUSTED_PROXIES: '10.0.0.0/33' }, 'TRUSTED_PROXIES'],
    [{ TRUSTED_PROXIES: 'true' }, 'TRUSTED_PROXIES'],
    [{ WITNESSES: 'quorum none', WITNESS_QUORUM: '0' }, 'WITNESS_QUORUM'],
    [{ WITNESS_QUORUM: '2' }, 'WITNESS_QUORUM'],
    [{ LOG_HOST: 'a/b' }, 'LOG_HOST'],
    [{ LOG_HOST: 'a b' }, 'LOG_HOST'],
    [{ DATABASE_URL: 'mysql://root@db/cordon' }, 'DATABASE_URL'],
    [{ DATABASE_URL: 'postgres://cordon_app@db' }, 'DATABASE_URL'],
    [{ DATABASE_URL: 'postgres://db/cordon' }, 'DATABASE_URL'],
    [{ DATABASE_OWNER_URL: 'x' }, 'DATABASE_OWNER_URL'],
    [{ DATABASE_URL_FILE: '/nowhere' }, 'DATABASE_URL_FILE'],
    [{ LOG_KEY_FILE: '/k', TOKEN_KEY_FILE: '/k' }, 'LOG_KEY_FILE'],
    [{ LIVE_CONNECTIONS: '0' }, 'LIVE_CONNECTIONS'],
    [{ DATABASE_CONNECTIONS: '1000' }, 'DATABASE_CONNECTIONS'],
    [{ PASSPHRASE_CHECKS: '', PORT: 'x' }, 'PORT'],
    [{ SLEEP_AFTER_DAYS: '60' }, 'SLEEP_AFTER_DAYS'],
    [{ SLEEP_AFTER_DAYS: '0' }, 'SLEEP_AFTER_DAYS'],
    [{ SLEEP_AFTER_DAYS: 'never' }, 'SLEEP_AFTER_DAYS'],
    [{ SMTP_URL: 'smtp://mail.example' }, 'SMTP_URL'],
    [{ SMTP_FROM: 'cordon@customs.example' }, 'SMTP_URL'],
    [{ SMTP_URL: 'https://mail.example', SMTP_FROM: 'a@b.example' }, 'SMTP_URL'],
    [{ SMTP_URL: 'smtp://', SMTP_FROM: 'a@b.example' }, 'SMTP_URL'],
    [{ SMTP_URL: 'smtp://user@mail.example', SMTP_FROM: 'a@b.example' }, 'SMTP_URL'],
    [{ SMTP_URL: 'smtp://mail.example/x', SMTP_FROM: 'a@b.example' }, 'SMTP_URL'],
    [{ SMTP_URL: 'smtp://mail.example?tls=off', SMTP_FROM: 'a@b.example' }, 'SMTP_URL'],
    [{ SMTP_URL: 'smtp://mail.example', SMTP_FROM: 'customs' }, 'SMTP_FROM'],
    [{ SMTP_URL: 'smtp://mail.example', SMTP_FROM: 'a@b.example\r\nBcc: c@d.example' }, 'SMTP_FROM'],
  ]
  for (const [environment, name] of cases) {
    const faults = faultsOf(environment)
    t.equal(faults.length, 1, JSON.stringify(environment))
    t.ok(faults[0]?.startsWith(name), `${name}: ${faults[0]}`)
  }
})

t.test('all faults are listed at once, without the value of a secret', async (t) => {
  const faults = faultsOf({ PORT: 'x', LOG_LEVEL: 'y', PUBLIC_URL: 'z', DATABASE_URL: 'mysql://root:hunter2@db/x' })
  t.equal(faults.length, 4)
  const mail = faultsOf({ SMTP_URL: 'smtp://root:hunter2@mail.example/x', SMTP_FROM: 'a@b.example' })
  t.equal(mail.length, 1)
  t.notMatch([...faults, ...mail].join(), /hunter2/)
  t.match(new ConfigurationFault(faults).message, /has 4 faults:\n {2}\S/)
})

t.test('secrets come as files', async (t) => {
  const directory = t.testdir({ url: 'postgres://cordon_app:secret@db/cordon\n', empty: '\n' })
  t.equal(readConfig({ DATABASE_URL_FILE: 'url' }, directory).databaseUrl, 'postgres://cordon_app:secret@db/cordon')
  t.match(faultsOf({ DATABASE_URL_FILE: 'url', DATABASE_URL: 'postgres://a@b/c' }, directory), [/both given/])
  t.match(faultsOf({ DATABASE_URL_FILE: 'empty' }, directory), [/is empty/])
  t.match(faultsOf({ DATABASE_URL_FILE: '.' }, directory), [/cannot be read/])
  t.test(
    'a file that may not be read',
    { skip: process.getuid?.() === 0 ? 'root may read every file' : false },
    async (t) => {
      writeFileSync(join(directory, 'closed'), 'x')
      chmodSync(join(directory, 'closed'), 0)
      t.match(faultsOf({ DATABASE_URL_FILE: 'closed' }, directory), [/EACCES/])
    },
  )
})

t.test('a name near that of a setting is refused, and what is far from all of them is not', async (t) => {
  const meant: Record<string, string> = {
    DATABSE_URL: 'DATABASE_URL',
    DATABASE_ULR: 'DATABASE_URL',
    DATABASE_URI: 'DATABASE_URL',
    database_url: 'DATABASE_URL',
    DATABASE_URL_FIEL: 'DATABASE_URL_FILE',
    PROT: 'PORT',
    PORTS: 'PORT',
    HOTS: 'HOST',
    PUBLICURL: 'PUBLIC_URL',
    LOG_KEY_FLIE: 'LOG_KEY_FILE',
    SLEEP_AFTER_DAY: 'SLEEP_AFTER_DAYS',
    SMTP_FORM: 'SMTP_FROM',
    WITNESS_QUORUMS: 'WITNESS_QUORUM',
    CORDON_DATABASE_URL: 'DATABASE_URL',
    CORDON_PORT: 'PORT',
  }
  for (const [name, setting] of Object.entries(meant)) {
    const [fault, ...more] = faultsOf({ [name]: 'hunter2' })
    t.match(fault, new RegExp(`^${name} is no setting; give ${setting},`), name)
    t.notMatch(fault, /hunter2/)
    t.same(more, [])
    t.same(faultsOf({ [name]: ' ' }), [], 'what is empty says nothing')
  }
  t.match(faultsOf({ PORT_FILE: '/port' }), [/^PORT_FILE is no setting: PORT is given as it is/])
  t.same(faultsOf({ CORDON_PORT: 'tcp://10.0.0.1:7300' }), [], 'which Kubernetes gives')
  const others = ['HOME', 'PATH', 'PWD', 'HOSTNAME', 'HOSTTYPE', 'LOGNAME', 'SHELL', 'USER', 'TZ', 'PGHOST', 'PGPORT']
  const platforms = ['NODE_ENV', 'KUBERNETES_PORT', 'CORDON_SERVICE_HOST', 'CORDON_SERVICE_PORT', 'DATABASE_NAME']
  for (const name of [...others, ...platforms]) t.same(faultsOf({ [name]: 'x' }), [], name)
})

t.test('docs/configuration.md is in step; npm run docs writes it', async (t) => {
  t.equal(readFileSync(join(repository, 'docs/configuration.md'), 'utf8'), describeSettings())
})

t.test('INV-14: nothing can switch a guard off', async (t) => {
  for (const { name, meaning } of settings) {
    t.notMatch(name, /INSECURE|DISABLE|SKIP|UNSAFE|BYPASS|DEBUG|TEST/)
    t.notMatch(meaning, /switch(es)? off|disables/)
  }
})
