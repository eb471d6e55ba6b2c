import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { everybody } from './access.ts'
import { ProblemSchema } from './validation.ts'

const nothing = 'nothing: it shows nothing of anybody'

/** Collects every route that follows into OpenAPI 3.1, from the schemas that validate. */
export async function describeRoutes(
  app: FastifyInstance,
  about: { publicUrl: string; version: string },
): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Cordon',
        version: about.version,
        description:
          'Closed groups for joint customs operations. Every refusal is a problem (RFC 9457) with a stable code.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: about.publicUrl }],
      components: {
        securitySchemes: {
          dpop: {
            type: 'http',
            scheme: 'DPoP',
            description: 'RFC 9449: Authorization: DPoP <access token>, and a DPoP header',
          },
        },
      },
    },
  })
  app.addHook('onRoute', (route) => {
    if (route.schema === undefined || route.schema.hide === true) return
    const response = (route.schema.response ?? {}) as Record<string, unknown>
    const open = route.config?.access === everybody
    route.schema = {
      ...route.schema,
      ...(open ? {} : { security: [{ dpop: [] }] }),
      response: { ...response, '4xx': response['4xx'] ?? ProblemSchema, '5xx': response['5xx'] ?? ProblemSchema },
    }
  })
  // Readable pages; mounted before the guard, hence declared public here for all that the package brings.
  await app.register(async (pages) => {
    pages.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: everybody, record: nothing }
      route.schema = { ...route.schema, hide: true }
    })
    await pages.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { validatorUrl: null } })
  })
}

export function mountOpenApi(app: FastifyInstance): void {
  // Some hundred routes take tens of milliseconds to describe: once.
  let described: Buffer | undefined
  app.get(
    '/openapi.json',
    { config: { access: everybody, record: nothing }, schema: { hide: true } },
    async (_request, reply) => {
      described ??= Buffer.from(JSON.stringify(app.swagger()))
      return reply.type('application/json; charset=utf-8').send(described)
    },
  )
}
