import { sayTime } from '../forms/index.ts'
import {
  ProtocolError,
  base64url,
  checkBody,
  demand,
  digestOf,
  readMessageStatement,
  verifyPortableReceipt,
  type Leaf,
  type MessageStatement,
} from '../protocol/index.ts'
import { failAtEnd } from './failures.ts'
import { harmlessLine, isolated, type Terminal } from './terminal.ts'
import { readBeside, type FileOptions, type FileTrust } from './file-trust.ts'
import { counted } from './words.ts'

const title: Partial<Record<Leaf['kind'], string>> = {
  'message.posted': 'a message was posted',
  'message.corrected': 'a correction of a message was posted',
  'message.withdrawn': 'a withdrawal of a message was posted',
}

type Verified = Awaited<ReturnType<typeof verifyPortableReceipt>>

/**
 * Verifies a receipt and says who posted what and when, and which witnesses cosigned. With the
 * signed statement, and the sealed body, also that they are those of the entry. What does not
 * verify is said in one sentence, and the exit code is 1.
 */
export async function showReceipt(
  { file, text }: { readonly file: string; readonly text: string },
  options: Pick<FileOptions, 'statement' | 'body'>,
  trust: FileTrust,
  terminal: Terminal,
): Promise<void> {
  const statementText =
    options.statement === undefined ? undefined : await readBeside(options.statement, 'The statement')
  const body = options.body === undefined ? undefined : await readBeside(options.body, 'The body')
  try {
    const verified = await verifyPortableReceipt(text, trust)
    const enough = trust.isEnough(verified.cosignatures.map(({ key }) => key))
    demand(enough, 'WITNESSES', `It lacks the cosignatures that you demand: ${trust.demanded ?? 'none'}.`)
    const statement = await checkContent(verified, statementText?.trimEnd(), body?.trimEnd())
    await tell({ verified, statement, trust, withBody: body !== undefined }, terminal)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    const value = { verified: false, file, reason: error.code, detail: error.message }
    terminal.result(value, () => [harmlessLine(`NOT verified: ${error.message}`)])
    failAtEnd()
  }
}

async function checkContent(
  { leaf }: Verified,
  text: string | undefined,
  body: string | undefined,
): Promise<MessageStatement | undefined> {
  demand(
    body === undefined || text !== undefined,
    'STATEMENT',
    'A body is checked by its statement: give --statement too.',
  )
  if (text === undefined) return undefined
  demand((await digestOf(text)) === leaf.digest, 'STATEMENT', 'The statement is another one than the entry commits to.')
  const statement = await readMessageStatement(text)
  if (body !== undefined) await checkBody(statement, body)
  return statement
}

interface Told {
  readonly verified: Verified
  readonly statement: MessageStatement | undefined
  readonly trust: FileTrust
  readonly withBody: boolean
}

async function tell({ verified, statement, trust, withBody }: Told, terminal: Terminal): Promise<void> {
  const { leaf, origin, size, root, strangers } = verified
  const known = await trust.known(leaf.log)
  const timeZone = known?.timeZone ?? 'UTC'
  const said = (at: Date) => sayTime(at, timeZone)
  const { actor } = leaf
  const who =
    'person' in actor
      ? {
          person: actor.person,
          name: known?.names.people[actor.person],
          organization: actor.organization,
          organizationName: known?.names.organizations[actor.organization],
          device: actor.device,
        }
      : { server: actor.server }
  const witnesses = cosignersOf(verified)
  const value = {
    verified: true,
    log: leaf.log,
    origin,
    index: leaf.index,
    kind: leaf.kind,
    at: leaf.at,
    who,
    about: leaf.subject,
    compartment: leaf.compartment ?? null,
    digest: leaf.digest ?? null,
    statement: statement?.payload ?? null,
    body: withBody,
    checkpoint: { size, root: base64url(root) },
    witnesses,
    strangers,
  }
  terminal.result(value, () => [
    `Verified: ${title[leaf.kind] ?? leaf.kind}, entry ${String(leaf.index)}.`,
    harmlessLine(`Log: ${origin}`),
    ...whoLines(who),
    `When: ${said(new Date(leaf.at))}`,
    harmlessLine(`What: ${leaf.subject}`),
    ...(leaf.digest === undefined ? [] : [`SHA-256 of its statement: ${leaf.digest}`]),
    ...(statement === undefined ? [] : statementLines(statement, said, withBody)),
    `Checkpoint: ${counted(size, 'entry', 'entries')}, signed by the two keys of the log.`,
    ...(witnesses.length === 0 ? ['Witnesses: none that you named cosigned it.'] : []),
    ...witnesses.map(({ name, at }) => harmlessLine(`Witness: ${name}, ${said(new Date(at))}`)),
    ...(strangers === 0 ? [] : [`${counted(strangers, 'signature')} of keys that you did not name: not checked.`]),
  ])
}

function whoLines(who: {
  readonly server?: string
  readonly person?: string
  readonly name?: string | undefined
  readonly organization?: string
  readonly organizationName?: string | undefined
  readonly device?: string
}): string[] {
  if (who.server !== undefined) return [`Who: the server ${isolated(who.server)}`]
  const { person = '', name, organization = '', organizationName, device = '' } = who
  return [
    ...(name === undefined ? [] : [`Who: ${isolated(name)} (${isolated(organizationName ?? organization)})`]),
    `Person: ${person}`,
    `Organization: ${organization}`,
    `Device: ${device}`,
  ]
}

function statementLines({ payload }: MessageStatement, said: (at: Date) => string, withBody: boolean): string[] {
  const { form, handling, sentAt, body } = payload
  return [
    harmlessLine(`Statement: form ${form.id}, TLP:${handling.tlp}, sent ${said(new Date(sentAt))}`),
    `Body: SHA-256 ${body.sha256}${withBody ? ', that of the body you gave' : ''}`,
  ]
}

/** Each witness once, with the time of its newest cosignature. */
function cosignersOf({ cosignatures }: Verified): { name: string; at: string }[] {
  const times = new Map<string, number>()
  for (const { key, timestamp } of cosignatures) times.set(key.name, Math.max(times.get(key.name) ?? 0, timestamp))
  return [...times].map(([name, seconds]) => ({ name, at: new Date(seconds * 1000).toISOString() }))
}
