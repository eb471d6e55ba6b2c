import { readFileSync, writeFileSync } from 'node:fs'
import type { TestServer } from './server.ts'

/** One request over HTTP and what it was answered, as a running server answered it. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly request?: unknown
  readonly status: number
  readonly type: string
  /** JSON where the answer is JSON, otherwise its text. */
  readonly answer?: unknown
}

export interface ApiExamples {
  readonly operations: Record<string, { request?: unknown; status: number; answer?: unknown }>
  readonly problems: Record<string, unknown>
}

const file = new URL('../../src/http/openapi-examples.json', import.meta.url)
const frameFile = new URL('../../src/live/frame-examples.json', import.meta.url)

/** `CORDON_EXAMPLES=write` makes the tests write what they obtain instead of comparing it. */
export const writesExamples = process.env['CORDON_EXAMPLES'] === 'write'

const read = (url: URL): unknown => JSON.parse(readFileSync(url, 'utf8'))
export const readExamples = (): ApiExamples => read(file) as ApiExamples
export const readFrameExamples = (): Record<string, unknown[]> => read(frameFile) as Record<string, unknown[]>

export function writeExamples(changed: Partial<ApiExamples>): void {
  const before = readExamples()
  const sorted = <T>(record: Record<string, T>) =>
    Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  const operations = sorted(changed.operations ?? before.operations)
  const problems = sorted(changed.problems ?? before.problems)
  writeFileSync(file, `${JSON.stringify({ operations, problems }, null, 1)}\n`)
}

export function writeFrameExamples(frames: Record<string, unknown[]>): void {
  writeFileSync(frameFile, `${JSON.stringify(frames, null, 1)}\n`)
}

/** Keeps every exchange of this process over `fetch`, from now on. */
export function recordExchanges(): readonly Exchange[] {
  const kept: Exchange[] = []
  const { fetch } = globalThis
  globalThis.fetch = async (input, init) => {
    const response = await fetch(input, init)
    const type = response.headers.get('content-type')?.split(';', 1)[0] ?? ''
    const text = await response.clone().text()
    const { pathname, search } = new URL(input instanceof Request ? input.url : input)
    kept.push({
      method: init?.method ?? 'GET',
      path: pathname + search,
      ...(typeof init?.body === 'string' && isJson(init.body) ? { request: JSON.parse(init.body) as unknown } : {}),
      status: response.status,
      type,
      ...(text === '' ? {} : { answer: type.endsWith('json') ? (JSON.parse(text) as unknown) : text }),
    })
    return response
  }
  return kept
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The template of /openapi.json that an address belongs to. */
export function templateOf(templates: readonly string[], path: string): string | undefined {
  const segments = path.split('?', 1)[0]?.split('/') ?? []
  const fits = (template: string) => {
    const parts = template.split('/')
    const open = parts.at(-1) === '{path}'
    if (open ? segments.length < parts.length : segments.length !== parts.length) return false
    return parts.every((part, i) => part.startsWith('{') || part === segments[i])
  }
  return templates.find((template) => template === path) ?? templates.find(fits)
}

/**
 * An example that people can read: long texts are cut, and of a list the first items stand for all.
 */
export function abridged(value: unknown): unknown {
  if (typeof value === 'string') {
    if (value.length <= 120) return value
    // A schema that asks for base64url takes no ellipsis.
    return /^[\w-]+$/.test(value) ? value.slice(0, 100) : `${value.slice(0, 100)}…`
  }
  if (Array.isArray(value)) return value.slice(0, 2).map(abridged)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, abridged(inner)]))
}

// The shape is what the tests assert.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Page = any

export async function openApiOf(server: Pick<TestServer, 'app'>): Promise<Page> {
  return (await server.app.inject('/openapi.json')).json()
}

/** Every operation of the page. */
export function operationsOf(page: Page): { path: string; method: string; operation: Page }[] {
  return Object.entries(page.paths as Record<string, Record<string, Page>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      operation,
    })),
  )
}

/** An answer of an operation, which may stand among the components. */
export function responseOf(page: Page, operation: Page, status: number): Page {
  const response = operation.responses[String(status)]
  const name = (response?.$ref as string | undefined)?.replace('#/components/responses/', '')
  return name === undefined ? response : page.components.responses[name]
}

/** The codes that an operation says it refuses with. */
export function codesOf(page: Page, operation: Page): string[] {
  return Object.keys(operation.responses as object).flatMap((status) => {
    const media = responseOf(page, operation, Number(status)).content?.['application/problem+json']
    return (media?.schema.allOf[1].properties.code.enum ?? []) as string[]
  })
}
