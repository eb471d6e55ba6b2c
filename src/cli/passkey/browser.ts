import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Authenticator } from '../../client/index.ts'
import type { CommandDevice } from '../device.ts'
import { CommandFailure } from '../failures.ts'
import { invocation } from '../invocation.ts'
import type { BrowserAnswer } from './loopback.ts'

/** The device and the service for which a browser is asked. */
interface PasskeyTask {
  readonly device: Pick<CommandDevice, 'terminal' | 'interrupted'>
  readonly server: string
  /** Milliseconds. */
  readonly waitMs: number
}

/** As long as the service accepts an answer to its question. */
const answerWithinMs = 5 * 60_000

/**
 * An authenticator that asks for passkeys in a browser on this machine, on the page of the service.
 */
export function inBrowser(device: PasskeyTask['device'], server: () => string, waitMs = answerWithinMs): Authenticator {
  const asking = () => ({ device, server: server(), waitMs })
  return {
    create: (options) => ask(asking(), 'create', options),
    get: (options) => ask(asking(), 'get', options),
  }
}

async function ask({ device, server, waitMs }: PasskeyTask, what: 'create' | 'get', options: object): Promise<object> {
  const { terminal, interrupted } = device
  requireNamed(server)
  // Loaded here: other commands do not need the HTTP server of Node.
  const { Loopback } = await import('./loopback.ts')
  const loopback = await Loopback.open()
  const ended = new AbortController()
  try {
    const { port, state } = loopback
    terminal.note('Open this address in a browser on this machine within five minutes, and follow the page:')
    terminal.note(`\n  ${pageFor(server, { do: what, port: String(port), state, options: encode(options) })}\n`)
    if (!hasScreen())
      terminal.note(
        `No screen here? On the computer with the browser, first: ssh -L ${String(port)}:127.0.0.1:${String(port)} THIS_MACHINE`,
      )
    const handed = await Promise.race([loopback.handed, interrupted, tooLate(waitMs, ended.signal)])
    return answerIn(handed)
  } finally {
    ended.abort()
    loopback.close()
  }
}

/**
 * Throws CommandFailure where the service has no name, or no https: browsers have no passkeys for
 * it.
 */
function requireNamed(server: string): void {
  const { protocol, hostname } = new URL(server)
  const isLocal = hostname === 'localhost' || hostname.endsWith('.localhost')
  if (isIP(hostname) === 0 && !hostname.startsWith('[') && (protocol === 'https:' || isLocal)) return
  throw new CommandFailure(
    `Browsers have passkeys for services with a name and https (or localhost), and the address of this service is ${server}: use a passphrase, or ask its operator for such an address.`,
  )
}

/** The address of the page. The task stands behind #, which a browser does not send. */
function pageFor(server: string, task: Readonly<Record<string, string>>): string {
  const page = new URL('/passkey', server)
  page.hash = new URLSearchParams(task).toString()
  return page.href
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function hasScreen(): boolean {
  const { SSH_CONNECTION, DISPLAY, WAYLAND_DISPLAY } = invocation().environment
  return SSH_CONNECTION === undefined && (process.platform !== 'linux' || (DISPLAY ?? WAYLAND_DISPLAY) !== undefined)
}

async function tooLate(waitMs: number, signal: AbortSignal): Promise<never> {
  await sleep(waitMs, undefined, { signal })
  throw new CommandFailure('No answer came from the browser in time; nothing was done. Start the command again.')
}

const refusals: Readonly<Record<string, string>> = {
  NotAllowedError: 'it was cancelled there, or no answer came in time. Start the command again',
  AbortError: 'it was cancelled there. Start the command again',
  InvalidStateError:
    'the device or security key that you chose has a passkey of yours for this service already. Use that passkey',
  NotSupportedError: 'the device or security key that you chose cannot keep passkeys of this kind. Choose another',
  ConstraintError:
    'the device or security key that you chose does not check who uses it. Set a PIN or a fingerprint there, or choose another',
  SecurityError: 'it has no passkeys under the address of this service. Ask the operator of the service',
}

function answerIn(handed: BrowserAnswer): object {
  if ('answer' in handed) return handed.answer
  const { refused } = handed
  const why = refusals[refused] ?? `it failed (${refused}). Try another browser`
  throw new CommandFailure(`The browser gave no passkey: ${why}.`, undefined, { reason: refused })
}
