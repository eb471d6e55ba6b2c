import { Type, type TSchema } from 'typebox'
import { maximalLeafBytes } from './entry.ts'
import { Receipt, type ServerFrame } from './frames.ts'
import { LogGap } from './gap.ts'
import { limits } from './message.ts'

const exactly = { additionalProperties: false }
const uuid = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' })
const digest = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
const index = (description: string) => Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description })
const epoch = Type.Integer({ minimum: 1, maximum: 1_000_000 })
const text = (maxLength: number, description: string) => Type.String({ maxLength, description })
const time = Type.String({ maxLength: 24, description: 'RFC 3339, of the service.' })
const frame = <T extends string>(name: T) => ({ type: Type.Literal(name) })

const Problem = Type.Object(
  {
    type: text(100, 'The code as a URN.'),
    title: text(200, 'The problem in general.'),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: text(50, 'Stable; decide by it.'),
    detail: Type.Optional(text(1_000, 'The problem in this case.')),
    advice: text(300, 'The advice: what to do.'),
  },
  { additionalProperties: true, description: 'RFC 9457' },
)

const grants = Type.Array(Type.Object({ epoch, grant: text(4_096, 'Sealed to this device.') }, exactly))

/** The frames that the service sends over the live channel, by `type`. */
export const serverFrames = {
  entry: Type.Object(
    {
      ...frame('entry'),
      operation: uuid,
      index: index('The index of the entry in the log of the operation.'),
      leaf: text(maximalLeafBytes, 'The leaf, as it is hashed.'),
      statement: Type.Optional(text(limits.memberStatement, 'The statement that `digest` of the leaf names.')),
      body: Type.Optional(text(limits.body, 'The sealed body of a message.')),
      extract: Type.Optional(text(128 * 1024, 'The extract of a message, which is not sealed.')),
      salt: Type.Optional(digest),
      chain: Type.Optional(Type.Array(text(limits.statement, 'A certificate.'), { maxItems: 17 })),
      grant: Type.Optional(text(4_096, 'With an epoch: its key, sealed to this device.')),
    },
    {
      ...exactly,
      description:
        'An entry of the log, with the statement and the body to which it commits, as far as this reader may see them.',
    },
  ),
  'caught-up': Type.Object(
    {
      ...frame('caught-up'),
      operation: uuid,
      index: index('The index of the last entry that was sent or left out.'),
      checkpoint: text(10_000, 'A signed note (C2SP tlog-checkpoint).'),
      consistency: Type.Optional(Type.Array(digest, { maxItems: 64 })),
      gap: Type.Optional(LogGap),
    },
    { ...exactly, description: 'All entries that the log had at the subscription have been sent.' },
  ),
  accepted: Type.Object(
    { ...frame('accepted'), id: uuid, receipt: Receipt },
    { ...exactly, description: 'A message has its place in the log.' },
  ),
  refused: Type.Object(
    {
      ...frame('refused'),
      id: Type.Optional(text(64, 'The id of the message, as its statement has it.')),
      problem: Problem,
    },
    { ...exactly, description: 'The service refused the request of a frame.' },
  ),
  receipts: Type.Object(
    {
      ...frame('receipts'),
      operation: uuid,
      receipts: Type.Array(
        Type.Object(
          {
            message: uuid,
            person: uuid,
            organization: uuid,
            deliveredAt: Type.Optional(time),
            readAt: Type.Optional(time),
          },
          exactly,
        ),
      ),
    },
    { ...exactly, description: 'The readers of messages of this reader’s organization.' },
  ),
  granted: Type.Object(
    { ...frame('granted'), operation: uuid, compartment: uuid, grants },
    { ...exactly, description: 'Keys that a member gave this device.' },
  ),
  'grant-wanted': Type.Object(
    {
      ...frame('grant-wanted'),
      operation: uuid,
      requests: Type.Array(Type.Object({ compartment: uuid, device: digest, epochs: Type.Array(epoch) }, exactly)),
    },
    { ...exactly, description: 'Devices that lack keys which the receiving device could give.' },
  ),
  'epoch-stale': Type.Object(
    { ...frame('epoch-stale'), operation: uuid, compartment: uuid },
    { ...exactly, description: 'The key of a compartment has to be renewed before the next post in it.' },
  ),
  ended: Type.Object(
    {
      ...frame('ended'),
      operation: uuid,
      reason: Type.Union([
        Type.Literal('removed'),
        Type.Literal('unsubscribed'),
        Type.Literal('not-found'),
        Type.Literal('read-only'),
      ]),
    },
    { ...exactly, description: 'No further frame of this operation comes over this socket.' },
  ),
  pong: Type.Object({ ...frame('pong') }, { ...exactly, description: 'The answer to `ping`.' }),
  closing: Type.Object(
    { ...frame('closing'), reason: text(100, 'For people.') },
    { ...exactly, description: 'The service stops: connect again a little later.' },
  ),
} as const satisfies Record<ServerFrame['type'], TSchema>
