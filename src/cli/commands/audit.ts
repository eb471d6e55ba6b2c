import { writeFile } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import type { EntryFilters, LogEntry } from '../../client/index.ts'
import { comparingForm, isPlace, localTime, placeRule } from '../../forms/index.ts'
import { kinds, kindsOf } from '../../protocol/index.ts'
import { addQuestions } from './audit-questions.ts'
import { auditedLog, idNamed, learnNames, messageNamed, type AuditedLog, type LogOptions } from '../audited-log.ts'
import { choose, idEnd, shortId } from '../choice.ts'
import { byteOrderMark, csvLine } from '../csv.ts'
import { asMember, type CommandDevice } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { entries, inOperation, type Names } from '../followed-operation.ts'
import { invocation, pathFromHere } from '../invocation.ts'
import { countOf } from '../numbers.ts'
import { table } from '../table.ts'
import { harmless, harmlessLine, isolated, type Progress } from '../terminal.ts'
import { messageReference, numberIn } from '../threads.ts'
import { counted } from '../words.ts'
import { instantIn, sayPeriod } from '../zones.ts'

interface Options extends LogOptions {
  readonly verbose?: true
  readonly kind?: readonly string[]
  readonly person?: string
  readonly organization?: string
  readonly device?: string
  readonly compartment?: string
  readonly message?: string
  readonly subject?: string
  readonly from?: string
  readonly to?: string
  readonly outcome?: 'done' | 'refused'
  readonly text?: string
  readonly justification?: string
  readonly limit?: string
  readonly csv?: true
  readonly evidence?: string
  readonly recipient?: string
  readonly legalBasis?: string
}

const entriesInTable = 100
const mostDetailsCharacters = 60

export function addAudit(command: Command): void {
  // The options of a question stand after its name.
  command.enablePositionalOptions()
  addQuestions(command)
  inOperation(
    command
      .option('--directory', 'the directory log of the service, for auditors of the platform')
      .option('-k, --kind <kind...>', 'kinds of entries: body.fetched, or member.* for all that begin so')
      .option('--person <person>', 'name or id of who caused it; another person than you takes a justification')
      .option('--organization <organization>', 'name or id of the organization that caused it')
      .option('--device <device>', 'id of the device that caused it')
      .option('--compartment <compartment>', 'name or id of the compartment')
      .option('--message <message>', 'entries about this message: its number, such as 49, or its id')
      .option(
        '--subject <subject>',
        'entries about another subject: the name or id of a person, an organization or a compartment; the id of another thing',
      )
      .option('--from <time>', 'from this day or time on, on the clocks of the operation')
      .option('--to <time>', 'up to the end of this day, or to this time')
      .addOption(
        new Option('--outcome <outcome>', 'acts that were done, or that were refused').choices(['done', 'refused']),
      )
      .option('--text <words>', 'whole words in the details, all of them; with --from or --person')
      .option('--justification <why>', 'why you look; the log records it (the purpose of the operation if not given)')
      .option(
        '--limit <n>',
        `at most so many; ${String(entriesInTable)} in a table, all with --json or --csv, if not given`,
      )
      .option('-v, --verbose', 'each entry on lines of its own, with its whole details')
      .option('--csv', 'comma-separated values, for spreadsheets')
      .option(
        '--evidence <file>',
        'write the entries as a bundle of evidence, with --recipient, --legal-basis and --justification',
      )
      .option('--recipient <who>', "the recipient: 'NAME, ORGANIZATION' or 'NAME, ORGANIZATION, COUNTRY'")
      .option('--legal-basis <ground>', 'the legal ground for giving it'),
  )
    .addHelpText(
      'after',
      `
The newest entries come first. The log records each page that is read, with the query and the reason. Coordinators and auditors query all entries
that their role sees, other members those that they or their organization caused. --json prints one JSON document for each entry, with all that verifies
it: the leaf as it is hashed, its details and their salt.

Examples:
  $ cordon audit --kind body.fetched --from 2026-03-01 --to 2026-03-31
  $ cordon audit --person 'Wanjiru Kamau' --justification 'complaint 2026/17' --kind 'message.*'
  $ cordon audit --message 49
  $ cordon audit --text 'passport renewal' --from 2026-03-01T08:00 --csv > audit.csv
  $ cordon audit --directory --outcome refused --from 2026-03-31 --json
  $ cordon audit --kind 'message.*' --from 2026-03-01 --to 2026-03-31 --evidence march.json --recipient 'A. Judge, Court of Appeal, KE' \\
      --legal-basis 'order 2026/118' --justification 'case 2026/118'`,
    )
    .action((options: Options) => {
      const limit = readLimit(options)
      requireForms(options)
      return asMember(options, async (device) => {
        const asked = await auditedLog(device, options)
        const filters = await filtersOf(device, asked, options)
        if ((filters.from ?? filters.to) !== undefined)
          device.terminal.note(sayPeriod(asked.timeZone, filters.from, filters.to))
        if (options.evidence !== undefined) return writeEvidence(device, asked, filters, options, options.evidence)
        const found = look(device, asked, filters, limit)
        await tell(device, asked, options, found)
      })
    })
}

function readLimit({ limit, csv, json }: Options): number {
  if (limit === undefined) return csv === true || json === true ? Number.POSITIVE_INFINITY : entriesInTable
  return countOf('--limit', limit)
}

/**
 * Refuses values that no log can hold, before the store is opened and before the log records a
 * query.
 */
function requireForms({ kind, device, message, csv, json, evidence, recipient, legalBasis }: Options): void {
  if (csv === true && json === true) throw new CommandFailure('Choose one of --csv and --json.', exitCodes.usage)
  if (evidence === undefined && (recipient ?? legalBasis) !== undefined)
    throw new CommandFailure('--recipient and --legal-basis belong to --evidence FILE.', exitCodes.usage)
  for (const pattern of kind ?? []) {
    if (kindsOf(pattern).length > 0) continue
    const [about = ''] = pattern.split('.')
    const near = kindsOf(`${about}.*`)
    const families = [...new Set(kinds.map((one) => `${one.split('.')[0] ?? ''}.*`))]
    throw new CommandFailure(
      `There is no kind of entry ${JSON.stringify(pattern)}; there is ${(near.length > 0 ? near : families).join(', ')}.`,
      exitCodes.usage,
    )
  }
  if (device !== undefined && !/^[A-Za-z0-9_-]{43}$/.test(device))
    throw new CommandFailure(
      '--device is the id of a device, 43 letters and digits: cordon devices lists yours.',
      exitCodes.usage,
    )
  if (message !== undefined && (numberIn(message) ?? idEnd(message)) === undefined)
    throw new CommandFailure('--message is the number of a message, such as 49, or its id.', exitCodes.usage)
}

async function filtersOf(device: CommandDevice, asked: AuditedLog, options: Options): Promise<EntryFilters> {
  const { timeZone } = asked
  const { kind, subject, outcome, text, justification } = options
  const meant = async (what: 'person' | 'organization' | 'compartment') => {
    const word = options[what]
    return word === undefined ? undefined : idNamed(device, asked, what, word)
  }
  const from = options.from === undefined ? undefined : instantIn(timeZone, options.from, '--from')
  const to = options.to === undefined ? undefined : instantIn(timeZone, options.to, '--to', true)
  const filters = {
    kinds: kind,
    person: await meant('person'),
    organization: await meant('organization'),
    device: options.device,
    compartment: await meant('compartment'),
    message: options.message === undefined ? undefined : await messageNamed(device, asked, options.message),
    subject: subject === undefined ? undefined : subjectNamed(asked, subject),
    from,
    to,
    outcome,
    text,
    justification,
  }
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined))
}

/** The id of a subject that a word names; a word that is no name is the id or code itself. */
function subjectNamed({ names }: AuditedLog, word: string): string {
  const all = entries({ ...names.organizations, ...names.compartments, ...names.people })
  const isName = all.some(({ name }) => comparingForm(name) === comparingForm(word))
  return isName ? choose('subject', word, all).id : word
}

async function writeEvidence(
  { client, terminal }: CommandDevice,
  asked: AuditedLog,
  filters: EntryFilters,
  options: Options,
  file: string,
): Promise<void> {
  const { recipient, legalBasis, justification } = options
  if (recipient === undefined || legalBasis === undefined || justification === undefined)
    throw new CommandFailure(
      'Evidence leaves the group: name the recipient with --recipient, the ground with --legal-basis, and the reason with --justification. The log records all three.',
      exitCodes.usage,
    )
  const [name = '', organization = '', country, ...rest] = recipient.split(',').map((part) => part.trim())
  if (
    name === '' ||
    organization === '' ||
    rest.length > 0 ||
    (country !== undefined && !isPlace(country.toUpperCase()))
  )
    throw new CommandFailure(
      `--recipient is 'NAME, ORGANIZATION' or 'NAME, ORGANIZATION, COUNTRY'. ${placeRule}`,
      exitCodes.usage,
    )
  const disclosure = {
    justification,
    legalBasis,
    recipient: { name, organization, ...(country === undefined ? {} : { country: country.toUpperCase() }) },
  }
  const { text, verified } = await client.audit.evidence(asked.log, filters, disclosure)
  await writeFile(pathFromHere(file), text, { mode: 0o600, flag: 'wx' })
  const { entries, size, statements } = verified
  terminal.result({ file, log: asked.log, entries, size, statements }, () => [
    `Written and verified: ${counted(entries, 'entry', 'entries')} of ${harmlessLine(asked.title)} to ${file}, under a checkpoint of ${counted(size, 'entry', 'entries')}.`,
    'Give with it, by another way, the keys that `cordon log-keys` prints: with them the recipient checks it with cordon verify, or by hand as the file says.',
  ])
}

async function* look(
  { client, terminal }: CommandDevice,
  asked: AuditedLog,
  filters: EntryFilters,
  limit: number,
): AsyncGenerator<LogEntry> {
  let bar: Progress | undefined
  let count = 0
  try {
    for await (const { entries, next, range, names } of client.audit.pages(asked.log, filters, Math.min(limit, 500))) {
      learnNames(asked, names)
      // A progress bar would stand between the lines of a result that is shown line by line.
      if (!(terminal.json && invocation().out.isTTY)) bar ??= terminal.progress('Looking', range.past - range.first)
      for (const entry of entries) {
        yield entry
        if (++count >= limit) return
      }
      bar?.advance(range.past - (next ?? range.first))
    }
  } finally {
    bar?.stop()
  }
}

async function tell({ terminal }: CommandDevice, asked: AuditedLog, options: Options, found: AsyncIterable<LogEntry>) {
  const local = (at: string) => localTime(new Date(at), asked.timeZone)
  if (options.json === true) {
    for await (const { leaf, text, details, detailsText, salt } of found)
      terminal.result({ ...leaf, details, check: { leaf: text, details: detailsText, salt } }, () => [])
    return
  }
  if (options.csv === true) {
    terminal.say(byteOrderMark + csvLine(csvHead))
    for await (const entry of found) terminal.say(csvLine(csvCells(entry, asked, local)))
    return
  }
  const shown: LogEntry[] = []
  for await (const entry of found) {
    if (entry.leaf.kind.startsWith('message.')) asked.numbers.set(entry.leaf.subject, entry.leaf.index)
    shown.push(entry)
  }
  const more = shown.length === readLimit(options) ? '; there may be more: --limit' : ''
  terminal.result(undefined, () => [
    `${harmlessLine(asked.title)}: ${counted(shown.length, 'entry', 'entries')}, newest first, times of ${asked.timeZone}${more}`,
    ...(options.verbose === true || shown.length === 0
      ? shown.flatMap((entry) => ['', ...wholeEntry(entry, asked, local)])
      : [
          '',
          ...table(
            auditColumns,
            shown.map((entry) => tableCells(entry, asked, local)),
          ),
        ]),
  ])
}

const auditColumns = ['entry', 'time', 'kind', 'who', 'about', 'details']

function whoOf({ actor }: LogEntry['leaf'], { people, organizations }: Names) {
  if ('server' in actor) return { person: actor.server, organization: 'server' }
  const { person, organization } = actor
  return { person: people[person] ?? person, organization: organizations[organization] ?? organization }
}

function tableCells({ leaf, detailsText }: LogEntry, asked: AuditedLog, local: (at: string) => string): string[] {
  const { person, organization } = whoOf(leaf, asked.names)
  const details = [...(detailsText ?? '')]
  const short =
    details.length > mostDetailsCharacters ? `${details.slice(0, mostDetailsCharacters).join('')}…` : details.join('')
  return [
    String(leaf.index),
    local(leaf.at),
    leaf.kind,
    `${isolated(person)} (${isolated(organization)})`,
    nameIn(asked, leaf.subject, shortId),
    short,
  ]
}

/** An entry on lines of its own, with its details as they are. */
function wholeEntry({ leaf, details }: LogEntry, asked: AuditedLog, local: (at: string) => string): string[] {
  const { person, organization } = whoOf(leaf, asked.names)
  const text = details === undefined ? [] : harmless(JSON.stringify(details, null, 2)).split('\n')
  return [
    harmlessLine(`${String(leaf.index)}  ${local(leaf.at)}  ${leaf.kind}`),
    `  who    ${isolated(person)} (${isolated(organization)})`,
    ...(leaf.compartment === undefined ? [] : [`  in     ${isolated(nameIn(asked, leaf.compartment))}`]),
    `  about  ${isolated(nameIn(asked, leaf.subject))}${asked.numbers.has(leaf.subject) ? ` (${leaf.subject})` : ''}`,
    ...text.map((line) => `  ${line}`),
  ]
}

/** The name or the number of what an id stands for; otherwise the id, as `write` writes it. */
function nameIn({ names, numbers }: AuditedLog, id: string, write = (one: string) => one): string {
  const number = numbers.get(id)
  const reference = number === undefined ? undefined : messageReference(number)
  return names.people[id] ?? names.compartments[id] ?? names.organizations[id] ?? reference ?? write(id)
}

const csvHead = [
  'entry',
  'at',
  'local time',
  'kind',
  'person',
  'person id',
  'organization',
  'organization id',
  'device',
  'compartment',
  'subject',
  'digest',
  'details',
]

function csvCells({ leaf, detailsText }: LogEntry, { names }: AuditedLog, local: (at: string) => string): string[] {
  const { person, organization } = whoOf(leaf, names)
  const ids = 'server' in leaf.actor ? { person: '', organization: '', device: '' } : leaf.actor
  return [
    String(leaf.index),
    leaf.at,
    local(leaf.at),
    leaf.kind,
    person,
    ids.person,
    organization,
    ids.organization,
    ids.device,
    leaf.compartment ?? '',
    leaf.subject,
    leaf.digest ?? '',
    detailsText ?? '',
  ]
}
