import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { selfSigned } from './certificate.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

/** What a mail server took over. */
export interface Mail {
  readonly from: string
  readonly to: string[]
  /** Whether the connection was encrypted. */
  readonly secure: boolean
  readonly raw: string
}

export type Manner =
  'takes' | 'no such mailbox' | 'relays for nobody' | 'try later' | 'slow' | 'silent' | 'dies' | 'dies having taken'

export interface MailServer {
  readonly port: number
  readonly url: string
  /** Its certificate, where it has one. */
  readonly authorities: string | undefined
  readonly mails: readonly Mail[]
  behave(manner: Manner): Promise<void>
  /** Starts it again on its port after it has died. */
  restart(manner?: Manner): Promise<void>
  stop(): Promise<void>
  readonly gone: () => Promise<unknown>
}

const program = fileURLToPath(new URL('mail-server-process.ts', import.meta.url))

/** A real SMTP server in a process of its own on the loopback, gone when the test ends. */
export async function startMailServer(
  owner: Owner,
  options: { tls?: boolean; user?: string; password?: string } = {},
): Promise<MailServer> {
  const { user, password } = options
  const tls = options.tls === true ? selfSigned('localhost') : undefined
  const mails: Mail[] = []
  let port = 0
  let child: ChildProcess | undefined
  const start = async (manner: Manner) => {
    const settings = { port, manner, user, password, ...(tls === undefined ? {} : { tls }) }
    const running = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
      env: { PATH: process.env['PATH'], MAIL_SERVER: JSON.stringify(settings) },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    child = running
    running.stdin.on('error', () => {})
    const lines = createInterface({ input: running.stdout })
    const listening = new Promise<number>((resolve, reject) => {
      running.once('exit', () => reject(new Error('the mail server ended before it listened')))
      lines.on('line', (line) => {
        const said = JSON.parse(line) as { listening: number } | { mail: Mail }
        if ('mail' in said) mails.push(said.mail)
        else resolve(said.listening)
      })
    })
    port = await listening
  }
  const stop = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  owner.teardown(stop)
  await start('takes')
  const credentials = user === undefined ? '' : `${user}:${password ?? ''}@`
  return {
    port,
    url: `smtp://${credentials}127.0.0.1:${String(port)}`,
    authorities: tls?.certificate,
    mails,
    async behave(manner) {
      child?.stdin?.write(`${manner}\n`)
      // The line is read before anything that comes later by another way, but for a moment.
      await sleep(100)
    },
    restart: (manner = 'takes') => start(manner),
    stop,
    gone: async () => {
      if (child?.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

/** The header of a mail by its name, folded lines joined; undefined where there is none. */
export function headerOf({ raw }: Mail, name: string): string | undefined {
  const [head = ''] = raw.split('\r\n\r\n', 1)
  const lines = head.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n')
  const found = lines.filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
  if (found.length > 1) throw new Error(`the header ${name} stands there ${String(found.length)} times`)
  return found[0]?.slice(name.length + 1).trim()
}

/** What a mail says, decoded. */
export function textOf(mail: Mail): string {
  const body = mail.raw.slice(mail.raw.indexOf('\r\n\r\n') + 4).replaceAll('\r\n', '\n')
  if (headerOf(mail, 'Content-Transfer-Encoding') !== 'quoted-printable') return body
  return body
    .replaceAll('=\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}
