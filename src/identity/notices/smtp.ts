import { domainToASCII } from 'node:url'
import MailComposer from 'nodemailer/lib/mail-composer'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import { forRelay } from './addresses.ts'
import type { Letter, NoticeChannel } from './channel.ts'

export interface SmtpSettings {
  /**
   * `smtp://` (STARTTLS) or `smtps://` (TLS from the start), with user and password where the
   * server asks for them.
   */
  readonly url: string
  readonly from: string
}

export interface SmtpOptions extends SmtpSettings {
  /**
   * PEM of the authorities that the server's certificate must come from; those of the system unless
   * given.
   */
  readonly authorities?: string
  /**
   * Whether a server without STARTTLS is refused. Unless given, every server that is not on this
   * machine is refused.
   */
  readonly requireTls?: boolean
  /** Milliseconds that one letter may take. */
  readonly letterTimeoutMs?: number
}

// Shorter than the database lets the transaction wait that holds the letter (src/db/database.ts).
const usualLetterTimeoutMs = 30_000

/**
 * Thrown where a server did not take a letter. Its message has the answer of the server and never
 * the address.
 */
export class SmtpFault extends Error {
  constructor(step: string, cause: SmtpError) {
    const { responseCode, code } = cause
    super(`the SMTP server did not take a notice (${step}: ${String(responseCode ?? code ?? 'no answer')})`)
    this.name = 'SmtpFault'
  }
}

interface SmtpError {
  readonly code?: string | undefined
  readonly command?: string | undefined
  readonly responseCode?: number | undefined
  readonly response?: string | undefined
}

/**
 * Sends notices by e-mail: one connection for each letter, encrypted unless the server is on this
 * machine.
 */
export class SmtpChannel implements NoticeChannel {
  readonly #options: SmtpOptions
  readonly #open = new Set<SMTPConnection>()

  constructor(options: SmtpOptions) {
    const { from } = options
    this.#options = { ...options, from: forRelay(from) ?? from }
  }

  async deliver(letter: Letter): Promise<'delivered' | 'refused'> {
    const { from, letterTimeoutMs: patience = usualLetterTimeoutMs } = this.#options
    // An address that was confirmed by an earlier version may have a domain without A-labels.
    const to = forRelay(letter.to)
    if (to === undefined) return 'refused'
    const message = await compose({ ...letter, to }, from)
    const connection = new SMTPConnection(this.#connection(patience))
    this.#open.add(connection)
    const timer = setTimeout(() => connection.close(), patience)
    try {
      await this.#send(connection, to, message)
      connection.quit()
      return 'delivered'
    } catch (error) {
      connection.close()
      if (isNoSuchAddress(error as SmtpError)) return 'refused'
      throw new SmtpFault((error as SmtpError).command ?? 'connection', error as SmtpError)
    } finally {
      clearTimeout(timer)
      this.#open.delete(connection)
    }
  }

  close(): void {
    for (const connection of this.#open) connection.close()
  }

  #connection(patience: number): SMTPConnection.Options {
    const { url, from, authorities, requireTls } = this.#options
    const { protocol, hostname, port } = new URL(url)
    const host = hostOf(hostname)
    return {
      host,
      ...(port === '' ? {} : { port: Number(port) }),
      secure: protocol === 'smtps:',
      requireTLS: requireTls ?? !isLoopback(host),
      name: domainOf(from),
      connectionTimeout: patience,
      greetingTimeout: patience,
      socketTimeout: patience,
      tls: { minVersion: 'TLSv1.2', ...(authorities === undefined ? {} : { ca: authorities }) },
    }
  }

  #send(connection: SMTPConnection, to: string, message: Buffer): Promise<void> {
    const { url, from } = this.#options
    const { username, password } = new URL(url)
    return new Promise((resolve, reject) => {
      connection.on('error', reject)
      connection.on('end', () => reject(Object.assign(new Error('the connection ended'), { code: 'ECONNECTION' })))
      const send = () =>
        connection.send({ from, to: [to] }, message, (error) => (error === null ? resolve() : reject(error)))
      connection.connect((failed) => {
        if (failed) return reject(failed)
        if (username === '') return send()
        const credentials = { user: decodeURIComponent(username), pass: decodeURIComponent(password) }
        connection.login({ credentials }, (error) => (error === null ? send() : reject(error)))
      })
    })
  }
}

/**
 * The name of a host as a resolver takes it. A URL of smtp is no special one (WHATWG), so that its
 * host comes with letters in percent signs.
 */
function hostOf(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : domainToASCII(decodeURIComponent(hostname))
}

function compose({ id, to, at, subject, text }: Letter, from: string): Promise<Buffer> {
  const mail = {
    from: { name: 'Cordon', address: from },
    to: { name: '', address: to },
    subject,
    text,
    date: at,
    messageId: `<${id}@${domainOf(from)}>`,
    // RFC 3834: mail programs send no notice of absence in reply.
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  }
  return new MailComposer(mail).compile().build()
}

/**
 * Whether the server says for good that the mailbox does not exist or takes nothing (RFC 3463: 5.1
 * and 5.2). Every other failure, such as a server that relays for nobody or takes us for a
 * nuisance, can be put right, and the letter waits for it.
 */
function isNoSuchAddress({ command, response }: SmtpError): boolean {
  return command === 'RCPT TO' && /^5\d\d[ -]5\.[12]\.\d/.test(response ?? '')
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}
