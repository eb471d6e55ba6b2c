import type { ChildProcess } from 'node:child_process'
import type { Authenticator } from '../../src/client/index.ts'
import { ended, type Desk, type Done } from './command.ts'

/** What an address that the command printed asks a browser for. */
export interface Asked {
  readonly what: 'create' | 'get'
  readonly options: object
  readonly state: string
  /** Where the page posts its form. */
  readonly action: string
}

export function readAddress(address: string): Asked {
  const task = new URLSearchParams(new URL(address).hash.slice(1))
  const part = (name: string) => task.get(name) ?? ''
  return {
    what: part('do') === 'create' ? 'create' : 'get',
    options: JSON.parse(Buffer.from(part('options'), 'base64url').toString('utf8')) as object,
    state: part('state'),
    action: `http://127.0.0.1:${part('port')}/`,
  }
}

/**
 * Loads the page with all that it names, as a browser does before anybody can press its button;
 * throws where it is not served so that one may.
 */
export async function loadPage(address: string): Promise<{ page: Response; text: string }> {
  const url = new URL(address)
  url.hash = ''
  const page = await fetch(url)
  const text = await page.text()
  const policy = page.headers.get('content-security-policy') ?? ''
  if (page.status !== 200 || !policy.split(';').includes('form-action http://127.0.0.1:*'))
    throw new Error(`this page hands nothing to the loopback: ${String(page.status)} ${policy}`)
  for (const [, name = ''] of text.matchAll(/(?:src|href)="([^"]+)"/g)) {
    const part = await fetch(new URL(name, url))
    if (!part.ok || !/^text\/(?:javascript|css)/.test(part.headers.get('content-type') ?? ''))
      throw new Error(`${name} is not there: ${String(part.status)}`)
  }
  return { page, text }
}

export function post(action: string, fields: Record<string, string>): Promise<Response> {
  return fetch(action, { method: 'POST', body: new URLSearchParams(fields), redirect: 'error' })
}

/**
 * A browser without a window: loads the page, asks the authenticator and posts its answer, or the
 * name of its error, as the page does. Answers what the loopback then shows; throws where it does
 * not take the answer.
 */
export async function browse(address: string, authenticator: Authenticator): Promise<string> {
  await loadPage(address)
  const { what, options, state, action } = readAddress(address)
  const given = await authenticator[what](options).then(
    (answer) => ({ answer: JSON.stringify(answer) }),
    (error: Error) => ({ error: error.message }),
  )
  const shown = await post(action, { state, ...given })
  if (!shown.ok) throw new Error(`the command does not take the answer: ${String(shown.status)}`)
  return shown.text()
}

const printed = /https?:\/\/\S+\/passkey#\S+/

/** The first address for a browser that a command prints. */
export function printedAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr?.on('data', (chunk) => {
      said += String(chunk)
      const [address] = new RegExp(`${printed.source}(?=\\n)`).exec(said) ?? []
      if (address !== undefined) resolve(address)
    })
    child.once('close', () => reject(new Error(`no address was printed: ${said}`)))
  })
}

/**
 * Runs a command with --json; whatever address it prints goes to a browser, and both have ended
 * when this resolves.
 */
export async function runWithBrowser(
  desk: Desk,
  args: readonly string[],
  open: (address: string) => Promise<unknown>,
  env: Readonly<Record<string, string>> = {},
): Promise<Done> {
  const child = desk.start([...args, '--json'], env)
  const done = ended(child)
  const opened: Promise<unknown>[] = []
  let unread = ''
  child.stderr?.on('data', (chunk) => {
    const lines = (unread + String(chunk)).split('\n')
    unread = lines.pop() ?? ''
    for (const line of lines) {
      const [address] = printed.exec(line) ?? []
      if (address === undefined) continue
      const browsing = open(address)
      // A command that gets no answer would wait for one.
      browsing.catch(() => child.kill())
      opened.push(browsing)
    }
  })
  child.stdin?.end()
  const ending = await done
  await Promise.all(opened)
  return ending
}
