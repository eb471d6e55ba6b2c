import type { Command } from 'commander'
import { keptMessages, keptOperations, type Message } from '../../client/index.ts'
import { searchForm } from '../../forms/index.ts'
import { choose } from '../choice.ts'
import { onDevice, type CommandDevice } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import {
  inOperation,
  knownOperation,
  senderOf,
  type OperationOptions,
  type KnownOperation,
} from '../followed-operation.ts'
import { countOf } from '../numbers.ts'
import { table } from '../table.ts'
import { harmlessLine } from '../terminal.ts'
import { messageReference, subjectOf } from '../threads.ts'
import { counted, fieldLines, timesIn } from '../words.ts'

interface FoundMessage {
  readonly message: Message
  readonly known: KnownOperation
  readonly where: string
}

const charactersAround = 30
/** The fewest letters and digits of a number that is found in spite of blanks and hyphens in it. */
const fewestOfANumber = 6

export function addSearch(command: Command): void {
  inOperation(
    command
      .argument('<words...>', 'all of them must occur, in any order; case and accents do not matter')
      .option('--limit <n>', 'list at most so many', '40'),
  )
    .addHelpText(
      'after',
      "\nExamples:\n  $ cordon search pangolin mombasa\n  $ cordon search 'MSKU 123456 7' --operation HORIZON",
    )
    .action((words: string[], options: OperationOptions & { limit: string }) =>
      onDevice(options, async (device) => {
        const limit = countOf('--limit', options.limit)
        const wanted = words.flatMap((word) => searchForm(word).split(/\s+/)).filter((word) => word !== '')
        if (wanted.length === 0)
          throw new CommandFailure('Give words that show something: these are blanks.', exitCodes.usage)
        const found: FoundMessage[] = []
        for (const [operation, known] of await knownOperations(device, options.operation)) {
          for (const message of (await keptMessages(device.store, operation)).toReversed()) {
            const where = findIn(message, known, wanted)
            if (where !== undefined) found.push({ message, known, where })
          }
        }
        const listed = found.slice(0, limit)
        const value = listed.map(({ message, known, where }) => ({
          operation: message.operation,
          number: message.index,
          message: message.id,
          thread: message.thread,
          form: message.form,
          subject: subjectOf(message),
          from: senderOf(known.names, message).organization,
          at: message.at,
          where,
        }))
        device.terminal.result({ found: value, of: found.length }, () => [
          `${counted(found.length, 'message')} of those that this device has opened.`,
          ...(listed.length === 0 ? [] : ['', ...lines(listed)]),
          ...(found.length > listed.length
            ? ['', `${counted(found.length - listed.length, 'more')} not listed: --limit shows more.`]
            : []),
        ])
      }),
    )
}

async function knownOperations(device: CommandDevice, word: string | undefined): Promise<[string, KnownOperation][]> {
  const all: [string, KnownOperation][] = []
  for (const operation of await keptOperations(device.store)) {
    const known = await knownOperation(device, operation)
    if (known) all.push([operation, known])
  }
  if (word === undefined) return all
  const named = all.map(([id, { facts }]) => ({ id, name: facts.name, also: facts.reference }))
  const { id } = choose('operation', word, named)
  return all.filter(([operation]) => operation === id)
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

/** The words around the first match; undefined unless all wanted words occur. */
function findIn(message: Message, { names }: KnownOperation, wanted: readonly string[]): string | undefined {
  const { organization, person } = senderOf(names, message)
  const lines = [
    message.subject ?? '',
    ...fieldLines(message.form, message.version, message.fields),
    // As they were typed, because a line shows a mark of direction as its code.
    ...textsIn(message.fields),
    organization,
    person,
  ]
  const text = searchForm([...lines, message.form].join('\n'))
  if (!wanted.every((word) => has(text, word))) return undefined
  const line = lines.find((one) => has(searchForm(one), wanted[0] ?? '')) ?? ''
  const at = Math.max(0, searchForm(line).indexOf(wanted[0] ?? '') - charactersAround)
  return [...line]
    .slice(at, at + 2 * charactersAround)
    .join('')
    .trim()
}

/**
 * Whether a text has a word, both in the form in which words are looked for. The number of a
 * container or of a declaration is found however its parts are set apart.
 */
function has(text: string, word: string): boolean {
  if (text.includes(word)) return true
  const number = inOnePiece(word)
  return number.length >= fewestOfANumber && /\d/.test(number) && inOnePiece(text).includes(number)
}

const inOnePiece = (text: string) => text.replace(/[\s./_-]/g, '')

function lines(found: readonly FoundMessage[]): string[] {
  const several = new Set(found.map(({ message }) => message.operation)).size > 1
  const rows = found.map(({ message, known, where }) => [
    ...(several ? [known.facts.reference] : []),
    messageReference(message.index),
    subjectOf(message),
    senderOf(known.names, message).organization,
    timesIn(known.facts.timeZone)(message.at),
    harmlessLine(where),
  ])
  return table([...(several ? ['operation'] : []), 'message', 'subject', 'from', 'time', 'where'], rows)
}
