import { may } from '../access.ts'
import type { Draft, Message, OperationSession } from '../client/index.ts'
import { inLanguage, mayRefer, newestForm, permissionsFor, type FormId, type Relation } from '../forms/index.ts'
import type { CompartmentId } from '../protocol/index.ts'
import type { CommandDevice } from './device.ts'
import { CommandFailure } from './failures.ts'
import type { KnownOperation, Names } from './followed-operation.ts'
import { FormInterview } from './form-interview.ts'
import { fieldsOfForm, type FormField } from './form-page.ts'
import type { WrittenForm } from './form-questions.ts'
import { invocation } from './invocation.ts'
import { harmlessLine, isolated } from './terminal.ts'
import { findMessage, messageReference } from './threads.ts'
import { counted, fieldLines, stateWords } from './words.ts'

/** The operation for which a message is written, also where the service is away. */
export interface WritingPlace extends KnownOperation {
  readonly operation: string
  readonly messages: readonly Message[]
  /** Not there where the service is away. */
  readonly session?: OperationSession
}

export interface WriterOptions {
  readonly subject?: string
  readonly replyTo?: string
  readonly as?: Relation
  readonly compartment?: string
  readonly tlp?: string
  readonly yes?: true
}

/** The content of a message: from a text, from a file, or from a person who is asked. */
export interface MessageWriter {
  /**
   * The content; undefined where the person does not want to send it. Asks once, however often it
   * is called. `draftOf` makes the draft, of which the person is shown who reads it.
   */
  write(place: WritingPlace, draftOf: (written: WrittenForm) => Draft): Promise<WrittenForm | undefined>
  /** Whether the person has seen who reads the message, and agreed. */
  readonly asks: boolean
  /** Forgets what was kept of an unfinished message, once the message is sent. */
  sent(): Promise<void>
}

/** A writer for fields that are there already. */
export function writerOf(fields: WrittenForm['fields']): MessageWriter {
  return { asks: false, write: () => Promise.resolve({ fields }), sent: () => Promise.resolve() }
}

/** A writer for a text that is read once the message has somewhere to go. */
export function readingWriter(read: () => Promise<string>): MessageWriter {
  let written: Promise<WrittenForm> | undefined
  const ask = async () => ({ fields: { text: await read() } })
  return { asks: false, write: () => (written ??= ask()), sent: () => Promise.resolve() }
}

/** A writer that asks a person on a terminal, field by field. */
export function askingWriter(device: CommandDevice, form: FormId, options: WriterOptions): MessageWriter {
  let interview: FormInterview | undefined
  let written: Promise<WrittenForm | undefined> | undefined
  const ask = async (place: WritingPlace, draftOf: (written: WrittenForm) => Draft) => {
    requireMaySend(place, form, options)
    interview = new FormInterview(
      device.terminal,
      device.store,
      await interviewPlace(device, place, form, options),
      form,
    )
    const asked = {
      subject: options.subject === undefined,
      reply: options.replyTo === undefined && !newestForm(form).standsAlone,
    }
    return interview.write(asked, async (one) => {
      for (const line of summaryOf(place, draftOf(one))) device.terminal.note(line)
      if (options.yes === true) return 'yes'
      return readAgreement(await device.terminal.ask('Send it? (yes/no; < goes back) ', { back: '<' }))
    })
  }
  return {
    asks: true,
    write: (place, draftOf) => (written ??= ask(place, draftOf)),
    sent: async () => interview?.forget(),
  }
}

function readAgreement(typed: string): string {
  const word = typed.trim().toLowerCase()
  return word === 'y' ? 'yes' : word
}

/** Refuses before the first question what the service would refuse after the last one. */
function requireMaySend({ facts }: WritingPlace, form: FormId, options: WriterOptions): void {
  const { as, replyTo, compartment, tlp } = options
  const { role, state, reference } = facts
  const relation = as ?? (form === 'feedback' ? 'feedback' : replyTo === undefined ? undefined : 'reply')
  const verdicts = permissionsFor(form, relation, relation === undefined, false).map((one) => may(role, one, state))
  const what = `a ${inLanguage(newestForm(form).title).toLowerCase()}`
  if (verdicts.some((verdict) => verdict.role === 'no'))
    throw new CommandFailure(
      `Your role in ${isolated(reference)} is ${role}, which may not send ${what}: ask a coordinator.`,
    )
  if (tlp === 'RED' && compartment === undefined && replyTo === undefined)
    throw new CommandFailure(
      'A TLP:RED message names its readers: name a compartment that is smaller than all with --compartment.',
    )
  if (verdicts.some((verdict) => !verdict.state))
    throw new CommandFailure(`${isolated(reference)} is ${stateWords[state]}: nobody can send ${what} now.`)
}

async function interviewPlace(
  device: CommandDevice,
  place: WritingPlace,
  form: FormId,
  { as, replyTo }: WriterOptions,
) {
  const { operation, facts, messages, session } = place
  const own = session && (await device.client.operations.organizations(operation))
  const country = own?.find(({ organization }) => organization === device.client.organization)?.country
  const today = new Intl.DateTimeFormat('en-CA', { timeZone: facts.timeZone }).format(new Date())
  const refuseReply = (word: string) => {
    try {
      const target = findMessage(messages, word)
      const relation = form === 'feedback' ? 'feedback' : 'reply'
      if (mayRefer(newestForm(form), relation, target.form as FormId)) return undefined
      return `Message ${messageReference(target.index)} is a ${target.form}, which a ${form} does not answer.`
    } catch (error) {
      if (error instanceof CommandFailure) return error.message
      throw error
    }
  }
  const target = replyTo === undefined ? undefined : findMessage(messages, replyTo).id
  return {
    operation,
    reference: facts.reference,
    timeZone: facts.timeZone,
    commandLine: harmlessLine(['cordon', ...invocation().words].map(asTyped).join(' ')),
    ...(target === undefined ? {} : { refersTo: `${as ?? 'answer'}-${target}` }),
    offered: { '/date': today, ...(country === undefined || country === null ? {} : { '/country': country }) },
    refuseReply,
  }
}

/** A word as a shell takes it. */
function asTyped(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** The message as it will be sent, what the service reads of it, and who reads all of it. */
function summaryOf(place: WritingPlace, draft: Draft): string[] {
  const { names } = place
  const form = newestForm(draft.form as FormId)
  const { subject, addressees, handling, precedence, refersTo } = draft
  const answered = refersTo && place.messages.find(({ id }) => id === refersTo.message)
  const clear = fieldsOfForm(form.id).flatMap((field) => clearIn(field, draft.fields[field.name]))
  return [
    '',
    ...(subject === undefined ? [] : [`Subject: ${harmlessLine(subject)}`]),
    ...fieldLines(form.id, form.version, draft.fields),
    '',
    `TLP:${handling?.tlp ?? 'AMBER'}, ${precedence ?? 'routine'}${answered === undefined ? '' : `, ${refersTo?.as ?? 'reply'} to ${messageReference(answered.index)}`}.`,
    ...(addressees === undefined ? [] : [`Addressed to ${listOf(addressees, names.organizations)}.`]),
    clear.length === 0
      ? 'The service reads nothing of it.'
      : `The service reads, for the figures: ${clear.join(', ')}.`,
    readersOf(place, draft),
  ]
}

function clearIn(field: FormField, value: unknown): string[] {
  if (value === undefined) return []
  if (field.parts.length === 0) return field.clear ? [field.label] : []
  const inside = (Array.isArray(value) ? value : [value]) as Record<string, unknown>[]
  const parts = field.parts.filter((part) => part.clear && inside.some((one) => one[part.name] !== undefined))
  return parts.map((part) => `${field.label} › ${part.label}`)
}

function readersOf({ session, facts, names, operation }: WritingPlace, draft: Draft): string {
  if (session === undefined) return 'It is sealed for the members that its compartment has when it is sent.'
  const compartment = (draft.compartment ?? operation) as CompartmentId
  const readers = [...session.view.members.values()].filter(({ person }) => session.view.reads(person, compartment))
  const homes = new Set(readers.map(({ organization }) => organization as string))
  const later = facts.history === 'full' ? ', and people who are admitted later' : ''
  return `${counted(readers.length, 'member')} of ${counted(homes.size, 'organization')} will read all of it${later}: ${listOf([...homes], names.organizations)}.`
}

const listOf = (ids: readonly string[], names: Names['organizations']) =>
  ids
    .map((id) => isolated(names[id] ?? id))
    .sort()
    .join(', ')
