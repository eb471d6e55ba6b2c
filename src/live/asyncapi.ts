import { readFileSync } from 'node:fs'
import type { TSchema } from 'typebox'
import type { ProblemCode } from '../errors.ts'
import { problems } from '../problem-catalogue.ts'
import { ClientFrame, closeCodes, limits, serverFrames, subProtocol, ticketProtocolPrefix } from '../protocol/index.ts'
import { frameDuties } from './duties.ts'

type Json = Readonly<Record<string, unknown>>

interface About {
  readonly publicUrl: string
  readonly version: string
}

/** Frames that a test took from a running server, by message (test/asyncapi.test.ts). */
type Examples = Readonly<Record<string, readonly unknown[]>>

/** The frames with which the service answers each frame, over one socket. */
const answers: Readonly<Record<string, readonly (keyof typeof serverFrames)[]>> = {
  subscribe: ['entry', 'caught-up', 'ended', 'refused'],
  unsubscribe: ['ended', 'refused'],
  post: ['accepted', 'refused'],
  acknowledge: ['refused'],
  read: ['refused'],
  grant: ['refused'],
  'grant-bad': ['refused'],
  ping: ['pong'],
}

/** The codes with which the handshake is refused, each as a problem over HTTP. */
export const refusedHandshakes = [
  'UPGRADE_REQUIRED',
  'ORIGIN_REFUSED',
  'UNAUTHENTICATED',
  'SESSION_ENDED',
  'ADDRESS_REFUSED',
  'TOO_MANY_REQUESTS',
  'OVERLOADED',
  'DATABASE_UNAVAILABLE',
] as const satisfies readonly ProblemCode[]

/**
 * Answers the frames of clients by name; an acknowledgement of read messages has a name of its own.
 */
export function clientMessages(): [name: string, schema: TSchema][] {
  return ClientFrame.anyOf.map((schema): [string, TSchema] => {
    const { const: type } = schema.properties.type
    return ['messages' in schema.properties ? 'read' : type, schema]
  })
}

/** Describes the live channel in AsyncAPI 3, from the schemas by which frames are judged. */
export function describeLive({ publicUrl, version }: About): Json {
  const examples = readExamples()
  const received = clientMessages()
  const sent = Object.entries(serverFrames)
  const all: readonly (readonly [string, TSchema])[] = [
    ...received.map(([name, schema]) => [name, schema] as const),
    ...sent,
  ]
  const { protocol, host } = new URL(publicUrl)
  const messages = all.map(([name, schema]) => [name, describeMessage(name, schema, examples[name] ?? [])])
  const references = all.map(([name]) => [name, { $ref: `#/components/messages/${name}` }])
  return {
    asyncapi: '3.1.0',
    info: {
      title: 'Cordon, live channel',
      version,
      description: description(),
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: [{ name: 'live', description: 'Frames of the live channel.' }],
    },
    defaultContentType: 'application/json',
    servers: {
      service: {
        host,
        protocol: protocol === 'https:' ? 'wss' : 'ws',
        description: 'The service.',
        security: [{ $ref: '#/components/securitySchemes/ticket' }],
      },
    },
    channels: {
      live: {
        address: '/v1/live',
        title: 'The live channel',
        description: 'Text frames of one JSON object each; its member `type` says which.',
        servers: [{ $ref: '#/servers/service' }],
        messages: Object.fromEntries(references),
        bindings: { ws: { method: 'GET', headers: handshake, bindingVersion: '0.1.0' } },
      },
    },
    operations: Object.fromEntries([
      ...received.map(([name]) => receiving(name)),
      ...sent.map(([name]) => sending(name)),
    ]),
    components: { messages: Object.fromEntries(messages), securitySchemes: { ticket } },
  }
}

const ticket = {
  type: 'httpApiKey',
  name: 'Sec-WebSocket-Protocol',
  in: 'header',
  description: `The sub-protocol \`${ticketProtocolPrefix}<ticket>\` beside \`${subProtocol}\`.`,
}

const handshake = {
  type: 'object',
  required: ['Sec-WebSocket-Protocol', 'Sec-WebSocket-Version'],
  properties: {
    'Sec-WebSocket-Protocol': {
      type: 'string',
      maxLength: 200,
      description: `\`${subProtocol}, ${ticketProtocolPrefix}<ticket>\`; the answer is \`${subProtocol}\`.`,
    },
    'Sec-WebSocket-Version': { type: 'string', const: '13' },
    Origin: { type: 'string', maxLength: 300, description: 'Of a page; programs send none.' },
  },
}

function description(): string {
  const refused = refusedHandshakes.map(
    (code) => `- ${String(problems[code].status)} \`${code}\`: ${problems[code].title}`,
  )
  const closed = Object.entries(closeCodes).map(([name, code]) => `- ${String(code)} \`${name}\``)
  return [
    '`docs/protocol.md`, section 9, says how this channel is used; `/openapi.json` describes the rest of the service.',
    '`POST /v1/live-tickets` gives a ticket for one socket, for 30 seconds. A request for the socket is refused as a problem (RFC 9457) with',
    refused.join('\n'),
    `A frame has at most ${String(limits.frame)} bytes and is not compressed. Close codes (RFC 6455, section 7.4):`,
    closed.join('\n'),
  ].join('\n\n')
}

function describeMessage(name: string, schema: TSchema, examples: readonly unknown[]): Json {
  const type = name === 'read' ? 'acknowledge' : name
  const duty = type in frameDuties ? frameDuties[type as keyof typeof frameDuties] : undefined
  const enters = typeof duty === 'string' ? `Log: ${duty}.` : `Log: \`${duty?.join('`, `') ?? ''}\`.`
  return {
    name,
    title: name,
    summary: duty === undefined ? descriptionOf(schema) : sentences[name],
    ...(duty === undefined ? {} : { description: enters }),
    contentType: 'application/json',
    payload: schema,
    ...(examples.length === 0 ? {} : { examples: examples.map((payload) => ({ payload })) }),
  }
}

const sentences: Readonly<Record<string, string>> = {
  subscribe: 'Follow an operation from an entry on.',
  unsubscribe: 'Follow it no longer.',
  post: 'Post a message.',
  acknowledge: 'Everything up to an entry has been stored by this device.',
  read: 'Messages have been read by this person.',
  grant: 'Give devices the keys of past epochs.',
  'grant-bad': 'Say that the key of an epoch does not open.',
  ping: 'Ask whether the service is there.',
}

/** Answers an operation that the service receives: directions are those of the service. */
function receiving(name: string): [string, Json] {
  const reply = (answers[name] ?? []).map((answer) => ({ $ref: `#/channels/live/messages/${answer}` }))
  return [
    `receive-${name}`,
    {
      action: 'receive',
      channel: { $ref: '#/channels/live' },
      summary: sentences[name],
      description: 'The service does what the frame asks for, or refuses it; not every accepted frame is answered.',
      messages: [{ $ref: `#/channels/live/messages/${name}` }],
      reply: { channel: { $ref: '#/channels/live' }, messages: reply },
    },
  ]
}

function sending(name: string): [string, Json] {
  return [
    `send-${name}`,
    {
      action: 'send',
      channel: { $ref: '#/channels/live' },
      summary: descriptionOf(serverFrames[name as keyof typeof serverFrames]),
      description: 'Sent in answer, or unasked while an operation is followed.',
      messages: [{ $ref: `#/channels/live/messages/${name}` }],
    },
  ]
}

const descriptionOf = (schema: TSchema) => (schema as { description?: string }).description

function readExamples(): Examples {
  return JSON.parse(readFileSync(new URL('frame-examples.json', import.meta.url), 'utf8')) as Examples
}
