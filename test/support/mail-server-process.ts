import { createInterface } from 'node:readline'
import { SMTPServer } from 'smtp-server'
import type { Mail, Manner } from './mail-server.ts'

// The process behind mail-server.ts: a real SMTP server on the loopback. What it took over goes to
// its output, a line each, and how it behaves comes by its input.

interface Settings {
  readonly port: number
  readonly tls?: { readonly certificate: string; readonly key: string }
  readonly user?: string
  readonly password?: string
  readonly manner: Manner
}

const settings = JSON.parse(process.env['MAIL_SERVER'] ?? '{}') as Settings
let { manner } = settings
const say = (line: { listening: number } | { mail: Mail }) => process.stdout.write(`${JSON.stringify(line)}\n`)
const reply = (responseCode: number, sentence: string) => Object.assign(new Error(sentence), { responseCode })

const server = new SMTPServer({
  ...(settings.tls === undefined ? {} : { cert: settings.tls.certificate, key: settings.tls.key }),
  disabledCommands: [...(settings.tls ? [] : ['STARTTLS']), ...(settings.user === undefined ? ['AUTH'] : [])],
  authOptional: settings.user === undefined,
  onAuth({ username, password }, _session, done) {
    if (username === settings.user && password === settings.password) done(null, { user: username })
    else done(reply(535, '5.7.8 wrong'))
  },
  onRcptTo(_address, _session, done) {
    if (manner === 'no such mailbox') done(reply(550, '5.1.1 no such mailbox'))
    else if (manner === 'relays for nobody') done(reply(550, '5.7.1 relaying denied'))
    else if (manner === 'try later') done(reply(451, '4.7.1 greylisted'))
    else done()
  },
  onData(stream, session, done) {
    const parts: Buffer[] = []
    stream.on('data', (part: Buffer) => {
      if (manner === 'dies') process.exit(1)
      parts.push(part)
    })
    stream.on('end', () => {
      const { mailFrom, rcptTo } = session.envelope
      const mail: Mail = {
        from: mailFrom === false ? '' : mailFrom.address,
        to: rcptTo.map(({ address }) => address),
        secure: session.secure,
        raw: Buffer.concat(parts).toString('utf8'),
      }
      // Taken over, and nobody hears of it.
      if (manner === 'dies having taken')
        return void process.stdout.write(`${JSON.stringify({ mail })}\n`, () => process.exit(1))
      say({ mail })
      setTimeout(() => done(), manner === 'slow' ? 1_500 : manner === 'silent' ? 60_000 : 0)
    })
  },
})
server.on('error', () => {})
server.listen(settings.port, '127.0.0.1', () => {
  const address = server.server.address()
  say({ listening: typeof address === 'object' && address !== null ? address.port : 0 })
})
createInterface({ input: process.stdin }).on('line', (line) => (manner = line as Manner))
// It ends with the test that started it, however that ends.
process.stdin.once('close', () => process.exit())
