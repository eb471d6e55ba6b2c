import { readFileSync } from 'node:fs'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { ProblemCode } from '../errors.ts'
import { problems } from '../problem-catalogue.ts'
import { everybody } from './access.ts'
import type { DeclaredRoute } from './guard.ts'
import {
  headers,
  headersOf,
  parameters,
  problemSchema,
  refusalResponse,
  securitySchemes,
  tags,
  tagsOf,
} from './openapi-parts.ts'
import { quotaFor } from './rate-limits.ts'

const nothing = 'nothing: it shows nothing about any person'

const description = `Closed groups for joint customs operations. \`docs/protocol.md\` says what travels and
what a client checks before it believes any of it; [/asyncapi.json](/asyncapi.json) describes the live channel.

Every refusal is a problem (RFC 9457, \`application/problem+json\`) with a stable \`code\`. Each operation
says who may ask (\`Access\`): everybody (\`public\`), a device that is signed in (\`signed-in\`), an
\`administrator\`, whoever may read a log (\`log-reader\`), or the members of the operation whose role has the
permission that is named. It says which entries it writes into a log, or why it writes none, and against which
quota it counts.`

interface About {
  /** The origin under which clients reach the service. */
  readonly publicUrl: string
  readonly version: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /** What the descriptions of the service say about it. */
    about: About
  }
}

/**
 * Collects every route that is mounted after this call into OpenAPI 3.1, from the schemas that
 * validate.
 */
export async function describeRoutes(app: FastifyInstance, about: About): Promise<void> {
  app.decorate('about', { publicUrl: about.publicUrl, version: about.version })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Cordon',
        version: about.version,
        description,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: about.publicUrl }],
    },
  })
  // Readable pages. They are mounted before the guard, hence every route that the package brings is
  // declared public here.
  await app.register(async (pages) => {
    pages.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: everybody, record: nothing }
      route.schema = { ...route.schema, hide: true }
    })
    await pages.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { validatorUrl: null } })
  })
}

export function mountOpenApi(app: FastifyInstance): void {
  // To describe some hundred routes takes tens of milliseconds: it is done once.
  let described: Buffer | undefined
  app.get(
    '/openapi.json',
    { config: { access: everybody, record: nothing }, schema: { hide: true } },
    async (_request, reply) => {
      described ??= Buffer.from(JSON.stringify(describeApi(app.swagger() as unknown as Page, app.declared)))
      return reply.type('application/json; charset=utf-8').send(described)
    },
  )
}

type Json = Record<string, unknown>
type Responses = Record<string, Json>
type Operation = Json & { operationId?: string; parameters?: Json[]; responses?: Responses; requestBody?: Json }
type Page = Json & { paths: Record<string, Record<string, Operation>> }

/**
 * Requests, answers and refusals that a test obtained from a running server
 * (test/api-examples.test.ts).
 */
interface Examples {
  readonly operations: Readonly<Record<string, { request?: unknown; status: number; answer?: unknown }>>
  readonly problems: Readonly<Partial<Record<ProblemCode, unknown>>>
}

function readExamples(): Examples {
  return JSON.parse(readFileSync(new URL('openapi-examples.json', import.meta.url), 'utf8')) as Examples
}

/**
 * Turns what @fastify/swagger makes of the schemas, with the declarations of routes beside them,
 * into the description.
 */
function describeApi(page: Page, declared: readonly DeclaredRoute[]): Json {
  const examples = readExamples()
  const paths: Page['paths'] = {}
  const responses: SharedParts['responses'] = new Map()
  for (const route of declared) {
    // A wildcard has no name in a route, and needs a name here.
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{*}')
    const operation = page.paths[path]?.[route.method.toLowerCase()]
    if (operation === undefined) continue
    const named = path.replace('{*}', '{path}')
    paths[named] = {
      ...paths[named],
      [route.method.toLowerCase()]: describe(operation, route, { examples, responses }),
    }
  }
  const refused = new Set([...responses.values()].flatMap(({ codes }) => codes))
  const shown = Object.entries(examples.problems).filter(([code]) => refused.has(code as ProblemCode))
  return {
    ...page,
    tags,
    paths,
    components: {
      securitySchemes,
      parameters,
      headers,
      responses: Object.fromEntries(
        [...responses].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, { response }]) => [name, response]),
      ),
      schemas: { Problem: problemSchema },
      examples: Object.fromEntries(shown.map(([code, value]) => [code, { value }])),
    },
  }
}

/** The parts that operations share: examples, and the answers that several of them give. */
interface SharedParts {
  readonly examples: Examples
  readonly responses: Map<string, { readonly codes: readonly ProblemCode[]; readonly response: Json }>
}

function describe(operation: Operation, route: DeclaredRoute, shared: SharedParts): Operation {
  const { examples } = shared
  const { config, access, record } = route
  const known = config.access !== everybody
  const counted = config.uncounted !== true
  const proves = known || config.proof === true
  const example = examples.operations[operation.operationId ?? '']
  const quota = known ? `\`${quotaFor(record)}\`` : config.door === undefined ? '`source`' : `\`source-${config.door}\``
  const enters = typeof record === 'string' ? `Log: ${record}.` : `Log: \`${record.join('`, `')}\`.`
  return {
    ...operation,
    tags: tagsOf(route.url),
    description: `Access: \`${access}\`. ${enters}${counted ? ` Quota: ${quota}.` : ''}`,
    parameters: [
      ...(operation.parameters ?? []).map(withName),
      ...(proves ? [{ $ref: '#/components/parameters/DPoP' }] : []),
    ],
    ...(operation.requestBody === undefined
      ? {}
      : { requestBody: withExample(operation.requestBody, example?.request) }),
    security: known ? [{ dpop: [] }] : [],
    responses: { ...successes(operation, { counted, example }), ...refusals(route, counted, shared) },
  }
}

function withName(parameter: Json): Json {
  return parameter['name'] === '*' ? { ...parameter, name: 'path', description: pathOfTile } : parameter
}

const pathOfTile = 'Several segments; their slashes may be sent as they are, or encoded.'

function successes(
  { responses = {} }: Operation,
  { counted, example }: { counted: boolean; example: Examples['operations'][string] | undefined },
): Responses {
  const described = Object.entries(responses).map(([status, response]) => [
    status,
    {
      ...withExample(response, String(example?.status) === status ? example?.answer : undefined),
      description: sentences[status] ?? 'Done.',
      headers: headersOf(Number(status), { counted }),
    },
  ])
  return Object.fromEntries(described) as Responses
}

const sentences: Readonly<Record<string, string>> = {
  200: 'The answer to the request.',
  201: 'It was made.',
  202: 'It was taken on.',
  204: 'It is done; there is nothing to say.',
}

/**
 * Makes one answer for each status, with the codes that it may carry; equal answers of several
 * routes are written once.
 */
function refusals({ refuses }: DeclaredRoute, counted: boolean, { examples, responses }: SharedParts): Responses {
  const byStatus = Map.groupBy(refuses, (code) => problems[code].status)
  const shown = new Set(Object.keys(examples.problems))
  const described = [...byStatus]
    .toSorted(([a], [b]) => a - b)
    .map(([status, codes]) => {
      const sorted = codes.toSorted()
      const name = `${sorted.join('-')}${counted ? '' : '-uncounted'}`
      if (!responses.has(name))
        responses.set(name, {
          codes: sorted,
          response: refusalResponse(status, sorted, { counted, examples: shown }),
        })
      return [String(status), { $ref: `#/components/responses/${name}` }]
    })
  return Object.fromEntries(described) as Responses
}

/** Puts an example beside the schema of each content. */
function withExample<T extends Json>(part: T, example: unknown): T {
  const content = part['content'] as Record<string, Json> | undefined
  if (content === undefined || example === undefined) return part
  const shown = Object.entries(content).map(([type, media]) => [type, { ...media, example }])
  return { ...part, content: Object.fromEntries(shown) as Json }
}
