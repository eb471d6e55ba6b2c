// What this holds: /openapi.json and /asyncapi.json follow the rules by which other people's tools
// judge them. The rules take seconds of this thread without a pause: nothing is asked of the server
// meanwhile.
import { Parser } from '@asyncapi/parser'
import core from '@stoplight/spectral-core'
import parsers from '@stoplight/spectral-parsers'
import rulesets from '@stoplight/spectral-rulesets'
import t from 'tap'
import * as protocol from '../src/protocol/index.ts'
import { startServer } from './support/server.ts'

const server = await startServer(t)
const openApi = (await server.app.inject('/openapi.json')).body
const asyncApi = (await server.app.inject('/asyncapi.json')).body
await server.close()

const typeOf = (schema: unknown) => (schema as { properties: { type: { const: string } } }).properties.type.const

async function findings(document: string, rules: 'oas' | 'asyncapi'): Promise<string[]> {
  const spectral = new core.Spectral()
  // The packages of spectral disagree about the type of their own rule sets.
  spectral.setRuleset({ extends: [[rulesets[rules] as never, 'recommended']] })
  const found = await spectral.run(new core.Document(document, parsers.Json))
  return found.map(({ code, path: where, severity }) => `${String(severity)} ${String(code)} ${where.join('/')}`)
}

// Who answers for an installation is known to those who run it; an address of somebody else would
// be wrong in all others.
const explained = { oas: ['1 info-contact info'], asyncapi: ['1 asyncapi-info-contact info'] }

t.test('the recommended rules of spectral find nothing in OpenAPI but what is explained', async (t) => {
  t.same(await findings(openApi, 'oas'), explained.oas)
  const lame = { ...(JSON.parse(openApi) as object), paths: { '/x/{*}': { get: { responses: {} } } } }
  t.ok((await findings(JSON.stringify(lame), 'oas')).length > 3, 'and find what is wrong')
})

t.test('AsyncAPI 3 of the live channel is read by its own parser, and by spectral', async (t) => {
  const { document, diagnostics } = await new Parser().parse(asyncApi)
  t.same(diagnostics, [])
  t.match(document?.version(), /^3\./)
  t.equal(document?.channels().get('live')?.address(), '/v1/live')
  const types = document
    ?.messages()
    .all()
    .map((message) => typeOf(message.payload()?.json()))
  const known = [
    ...protocol.ClientFrame.anyOf.map((one) => one.properties.type.const),
    ...Object.keys(protocol.serverFrames),
  ]
  t.same([...new Set(types)].sort(), [...new Set(known)].sort(), 'each frame is described')
  t.same(await findings(asyncApi, 'asyncapi'), explained.asyncapi)
  t.notSame(
    (await new Parser().parse(asyncApi.replace('"address"', '"adress"'))).diagnostics,
    [],
    'and what is wrong is found',
  )
})
