import { keptMessages, type EntryFilters, type NamesShown } from '../client/index.ts'
import { choose, idEnd, idOf } from './choice.ts'
import type { CommandDevice } from './device.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import { chooseOperation, entries as named, knownOperation, type OperationOptions } from './followed-operation.ts'
import { isolated } from './terminal.ts'
import { numberIn } from './threads.ts'

export interface LogOptions extends OperationOptions {
  readonly directory?: true
}

/** The log of a query, with the names and the time zone for its entries. */
export interface AuditedLog {
  readonly log: string
  readonly title: string
  readonly timeZone: string
  /** Names by id. Pages of the log add the names of people and organizations that have left. */
  readonly names: Readonly<Record<'organizations' | 'people' | 'compartments', Record<string, string>>>
  /** The numbers of messages by id, as far as this device or a page of the log shows them. */
  readonly numbers: Map<string, number>
}

/** The kinds of entries whose pages bring the names of all who ever belonged. */
const admissions = ['member.admitted', 'operation.organization-admitted']
const registrations = ['person.registered', 'person.invited', 'organization.registered']

const directoryTitle = 'The directory'

/** The log that the options name: the directory, or that of an operation. Throws CommandFailure. */
export async function auditedLog(device: CommandDevice, options: LogOptions): Promise<AuditedLog> {
  const { client } = device
  if (options.directory === true) {
    if (options.operation !== undefined)
      throw new CommandFailure('Choose one of --directory and --operation.', exitCodes.usage)
    const names = { organizations: {}, people: {}, compartments: {} }
    return { log: await client.audit.directory(), title: directoryTitle, timeZone: 'UTC', names, numbers: new Map() }
  }
  const { operation, name, reference, timeZone } = await chooseOperation(device, options.operation)
  const known = (await knownOperation(device, operation))?.names
  const [organizations, people, compartments] = await Promise.all([
    client.operations.organizations(operation),
    client.operations.members(operation),
    client.operations.compartments(operation),
  ])
  const byId = (pairs: readonly (readonly [string, string])[]) => Object.fromEntries(pairs)
  const names = {
    organizations: { ...known?.organizations, ...byId(organizations.map((one) => [one.organization, one.name])) },
    people: { ...known?.people, ...byId(people.map((one) => [one.person, one.name])) },
    compartments: byId(compartments.map((one) => [one.compartment, one.name])),
  }
  const numbers = new Map((await keptMessages(device.store, operation)).map(({ id, index }) => [id, index]))
  return { log: operation, title: `${isolated(name)} (${isolated(reference)})`, timeZone, names, numbers }
}

/** Adds the names that came with a page of the log. */
export function learnNames({ names }: AuditedLog, { people, organizations }: NamesShown): void {
  for (const { person, name } of people) names.people[person] = name
  for (const { organization, name } of organizations) names.organizations[organization] = name
}

/**
 * The id of the person, organization or compartment that a word names. Where the word names none
 * that is there now, the log is asked for the names of all who ever were. Throws CommandFailure.
 */
export async function idNamed(
  device: CommandDevice,
  asked: AuditedLog,
  what: 'person' | 'organization' | 'compartment',
  word: string,
): Promise<string> {
  const id = idOf(word)
  if (id !== undefined) return id
  const known = { person: asked.names.people, organization: asked.names.organizations }
  const among = what === 'compartment' ? asked.names.compartments : known[what]
  try {
    return choose(what, word, named(among)).id
  } catch (failure) {
    if (!(failure instanceof CommandFailure) || what === 'compartment') throw failure
    const kinds = asked.title === directoryTitle ? registrations : admissions
    const filters: EntryFilters = { kinds }
    for await (const page of device.client.audit.pages(asked.log, filters)) learnNames(asked, page.names)
    return choose(what, word, named(among)).id
  }
}

/**
 * The id of the message that a word names: by its number in the log, by its id or the end of it.
 * Throws CommandFailure.
 */
export async function messageNamed({ client }: CommandDevice, asked: AuditedLog, word: string): Promise<string> {
  const number = numberIn(word)
  const known = [...asked.numbers].find(([, index]) => index === number)?.[0]
  const id = known ?? (number === undefined ? idOf(word) : await client.audit.messageAt(asked.log, number))
  if (id !== undefined) return id
  if (number !== undefined)
    throw new CommandFailure(
      `Entry ${String(number)} of this log posted no message: \`cordon audit --kind 'message.*'\` lists the messages.`,
      exitCodes.usage,
    )
  const end = idEnd(word)
  const [only, second] = end === undefined ? [] : [...asked.numbers.keys()].filter((one) => one.endsWith(end))
  if (only !== undefined && second === undefined) return only
  throw new CommandFailure(`${JSON.stringify(word)} is no message: give its number or its id.`, exitCodes.usage)
}

/** Who: the name of a person with that of the organization; ids where no name is known. */
export function sayWho({ names }: AuditedLog, person: string, organization: string | undefined): string {
  const home = organization === undefined ? '' : ` (${isolated(names.organizations[organization] ?? organization)})`
  return `${isolated(names.people[person] ?? person)}${home}`
}
