// What this holds: testssl.sh finds nothing to say against the service's own TLS: no protocol,
// cipher, header or weakness above "info" (and with "ok"). What it says of the test's certificate
// is named here, one by one. It takes minutes: npm run test:long -- testssl.
// What makes it fail: `settled` of src/http/tls.ts with TLS 1.2, or helmet without
// Strict-Transport-Security.
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { selfSigned } from './support/certificate.ts'
import { temporary } from './support/command.ts'
import { howMany, patience } from './support/counts.ts'
import { startServer } from './support/server.ts'

interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

/** Debian calls the command testssl, everybody else testssl.sh. */
function installed(): string | undefined {
  return ['testssl', 'testssl.sh'].find((name) => {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' })
      return true
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== 'ENOENT'
    }
  })
}

const harmless = new Set(['OK', 'INFO', 'DEBUG'])

/** What is true of a certificate that was made for a test, and of no other. */
const ofTheCertificate: Readonly<Record<string, string>> = {
  cert_chain_of_trust: 'it vouches for itself',
  cert_expirationStatus: 'it ends tomorrow',
  cert_notAfter: 'it ends tomorrow',
  cert_revocation: 'nobody revokes it',
}

/** What the tool could not find out with an OpenSSL that is too old or too new for it. */
const unknownToTheTool = new Set(['sessionresumption_ticket'])

const sections = [
  '--protocols',
  '--headers',
  '--std',
  '--fs',
  '--server-preference',
  '--server-defaults',
  '--vulnerable',
]
/** Of each section something, so that none was left out. */
const looked = ['TLS1_2', 'HSTS_time', 'cipherlist_NULL', 'cipher_order', 'cert_chain_of_trust', 'heartbleed', 'BREACH']
const command = installed()
const missing = 'testssl.sh is not installed (Debian: apt-get install testssl.sh)'
const long = 'it takes minutes: npm run test:long -- testssl'

t.test(
  'testssl.sh finds nothing above info but what is true of the certificate of a test',
  {
    ...patience,
    skip: command === undefined ? missing : howMany(0, 1) === 0 ? long : false,
  },
  async (t) => {
    const directory = temporary(t)
    const pair = selfSigned()
    const tls = { certificateFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') }
    writeFileSync(tls.certificateFile, pair.certificate)
    writeFileSync(tls.keyFile, pair.key, { mode: 0o600 })
    const server = await startServer(t, { tls })
    const output = join(directory, 'findings.json')
    const quietly = ['--quiet', '--warnings', 'off', '--color', '0', '--nodns', 'none', '--jsonfile', output]
    // Its exit code counts what it found; what counts here is in the file.
    await promisify(execFile)(command ?? '', [...quietly, ...sections, `${server.url}/livez`]).catch(() => {})
    const findings = JSON.parse(readFileSync(output, 'utf8')) as Finding[]
    const ids = new Set(findings.map(({ id }) => id))
    for (const id of looked) t.ok(ids.has(id), `${id} was looked at`)
    t.match(
      findings.find(({ id }) => id === 'TLS1_3'),
      { severity: 'OK' },
    )
    const above = findings.filter(({ severity }) => !harmless.has(severity))
    for (const { id, finding } of above)
      if (id in ofTheCertificate) t.comment(`${id}: ${finding}: ${ofTheCertificate[id]}`)
    t.strictSame(
      above.filter(
        ({ id, severity }) => !(id in ofTheCertificate || (severity === 'WARN' && unknownToTheTool.has(id))),
      ),
      [],
    )
  },
)
