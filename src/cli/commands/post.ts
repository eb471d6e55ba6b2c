import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Draft, Message } from '../../client/index.ts'
import { forms, relations, type FormId, type Relation } from '../../forms/index.ts'
import { beMember, onDevice, type CommandDevice } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import type { WrittenForm } from '../form-questions.ts'
import { readJson } from '../json-text.ts'
import { askingWriter, writerOf, type MessageWriter, readingWriter } from '../message-writer.ts'
import { orKeep, type OfflineOperation } from '../offline-operation.ts'
import {
  inOperation,
  leaveOperation,
  openOperation,
  organizationIn,
  type FollowedOperation,
  type OperationOptions,
} from '../followed-operation.ts'
import { isolated } from '../terminal.ts'
import { readStandardInput, readTextFile } from '../text-input.ts'
import { findMessage, messageReference, threadReference } from '../threads.ts'
import { timesIn } from '../words.ts'
import { aheadIn, deadlineIn } from '../zones.ts'
import { findCompartment } from './compartment.ts'

interface Options extends OperationOptions {
  readonly form?: string
  readonly fields?: string
  readonly subject?: string
  readonly compartment?: string
  readonly to?: readonly string[]
  readonly precedence: 'routine' | 'priority' | 'urgent'
  readonly tlp?: Tlp
  readonly replyTo?: string
  readonly as?: Relation
  readonly replyBy?: string
  readonly yes?: true
}

type Tlp = NonNullable<Draft['handling']>['tlp']

const tlps = ['RED', 'AMBER+STRICT', 'AMBER', 'GREEN', 'CLEAR']

function tlpMeant(word: string): string {
  const tlp = word.toUpperCase().replace(/^TLP:/, '')
  if (tlps.includes(tlp)) return tlp
  throw new InvalidArgumentError(`Allowed choices are ${tlps.join(', ')}.`)
}

export function addPost(command: Command): void {
  inOperation(
    command
      .argument('[text]', 'the text, for the form text; read from standard input where it is not given')
      .addOption(
        new Option('--form <form>', 'text, or the form that the terminal asks or --fields fills').choices([
          ...new Set(forms.map(({ id }) => id)),
        ]),
      )
      .option(
        '--fields <file>',
        'JSON file with the fields of the form (cordon form FORM --template); - for standard input',
      )
      .option('--subject <subject>', 'subject line')
      .option('--compartment <compartment>', 'the compartment of the message; the compartment all if not given')
      .option('--to <organization...>', 'organizations that it is addressed to')
      .addOption(
        new Option('--precedence <precedence>', 'how urgent it is')
          .choices(['routine', 'priority', 'urgent'])
          .default('routine'),
      )
      .addOption(new Option('--tlp <tlp>', 'how it may be handed on (AMBER)').choices(tlps).argParser(tlpMeant))
      .option(
        '--reply-to <message>',
        'the message that it answers, such as 41; @41 stands for the first message of a thread',
      )
      .addOption(new Option('--as <relation>', 'the relation to that message').choices([...relations]))
      .option(
        '--reply-by <time>',
        'when an answer is due: a day, to its end, or a time, on the clocks of the operation',
      )
      .option('--yes', 'do not ask before sending a form, or a TLP:RED message'),
  )
    .addHelpText(
      'after',
      `
On a terminal a form is asked field by field, and shown with its readers before it is sent. What is not sent yet is kept in the store, sealed.

A message is sent once its receipt proves its place in the log. Until then the store keeps it, and the next command sends it.

Examples:
  $ cordon post 'Container seen at the terminal, unopened.' --reply-to 41
  $ cordon post --form seizure
  $ cordon post --form seizure --fields seizure.json
  $ cordon post --form warning --subject 'Scales in timber' \\
      --to 'Hong Kong Customs' --precedence urgent
  $ cordon post --reply-to 41 --as withdrawal 'Entered twice.'`,
    )
    .action((text: string | undefined, options: Options) => {
      const { form = 'text', replyBy } = options
      if (form !== 'text' && text !== undefined)
        throw new CommandFailure(
          `The form ${form} takes no text: a terminal asks its fields, or --fields has them. cordon form ${form} --template writes a file to fill in.`,
          exitCodes.usage,
        )
      if (text !== undefined && options.fields !== undefined)
        throw new CommandFailure('Give a text or --fields, not both.', exitCodes.usage)
      if (options.as !== undefined && options.replyTo === undefined)
        throw new CommandFailure(
          '--as names the relation to another message: name that message with --reply-to.',
          exitCodes.usage,
        )
      // What no clock shows is refused before the store is opened; the clocks of the operation are
      // known after that.
      if (replyBy !== undefined) deadlineIn('UTC', replyBy, '--reply-by')
      return onDevice(options, async (device) => {
        const writer = await writerFor(device, form, text, options)
        const send = () => sendNow(device, form, writer, options)
        try {
          await orKeep(device, options.operation, send, (away) => draftAway(device, away, form, writer, options))
        } catch (error) {
          // The message is kept as one to send, whole.
          if (error instanceof CommandFailure && 'pending' in error.extra) await writer.sent()
          throw error
        }
      })
    })
}

async function sendNow(device: CommandDevice, form: string, writer: MessageWriter, options: Options): Promise<void> {
  await beMember(device)
  const followed = await openOperation(device, options.operation)
  const { session } = followed
  const { compartment } = options
  const inside = compartment === undefined ? undefined : await findCompartment(device, session.operation, compartment)
  const due = dueIn(device, followed, options)
  const place = { ...followed, operation: session.operation, messages: session.messages }
  const make = (written: WrittenForm) => draftOf(place, form, written, options, inside?.id, due)
  // A wrong addressee is told before somebody writes a message to them.
  make({ fields: {} })
  const written = await writer.write(place, make)
  if (written === undefined) {
    await leaveOperation(followed)
    return device.terminal.result({ operation: session.operation, message: null }, () => [
      'Nothing was sent. The answers are kept, sealed in the store.',
    ])
  }
  const draft = make(written)
  if (!writer.asks) await confirmRed(device, draft, followed, options)
  const posted = await device.patience.for(session.post(draft))
  await writer.sent()
  await leaveOperation(followed)
  const { message, thread, index, at } = posted
  const first = session.messages.find((one) => one.thread === thread)?.index ?? index
  device.terminal.result({ operation: session.operation, message, thread, index, at }, () => [
    `Sent as ${messageReference(index)} of ${isolated(followed.facts.reference)}, in the thread ${threadReference(first)}, ${timesIn(followed.facts.timeZone)(at)}; its receipt holds.`,
    ...(draft.addressees === undefined
      ? []
      : [`Addressed to ${draft.addressees.map((id) => isolated(followed.names.organizations[id] ?? id)).join(', ')}.`]),
  ])
}

/**
 * The draft where the service cannot be reached; undefined where it needs facts that only the
 * service has: a compartment, or the readers of a TLP:RED message.
 */
async function draftAway(
  device: CommandDevice,
  away: OfflineOperation,
  form: string,
  writer: MessageWriter,
  options: Options,
): Promise<Draft | undefined> {
  if (options.compartment !== undefined || options.tlp === 'RED') return undefined
  const due = dueIn(device, away, options)
  const make = (written: WrittenForm) => draftOf(away, form, written, options, undefined, due)
  const written = await writer.write(away, make)
  return written && make(written)
}

async function writerFor(
  device: CommandDevice,
  form: string,
  text: string | undefined,
  options: Options,
): Promise<MessageWriter> {
  const { terminal } = device
  if (options.fields !== undefined) {
    const path = options.fields
    const json = path === '-' ? await readStandardInput() : await readTextFile(path)
    const value = readJson(json, path === '-' ? 'standard input' : path, 'nothing was sent')
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return writerOf(value as Record<string, unknown>)
    throw new CommandFailure(`${path} holds no JSON object: write {"field": value, …}; nothing was sent.`)
  }
  if (form !== 'text' && terminal.interactive) return askingWriter(device, form as FormId, options)
  if (form !== 'text')
    throw new CommandFailure(
      `The form ${form} is asked field by field on a terminal; here, give its fields with --fields. cordon form ${form} --template writes a file to fill in.`,
      exitCodes.usage,
    )
  if (text !== undefined) return writerOf({ text })
  return readingWriter(async () => {
    if (terminal.interactive) terminal.note('Write the message; Ctrl-D on a line of its own ends it.')
    return (await readStandardInput()).trimEnd()
  })
}

/** The time by which an answer is due, which is said back before the message is sent. */
function dueIn(
  { terminal }: CommandDevice,
  { facts }: Pick<OfflineOperation, 'facts'>,
  { replyBy }: Options,
): Date | undefined {
  if (replyBy === undefined) return undefined
  const { at, said } = aheadIn(facts.timeZone, replyBy, '--reply-by')
  terminal.note(`An answer is due by ${said}.`)
  return at
}

function draftOf(
  followed: Pick<FollowedOperation, 'names'> & { readonly messages: readonly Message[] },
  form: string,
  written: WrittenForm,
  options: Options,
  compartment: string | undefined,
  replyBy: Date | undefined,
): Draft {
  const { to, precedence, tlp } = options
  const { fields, subject = options.subject, replyTo = options.replyTo } = written
  const target = replyTo === undefined ? undefined : findMessage(followed.messages, replyTo)
  return {
    form,
    fields,
    precedence,
    ...(subject === undefined ? {} : { subject }),
    ...(to === undefined ? {} : { addressees: to.map((word) => organizationIn(followed, word).id) }),
    ...(tlp === undefined ? {} : { handling: { tlp } }),
    ...(replyBy === undefined ? {} : { replyBy }),
    ...(compartment === undefined ? {} : { compartment }),
    ...(target === undefined ? {} : answering(target, form, options.as)),
  }
}

function answering(target: Message, form: string, as: Relation = form === 'feedback' ? 'feedback' : 'reply') {
  const { id, thread, compartment } = target
  return { thread, compartment, refersTo: { message: id, as } }
}

/** Shows the readers of a TLP:RED message by name, and asks whether to send it to them. */
async function confirmRed(
  { client, terminal }: CommandDevice,
  draft: Draft,
  { session, names }: FollowedOperation,
  { yes }: Options,
): Promise<void> {
  if (draft.handling?.tlp !== 'RED' || yes === true) return
  if (!terminal.interactive)
    throw new CommandFailure('A TLP:RED message asks who reads it: add --yes.', exitCodes.usage)
  const id = draft.compartment ?? session.operation
  const compartment = (await client.operations.compartments(session.operation)).find((one) => one.compartment === id)
  const readers = (compartment?.members ?? []).map((person) => names.people[person] ?? person)
  terminal.note(`These read it: ${readers.map(isolated).join(', ')}.`)
  if (!/^y(es)?$/i.test((await terminal.ask('Send it to them? (yes/no) ')).trim()))
    throw new CommandFailure('Nothing was sent.')
}
