// What this holds: a notice reaches a mail server as one plain text mail that no other program
// answers, encrypted unless that server is on the same machine; what a server refuses for good is
// told from what it may take later, and nothing that is said of it names the address.
// What makes it fail: a mail in the clear, a header that somebody's address could add, a server
// that is waited for without end.
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import t from 'tap'
import fc from 'fast-check'
import { addressPattern, isAddress } from '../src/identity/notices/addresses.ts'
import type { Letter } from '../src/identity/notices/channel.ts'
import { SmtpChannel, isLoopback, type SmtpOptions } from '../src/identity/notices/smtp.ts'
import { headerOf, startMailServer, textOf, type MailServer } from './support/mail-server.ts'

const letter: Letter = {
  id: 'cordon-7-1700000000000',
  to: 'amina.otieno@customs.example',
  at: new Date('2026-11-22T10:20:30.000Z'),
  subject: 'Your account will sleep unless you sign in',
  text: 'It will sleep.\n\nSign in.\n',
}
const from = 'cordon@service.example'
const channel = (server: MailServer, options: Partial<SmtpOptions> = {}) =>
  new SmtpChannel({ url: server.url, from, ...options })
const outcome = (promise: Promise<string>) => promise.catch((error: unknown) => String(error))

t.test('INV-105: a notice is one plain mail, marked as made by a program', async (t) => {
  const server = await startMailServer(t)
  t.equal(await channel(server).deliver(letter), 'delivered')
  const [mail] = server.mails
  if (!mail) throw new Error('there is a mail')
  t.match(mail, { from, to: [letter.to], secure: false })
  t.equal(headerOf(mail, 'From'), 'Cordon <cordon@service.example>')
  t.equal(headerOf(mail, 'To'), letter.to)
  t.equal(headerOf(mail, 'Subject'), letter.subject)
  t.equal(headerOf(mail, 'Date'), 'Sun, 22 Nov 2026 10:20:30 +0000')
  t.equal(headerOf(mail, 'Message-ID'), '<cordon-7-1700000000000@service.example>')
  t.equal(headerOf(mail, 'Auto-Submitted'), 'auto-generated')
  t.match(headerOf(mail, 'Content-Type'), /^text\/plain/)
  t.equal(textOf(mail), letter.text)
  t.equal(server.mails.length, 1)
})

// Bites: `forRelay` in the constructor of `SmtpChannel`, and `hostOf`.
t.test('the domains of both addresses, and the name of the server, go out in A-labels', async (t) => {
  const lines: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {}).write('220 relay\r\n')
    createInterface(socket).on('line', (line) => {
      lines.push(line)
      if (line === 'DATA') socket.write('354 go on\r\n')
      else if (/^(EHLO|MAIL|RCPT|QUIT|\.$)/.test(line)) socket.write('250 done\r\n')
    })
  })
  t.teardown(async () => void server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `smtp://ｌｏｃａｌｈｏｓｔ:${String((server.address() as AddressInfo).port)}`
  const own = new SmtpChannel({ url, from: 'cordon@zöll.example' })
  t.equal(await own.deliver({ ...letter, to: 'anna@zöll.example' }), 'delivered')
  t.match(lines.slice(0, 3), [/^EHLO xn--zll-sna/, /^MAIL FROM:<cordon@xn--zll/, /^RCPT TO:<anna@xn--zll/])
})

t.test(
  'INV-105: a server that is elsewhere gets it encrypted, by a certificate that is believed, or not at all',
  async (t) => {
    const clear = await startMailServer(t)
    const encrypted = await startMailServer(t, { tls: true, user: 'cordon', password: 'a password' })
    const elsewhere = { requireTls: true, authorities: encrypted.authorities ?? '' }
    t.match(await outcome(channel(clear, elsewhere).deliver(letter)), /SmtpFault/, 'no STARTTLS')
    t.match(
      await outcome(channel(encrypted, { requireTls: true }).deliver(letter)),
      /SmtpFault/,
      'nobody vouches for it',
    )
    t.equal(await channel(encrypted, elsewhere).deliver(letter), 'delivered')
    t.equal(encrypted.mails[0]?.secure, true)
    const wrong = encrypted.url.replace('a%20password', 'another').replace('a password', 'another')
    const refused = await outcome(channel(encrypted, { ...elsewhere, url: wrong }).deliver(letter))
    t.match(refused, /SmtpFault.*535/)
    t.notMatch(refused, /another|cordon@/)
    t.same([clear.mails.length, encrypted.mails.length], [0, 1])
    for (const host of ['localhost', '127.0.0.1', '127.8.9.1', '::1']) t.ok(isLoopback(host), host)
    for (const host of ['mail.example', '10.0.0.1', '::ffff:10.0.0.1', '127.0.0.1.example', 'localhost.example', '::'])
      t.notOk(isLoopback(host), host)
  },
)

t.test('INV-105: only a mailbox that does not exist is given up; everything else is tried again', async (t) => {
  const server = await startMailServer(t)
  await server.behave('no such mailbox')
  t.equal(await channel(server).deliver(letter), 'refused')
  for (const manner of ['relays for nobody', 'try later', 'silent', 'dies'] as const) {
    await server.behave(manner)
    const began = Date.now()
    const said = await outcome(channel(server, { letterTimeoutMs: 700 }).deliver(letter))
    t.match(said, /SmtpFault/, manner)
    t.notMatch(said, /amina|otieno/, 'the address is not named')
    t.ok(Date.now() - began < 5_000, 'nobody waits for long')
  }
  await server.gone()
  t.match(await outcome(channel(server).deliver(letter)), /SmtpFault/, 'nobody there')
  await server.restart('slow')
  t.equal(await channel(server).deliver(letter), 'delivered', 'slow is not silent')
})

t.test('INV-105: what is under way can be broken off', async (t) => {
  const server = await startMailServer(t)
  await server.behave('silent')
  const mailing = channel(server)
  const waiting = outcome(mailing.deliver(letter))
  while (server.mails.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  mailing.close()
  t.match(await waiting, /SmtpFault/)
})

t.test('INV-106: what is taken for an address cannot be anything else', async (t) => {
  for (const good of [
    'a@b.example',
    'amina.otieno+notices@customs.go.ke',
    "o'brien@zoll.de",
    'ольга@таможня.рф',
    'x@xn--80aswg.xn--p1ai',
    'jürgen@zoll-köln.de',
  ])
    t.ok(isAddress(good), encodeURIComponent(good))
  for (const bad of [
    '',
    'a',
    'a@b',
    '@b.example',
    'a@',
    'a@b..example',
    '.a@b.example',
    'a.@b.example',
    'a@-b.example',
    'a b@c.example',
    'a@b.example\r\nBcc: c@d.example',
    'a@b.example\n',
    'a@b.example\u2028',
    'a@b.example,c@d.example',
    'a@b.example;c@d.example',
    'Amina <a@b.example>',
    '<a@b.example>',
    '"a b"@c.example',
    'a@[127.0.0.1]',
    'a@127.0.0.1',
    'a\u0000@b.example',
    'a\u202e@b.example',
    'a@b@c.example',
    'a(comment)@b.example',
    'a\\@b.example',
    `${'a'.repeat(65)}@b.example`,
    `a@${'b'.repeat(250)}.example`,
    `${'ж'.repeat(33)}@b.example`,
  ])
    t.notOk(isAddress(bad), encodeURIComponent(bad))
  const pattern = new RegExp(addressPattern, 'u')
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(20), (text, at) => {
      const whole = `${text.slice(0, at)}@${text.slice(at)}`
      return !pattern.test(whole) || !/[\p{C}\p{Z}<>()[\],;:"\\]/u.test(whole)
    }),
  )
  const began = Date.now()
  for (const long of ['a.'.repeat(127), `a@${'a-'.repeat(126)}`, `a@${'a.'.repeat(120)}-`]) t.notOk(isAddress(long))
  t.ok(Date.now() - began < 200, 'no text takes long')
})
