// What this holds: the service's own TLS. What makes it fail: `settled` of src/http/tls.ts,
// `checkPrivateKey`, or `watchFile` left out.
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect as connectPlain, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { connect, setDefaultCACertificates, type ConnectionOptions, type TLSSocket } from 'node:tls'
import t from 'tap'
import { operationOn } from './support/actors.ts'
import { selfSigned } from './support/certificate.ts'
import { ended, start, temporary, until } from './support/command.ts'
import { startServer, type TestServer } from './support/server.ts'

type Owner = Parameters<typeof startServer>[0]

/**
 * Certificate and key in files, as an operator has them, and how they are replaced: the certificate
 * first, then the key.
 */
function pairIn(directory: string, pair = selfSigned()) {
  const files = { certificateFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') }
  const put = (path: string, text: string) => {
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
  const putCertificate = (text: string) => put(files.certificateFile, text)
  const putKey = (text: string) => put(files.keyFile, text)
  putCertificate(pair.certificate)
  putKey(pair.key)
  return { files, pair, putCertificate, putKey }
}

async function secured(owner: Owner) {
  const kept = pairIn(temporary(owner))
  const lines: string[] = []
  const logTo = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const server = await startServer(owner, { tls: kept.files, logLevel: 'info', logTo })
  return { ...kept, server, log: () => lines.join('') }
}

const portOf = ({ url }: Pick<TestServer, 'url'>) => Number(new URL(url).port)

async function handshake(port: number, ca: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca, ...options })
  await once(socket, 'secureConnect')
  return socket
}

const fingerprintOf = (socket: TLSSocket) => socket.getPeerX509Certificate()?.fingerprint256
const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256

/** The group of the server's key share (RFC 8446, 4.2.8), read from its hello as it passes by. */
async function agreedGroup(owner: Owner, port: number, ca: string, options: ConnectionOptions = {}): Promise<number> {
  const bytes: Buffer[] = []
  const between = createServer((near) => {
    const far = connectPlain(port, '127.0.0.1')
    far.on('data', (data: Buffer) => bytes.push(data))
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far).pipe(near)
  }).listen(0, '127.0.0.1')
  owner.teardown(async () => between.close())
  await once(between, 'listening')
  const socket = await handshake((between.address() as AddressInfo).port, ca, options)
  socket.destroy()
  const hello = Buffer.concat(bytes)
  // Record header 5, handshake header 4, version 2, random 32, then session id, cipher suite 2,
  // compression 1, extensions.
  const sessionId = hello.readUInt8(43)
  const extensions = 44 + sessionId + 3
  const end = extensions + 2 + hello.readUInt16BE(extensions)
  for (let at = extensions + 2; at < end; at += 4 + hello.readUInt16BE(at + 2))
    if (hello.readUInt16BE(at) === 51) return hello.readUInt16BE(at + 4)
  throw new Error('the hello has no key share')
}

t.test('with a certificate the service speaks TLS 1.3 alone', async (t) => {
  const { server, pair } = await secured(t)
  t.match(server.url, /^https:\/\/127\.0\.0\.1:/)
  const port = portOf(server)
  const socket = await handshake(port, pair.certificate)
  t.equal(socket.getProtocol(), 'TLSv1.3')
  socket.destroy()
  await t.rejects(handshake(port, pair.certificate, { maxVersion: 'TLSv1.2' }), { code: /^ERR_SSL/ })
  await t.rejects(handshake(port, selfSigned().certificate), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })

  const plain = connectPlain(port, '127.0.0.1')
  let answer = ''
  plain.on('data', (data) => (answer += String(data)))
  plain.on('error', () => {})
  plain.write('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(plain, 'close')
  t.notMatch(answer, /HTTP\/1\.1 2/, 'nothing is served without it')
})

t.test('X25519MLKEM768 is agreed on with clients that offer it', async (t) => {
  const { server, pair } = await secured(t)
  const port = portOf(server)
  // IANA, TLS Supported Groups: X25519MLKEM768 and x25519.
  const [hybrid, classical] = [0x11ec, 0x001d]
  t.equal(await agreedGroup(t, port, pair.certificate, { ecdhCurve: 'X25519MLKEM768:X25519' }), hybrid)
  t.equal(await agreedGroup(t, port, pair.certificate, { ecdhCurve: 'X25519:X25519MLKEM768' }), hybrid)
  t.equal(await agreedGroup(t, port, pair.certificate, { ecdhCurve: 'X25519' }), classical)
})

t.test('a renewed certificate is served without a restart, a pair that does not fit is not', async (t) => {
  const { server, pair, putCertificate, putKey, log } = await secured(t)
  const port = portOf(server)
  const before = await handshake(port, pair.certificate)
  // Half of an issuer's certificate behind one that is whole: a copy that was cut off.
  putCertificate(pair.certificate + pair.certificate.slice(0, 200))
  await until('a chain that was cut off is refused', () => /holds no chain of certificates/.test(log()), 20_000)
  const next = selfSigned()
  putCertificate(next.certificate)
  await until('the half pair is refused', () => /not that of the certificate/.test(log()), 20_000)
  t.match(log(), /the renewed certificate is not used, the one before still is/)
  const still = await handshake(port, pair.certificate)
  t.equal(fingerprintOf(still), fingerprint(pair.certificate))
  putKey(next.key)
  await until('the whole pair is taken', () => /the certificate was renewed/.test(log()), 20_000)
  const after = await handshake(port, next.certificate)
  t.equal(fingerprintOf(after), fingerprint(next.certificate))
  t.notMatch(log(), /BEGIN/, 'and no key is logged')

  const answered = new Promise<number | undefined>((resolve, reject) => {
    request({ createConnection: () => before, path: '/readyz' }, (answer) => resolve(answer.statusCode))
      .on('error', reject)
      .end()
  })
  t.equal(await answered, 200, 'who is connected stays so')
  for (const socket of [before, still, after]) socket.destroy()
})

t.test('people work over it: requests and the live channel', async (t) => {
  const { server, pair } = await secured(t)
  setDefaultCACertificates([pair.certificate])
  const { coordinator, operation } = await operationOn(t, server)
  const session = await coordinator.follow(operation)
  const { message, index } = await session.post({ form: 'text', fields: { text: 'Over TLS.' } })
  t.ok(await session.reached(index), 'it came over the live channel')
  t.ok(session.messages.some(({ id }) => id === message))
  t.match(coordinator.self.account.server, /^https:/)
})

t.test('a certificate that cannot be served under is named at start, with the file', async (t) => {
  const directory = temporary(t)
  const { files, putCertificate, putKey, pair } = pairIn(directory)
  const faultOf = async (env: Record<string, string> = {}) => {
    const tls = { TLS_CERTIFICATE_FILE: files.certificateFile, TLS_KEY_FILE: files.keyFile }
    const done = await ended(start(t, ['serve', '--json'], { DATA_DIRECTORY: directory, ...tls, ...env }))
    t.equal(done.code, 1)
    return done.stderr
  }
  putKey(selfSigned().key)
  t.match(await faultOf(), /the key in .*tls\.key is not that of the certificate in .*tls\.crt/)
  putKey(pair.certificate)
  t.match(await faultOf(), /tls\.key holds no private key without a passphrase in PEM/)
  putCertificate('nonsense')
  t.match(await faultOf(), /tls\.crt holds no certificate in PEM/)
  t.match(await faultOf({ TLS_KEY_FILE: join(directory, 'none') }), /none cannot be read \(ENOENT\)/)
  t.match(await faultOf({ TLS_KEY_FILE: '' }), /belong together; give both/)
  t.match(await faultOf({ PUBLIC_URL: 'http://cordon.example' }), /PUBLIC_URL begins with http:/)
})
