import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What the page sends: the answer of the passkey as JSON, or the name of the error in the browser.
 */
export type BrowserAnswer = { readonly answer: object } | { readonly refused: string }

const address = '127.0.0.1'
const mostAnswerBytes = 128 * 1024
const stateBytes = 32

/**
 * Takes one answer from a browser on this machine (RFC 8252, section 7.3): the first form that is
 * posted to its address with the state that only the address for the browser has. It refuses any
 * other request without effect.
 */
export class Loopback {
  readonly state = randomBytes(stateBytes).toString('base64url')
  readonly #server: Server
  readonly #handed = Promise.withResolvers<BrowserAnswer>()
  #taken = false

  private constructor(server: Server) {
    this.#server = server
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#take(request).then(
        (handed) => {
          response.once('close', () => this.#handed.resolve(handed))
          answer(response, 200, 'answer' in handed ? texts.done : texts.refused)
        },
        (error: unknown) => {
          if (error instanceof Refusal) answer(response, error.status, texts.strange)
          // A client that closed the connection waits for no answer.
          else if (request.complete) this.#handed.reject(error)
        },
      )
    })
  }

  static async open(): Promise<Loopback> {
    const server = createServer({ headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 })
    server.maxConnections = 32
    const loopback = new Loopback(server)
    server.listen(0, address)
    await once(server, 'listening')
    return loopback
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resolves once the browser has received its page. */
  get handed(): Promise<BrowserAnswer> {
    return this.#handed.promise
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #take(request: IncomingMessage): Promise<BrowserAnswer> {
    // The DNS of another person may lead another name to this address.
    if (request.headers.host !== `${address}:${String(this.port)}`) throw new Refusal(421)
    if (request.url !== '/') throw new Refusal(404)
    if (request.method !== 'POST') throw new Refusal(405)
    if (request.headers['content-type']?.split(';', 1)[0] !== 'application/x-www-form-urlencoded')
      throw new Refusal(415)
    const form = new URLSearchParams(await bodyOf(request))
    if (!sameText(form.get('state') ?? '', this.state)) throw new Refusal(403)
    if (this.#taken) throw new Refusal(409)
    const handed = readBrowserAnswer(form)
    if (!handed) throw new Refusal(400)
    this.#taken = true
    return handed
  }
}

class Refusal extends Error {
  readonly status: number

  constructor(status: number) {
    super(`refused with ${String(status)}`)
    this.status = status
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length']) > mostAnswerBytes) throw new Refusal(413)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > mostAnswerBytes) throw new Refusal(413)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function sameText(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}

function readBrowserAnswer(form: URLSearchParams): BrowserAnswer | undefined {
  const error = form.get('error')
  if (error !== null) return { refused: /^[A-Za-z]{1,40}$/.test(error) ? error : 'Error' }
  try {
    const value: unknown = JSON.parse(form.get('answer') ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { answer: value } : undefined
  } catch {
    return undefined
  }
}

const texts = {
  done: ['Done', 'The command has the answer and goes on. You may close this window.'],
  refused: ['Nothing was done', 'The command says why. You may close this window.'],
  strange: ['This is not for you', 'The command that listens here did not ask for this.'],
} as const
const style =
  ':root{color-scheme:light dark}body{min-height:100vh;margin:0;display:grid;place-items:center;text-align:center;font:1.0625rem/1.55 system-ui,sans-serif;background:light-dark(#eef1f4,#14181d);color:light-dark(#1d2731,#e4e9ee)}h1{font-size:1.5rem;font-weight:600}'
const styleHash = createHash('sha256').update(style).digest('base64')

function answer(response: ServerResponse, status: number, [title, text]: readonly [string, string]): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    connection: 'close',
    ...(status === 405 ? { allow: 'POST' } : {}),
  })
  response.end(
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Cordon: ${title}</title><style>${style}</style><main><h1>${title}</h1><p>${text}</p></main></html>\n`,
  )
}
