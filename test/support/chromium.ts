import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

type Values = Record<string, unknown>

/** The browser of this machine, if it has one; Debian: apt-get install chromium. */
export function findChromium(): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter)
  const paths = ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) =>
    directories.map((directory) => join(directory, name)),
  )
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Chromium without a window, spoken to by the DevTools protocol; it ends with the test. */
export class Chromium {
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, PromiseWithResolvers<Values>>()
  #next = 1

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      const { id, result, error } = JSON.parse(String(data)) as { id?: number; result?: Values; error?: Values }
      const asked = id === undefined ? undefined : this.#waiting.get(id)
      if (error) asked?.reject(new Error(JSON.stringify(error)))
      else asked?.resolve(result ?? {})
    })
  }

  static async start(owner: Owner, program: string, flags: readonly string[] = []): Promise<Chromium> {
    const profile = mkdtempSync(join(tmpdir(), 'cordon-chromium-'))
    const child = spawn(
      program,
      [
        '--headless=new',
        '--remote-debugging-port=0',
        `--user-data-dir=${profile}`,
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-gpu',
        // Its sandbox asks for a user of its own, which root of a container cannot give.
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
        ...flags,
        'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    owner.teardown(async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit')
        child.kill('SIGTERM')
        await gone
      }
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    })
    const socket = new WebSocket(await addressOf(child))
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', () => reject(new Error('Chromium does not answer')))
    })
    return new Chromium(socket)
  }

  async send(method: string, params: Values = {}, sessionId?: string): Promise<Values> {
    const id = this.#next++
    const answer = Promise.withResolvers<Values>()
    this.#waiting.set(id, answer)
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
    return answer.promise.finally(() => this.#waiting.delete(id))
  }

  /** A tab with an authenticator of its own, which knows its user and asks nobody. */
  async newTab(): Promise<Tab> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' })
    const tab = await this.#attach(targetId)
    await tab.prepare()
    return tab
  }

  /** The frames of other origins than that of their page, in whichever tab. */
  async frames(): Promise<Tab[]> {
    const { targetInfos } = await this.send('Target.getTargets')
    const targets = targetInfos as { type: string; targetId: string }[]
    const frames = targets.filter(({ type }) => type === 'iframe')
    return Promise.all(frames.map(({ targetId }) => this.#attach(targetId)))
  }

  async #attach(targetId: unknown): Promise<Tab> {
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true })
    return new Tab((method, params) => this.send(method, params, String(sessionId)))
  }
}

async function addressOf({ stderr }: ChildProcess): Promise<string> {
  if (!stderr) throw new Error('Chromium has an output')
  const said: string[] = []
  for await (const line of createInterface({ input: stderr })) {
    const address = /^DevTools listening on (ws:\S+)$/.exec(line)?.[1]
    if (address !== undefined) {
      stderr.resume()
      return address
    }
    said.push(line)
  }
  throw new Error(`Chromium ended: ${said.join('\n')}`)
}

export class Tab {
  readonly send: (method: string, params?: Values) => Promise<Values>
  #authenticator = ''

  constructor(send: (method: string, params?: Values) => Promise<Values>) {
    this.send = send
  }

  async prepare(): Promise<void> {
    await this.send('Page.enable')
    await this.send('WebAuthn.enable')
    const options = {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    }
    this.#authenticator = String((await this.send('WebAuthn.addVirtualAuthenticator', { options }))['authenticatorId'])
  }

  /** Whether its authenticator finds that it is its user who touches it. */
  async knowsItsUser(isUserVerified: boolean): Promise<void> {
    await this.send('WebAuthn.setUserVerified', { authenticatorId: this.#authenticator, isUserVerified })
  }

  /** What its authenticator keeps. */
  async passkeys(): Promise<{ rpId: string }[]> {
    const { credentials } = await this.send('WebAuthn.getCredentials', { authenticatorId: this.#authenticator })
    return credentials as { rpId: string }[]
  }

  async open(url: string): Promise<void> {
    await this.send('Page.navigate', { url })
  }

  /** What an expression has in the page, as somebody's own act. */
  async value<T>(expression: string): Promise<T> {
    const params = { expression, awaitPromise: true, returnByValue: true, userGesture: true }
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', params)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { value: T }).value
  }

  /** Waits until an expression holds in the page that is shown then. */
  async until(expression: string, milliseconds = 60_000): Promise<void> {
    for (const end = Date.now() + milliseconds; ;) {
      // Between two pages there is none to ask.
      const holds = await this.value<boolean>(`Boolean(${expression})`).catch(() => false)
      if (holds) return
      if (Date.now() > end)
        throw new Error(`waited in vain for ${expression} in: ${await this.value<string>('document.body.innerText')}`)
      await sleep(50)
    }
  }

  /** Presses a button as a mouse does. */
  async press(selector: string): Promise<void> {
    await this.until(`document.querySelector('${selector}')?.checkVisibility()`)
    const { x, y } = await this.value<{ x: number; y: number }>(
      `(({ x, y, width, height }) => ({ x: x + width / 2, y: y + height / 2 }))(document.querySelector('${selector}').getBoundingClientRect())`,
    )
    for (const type of ['mousePressed', 'mouseReleased'])
      await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 })
  }

  text(): Promise<string> {
    return this.value('document.body.innerText')
  }

  async screenshot(): Promise<Buffer> {
    return Buffer.from(String((await this.send('Page.captureScreenshot', { format: 'png' }))['data']), 'base64')
  }
}
