import type { Command } from 'commander'
import type { MessageReadings, PersonActivity } from '../../client/index.ts'
import { localTime, sayTime } from '../../forms/index.ts'
import {
  auditedLog,
  idNamed,
  learnNames,
  messageNamed,
  sayWho,
  type AuditedLog,
  type LogOptions,
} from '../audited-log.ts'
import { asMember, type CommandDevice } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import {
  chooseOperation,
  inOperation,
  leaveOperation,
  openOperation,
  type OperationOptions,
} from '../followed-operation.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { findMessage, messageReference } from '../threads.ts'
import { counted } from '../words.ts'
import { instantIn, momentIn, sayPeriod } from '../zones.ts'

interface QuestionOptions extends OperationOptions {
  readonly justification?: string
}

interface MembersOptions extends QuestionOptions {
  readonly at: string
}

interface ActivityOptions extends QuestionOptions {
  readonly from?: string
  readonly to?: string
}

const why = [
  '--justification <why>',
  'why you look; the log records it (the purpose of the operation if not given)',
] as const

/** Adds the questions that auditors ask first, each with a command of its own. */
export function addQuestions(audit: Command): void {
  addWhoRead(audit)
  addMembers(audit)
  addActivity(audit)
}

/** The options of a question, with those that stand before its name. */
const withOuter = <T extends LogOptions>(command: Command): T => {
  const options = command.optsWithGlobals<T>()
  if (options.directory === true)
    throw new CommandFailure('This question is about an operation: leave out --directory.', exitCodes.usage)
  return options
}

function addWhoRead(audit: Command): void {
  inOperation(
    audit
      .command('who-read')
      .description('Who read a message, and when')
      .argument('<message>', 'its number, such as 49, or its id')
      .option(...why),
  )
    .addHelpText(
      'after',
      `
Auditors see the readings that the log holds. The organization of the sender and coordinators see who of the present members read the message. A device
tells the service what was read; the log has it at most ten seconds later.

Examples:
  $ cordon audit who-read 49
  $ cordon audit who-read 0198c9a2-0000-7000-8000-000000000000 --json`,
    )
    .action((word: string, _: unknown, command: Command) => {
      const options = withOuter<QuestionOptions>(command)
      return asMember(options, async (device) => {
        const { role } = await chooseOperation(device, options.operation)
        await (role === 'auditor' ? readingsInLog(device, word, options) : readingsOfMembers(device, word, options))
      })
    })
}

interface ReadingShown {
  readonly person: string
  readonly organization: string | undefined
  readonly how: 'read' | 'fetched'
  readonly at: string
  readonly index?: number
}

interface ReadMessage {
  readonly message: string
  readonly posted: {
    readonly index: number
    readonly at: string
    readonly person: string
    readonly organization: string
  }
}

async function readingsInLog(device: CommandDevice, word: string, options: QuestionOptions): Promise<void> {
  const { audit } = device.client
  const asked = await auditedLog(device, options)
  const message = await messageNamed(device, asked, word)
  const found = await audit.readingsOf(asked.log, message, options.justification)
  learnNames(asked, found.names)
  tellReadings(device, asked, { message, posted: postedBy(found) }, found.readings)
}

function postedBy({ posted, message }: MessageReadings): ReadMessage['posted'] {
  if (posted === undefined || !('person' in posted.leaf.actor))
    throw new CommandFailure(`The log of this operation has no message ${message}.`)
  const { index, at, actor } = posted.leaf
  return { index, at, person: actor.person, organization: actor.organization }
}

async function readingsOfMembers(device: CommandDevice, word: string, options: QuestionOptions): Promise<void> {
  const asked = await auditedLog(device, options)
  const followed = await openOperation(device, options.operation)
  const { session } = followed
  const { id, index, at, person, organization } = findMessage(session.messages, word)
  const receipts = await session.receiptsOf(id)
  const readings = receipts
    .flatMap(({ person, organization, readAt }) =>
      readAt === undefined ? [] : [{ person, organization, how: 'read' as const, at: readAt }],
    )
    .sort((a, b) => (a.at < b.at ? -1 : 1))
  tellReadings(device, asked, { message: id, posted: { index, at, person, organization } }, readings)
  await leaveOperation(followed)
}

function tellReadings(
  { terminal }: CommandDevice,
  asked: AuditedLog,
  { message, posted }: ReadMessage,
  readings: readonly ReadingShown[],
): void {
  const { log, timeZone, title, names } = asked
  const local = (at: string) => localTime(new Date(at), timeZone)
  const named = (one: { readonly person: string; readonly organization: string | undefined }) => {
    const home = one.organization === undefined ? undefined : names.organizations[one.organization]
    return { name: names.people[one.person], organizationName: home }
  }
  const people = new Set(readings.map(({ person }) => person)).size
  const value = {
    operation: log,
    message,
    posted: { ...posted, ...named(posted) },
    readings: readings.map(({ person, organization, how, at, index }) => {
      return { person, organization, how, at, index, ...named({ person, organization }) }
    }),
  }
  terminal.result(value, () => [
    `Message ${messageReference(posted.index)} of ${title}`,
    `Id: ${message}`,
    `Posted: ${local(posted.at)} by ${sayWho(asked, posted.person, posted.organization)}`,
    readings.length === 0
      ? 'Read by nobody yet.'
      : `Read by ${counted(people, 'person', 'people')}, times of ${timeZone}:`,
    ...(readings.length === 0
      ? []
      : [
          '',
          ...table(
            ['time', 'how', 'entry', 'who'],
            readings.map(({ at, how, index, person, organization }) => [
              local(at),
              how,
              index === undefined ? '' : String(index),
              sayWho(asked, person, organization),
            ]),
          ),
        ]),
  ])
}

function addMembers(audit: Command): void {
  inOperation(
    audit
      .command('members')
      .description('Who was a member of an operation at a time')
      .requiredOption('--at <time>', 'a day (its end), or a day and a time, on the clocks of the operation')
      .option(...why),
  )
    .addHelpText(
      'after',
      `
The service reads the log up to that time as every client does. Coordinators and auditors see all members, contact points those of their organization,
others themselves. The log records the question.

Examples:
  $ cordon audit members --at 2026-03-01
  $ cordon audit members --at '2026-03-01 14:30' --json`,
    )
    .action((_: unknown, command: Command) => {
      const options = withOuter<MembersOptions>(command)
      return asMember(options, async (device) => {
        const asked = await auditedLog(device, options)
        const at = momentIn(asked.timeZone, options.at, '--at')
        await tellMembers(device, asked, at, options)
      })
    })
}

async function tellMembers(
  { client, terminal }: CommandDevice,
  asked: AuditedLog,
  at: Date,
  { justification }: MembersOptions,
): Promise<void> {
  const past = await client.audit.membersAt(asked.log, at.toISOString(), justification)
  const { size, state, members, organizations, compartments } = past
  const homes = new Map(organizations.map(({ organization, name }) => [organization, name]))
  const labels = new Map(compartments.map(({ compartment, name }) => [compartment, name]))
  const rows = members.map(({ person, name, organization, role, asleep, compartments: within }) => [
    homes.get(organization) ?? organization,
    name === '' ? person : name,
    asleep ? `${role}, asleep` : role,
    within.map((id) => labels.get(id) ?? id).join(', '),
  ])
  rows.sort(([a = '', b = ''], [c = '', d = '']) => a.localeCompare(c) || b.localeCompare(d))
  terminal.result({ operation: asked.log, at: at.toISOString(), ...past }, () => [
    `${asked.title} at ${sayTime(at, asked.timeZone)}`,
    state === null
      ? 'It did not exist yet.'
      : `${counted(members.length, 'member')}; ${state}; the log had ${counted(size, 'entry', 'entries')}.`,
    ...(rows.length === 0 ? [] : ['', ...table(['organization', 'person', 'role', 'compartments'], rows)]),
  ])
}

function addActivity(audit: Command): void {
  inOperation(
    audit
      .command('activity')
      .description('What the people of an organization did in a period')
      .argument('<organization>', 'its name or its id, also of an organization that has left')
      .option('--from <time>', 'from this day or time on, on the clocks of the operation')
      .option('--to <time>', 'up to the end of this day, or to this time')
      .option(...why),
  )
    .addHelpText(
      'after',
      `
Counts the entries of each person by kind, and the messages that the person read. Coordinators and auditors ask for any organization, contact points
for their own.

Example:
  $ cordon audit activity 'Kenya Revenue Authority' --from 2026-03-01 --to 2026-03-31`,
    )
    .action((word: string, _: unknown, command: Command) => {
      const options = withOuter<ActivityOptions>(command)
      return asMember(options, async (device) => {
        const asked = await auditedLog(device, options)
        const organization = await idNamed(device, asked, 'organization', word)
        await tellActivity(device, asked, organization, options)
      })
    })
}

async function tellActivity(
  { client, terminal }: CommandDevice,
  asked: AuditedLog,
  organization: string,
  { from: begin, to: end, justification }: ActivityOptions,
): Promise<void> {
  const { log, timeZone, title, names: known } = asked
  const from = begin === undefined ? undefined : instantIn(timeZone, begin, '--from')
  const to = end === undefined ? undefined : instantIn(timeZone, end, '--to', true)
  if ((from ?? to) !== undefined) terminal.note(sayPeriod(timeZone, from, to))
  const filters = { from, to, justification }
  const given = Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined))
  const { people, names } = await client.audit.activityOf(log, { organization, ...given })
  learnNames(asked, names)
  const named = people.map((one) => ({ ...one, name: known.people[one.person] }))
  const name = known.organizations[organization]
  const value = { operation: log, organization, name, from: from ?? null, to: to ?? null, people: named }
  terminal.result(value, () => [
    `${isolated(name ?? organization)} in ${title}`,
    people.length === 0
      ? 'Its people did nothing in this period.'
      : `${counted(people.length, 'person', 'people')}, times of ${timeZone}:`,
    ...people.flatMap((one) => ['', ...activityLines(asked, one)]),
  ])
}

function activityLines(asked: AuditedLog, { person, entries, kinds, first, last }: PersonActivity): string[] {
  const local = (at: string) => localTime(new Date(at), asked.timeZone)
  const rows = Object.entries(kinds)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([kind, count]) => ['', kind, String(count)])
  const [, ...lines] = table(['', '', ''], rows)
  return [
    `${sayWho(asked, person, undefined)}: ${counted(entries, 'act')}, ${local(first)} to ${local(last)}`,
    ...lines,
  ]
}
