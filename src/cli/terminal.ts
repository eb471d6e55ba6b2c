import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import progress from 'cli-progress'
import stringWidth from 'string-width'

/**
 * The output for a person: plain lines, tables, and a bar for work that takes longer than a second.
 */
export interface Terminal {
  /**
   * Whether --json was given: standard output then gets one JSON document and standard error the
   * rest.
   */
  readonly json: boolean
  readonly interactive: boolean
  /** Whether standard output is a terminal and --json was not given. */
  readonly shown: boolean
  say(line: string): void
  /** Writes the result of a command: the value with --json, its lines otherwise. */
  result(value: unknown, lines: () => readonly string[]): void
  warn(line: string): void
  /** Writes a line beside the result to standard error, made harmless. */
  note(line: string): void
  /** Reads a line; with `how`, as an answer of several lines that were pasted, or as a step back. */
  ask(question: string, how?: HowToAsk): Promise<string>
  /** Reads a line without showing it. */
  askSecret(question: string): Promise<string>
  progress(what: string, total: number): Progress
}

export interface HowToAsk {
  /** The answer that stands for Ctrl-Z. */
  readonly back: string
}

export interface Progress {
  advance(done: number): void
  stop(): void
}

/** The person typed, or a program sent, bytes that are no UTF-8. */
export class NotWhole extends Error {
  constructor() {
    super('What was typed is not UTF-8 (U+FFFD stands for what is lost): set the terminal to UTF-8 and try again.')
    this.name = 'NotWhole'
  }
}

const barAfterMs = 1_000
/** Milliseconds within which the next line of a pasted text comes. */
const pasteMs = 30

/** The person pressed Ctrl-C, or the process was asked to end. */
export class Interrupted extends Error {
  constructor() {
    super('Interrupted.')
    this.name = 'Interrupted'
  }
}

/**
 * Makes foreign text harmless for a terminal: control characters, escape sequences and marks that
 * turn the direction of writing become visible escapes. Line breaks and tabs stay.
 */
export function harmless(text: string): string {
  // Every second part stood between a pair of isolates and holds no other mark of direction: such a
  // pair turns nothing outside it, and stays.
  const parts = text.split(isolates)
  return parts.map((part, i) => (i % 2 === 0 ? withEscapes(part) : `\u2068${withEscapes(part)}\u2069`)).join('')
}

const isolates = /\u2068([^\u2028-\u202e\u2066-\u2069\n]*)\u2069/

function withEscapes(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    escaped,
  )
}

/**
 * Makes foreign text harmless and keeps it on one line: line breaks and tabs become visible
 * escapes, too.
 */
export function harmlessLine(text: string): string {
  return harmless(text).replace(/[\n\t]/g, escaped)
}

/**
 * A name inside a sentence. Where it has letters that are written from right to left, or marks of
 * direction, it stands between U+2068 and U+2069, so that it turns nothing around it (UAX 9). The
 * marks themselves become visible escapes.
 */
export function isolated(name: string): string {
  const line = harmlessLine(name.replace(/[\u2066-\u2069]/g, escaped))
  return fromRightToLeft.test(name) ? `\u2068${line}\u2069` : line
}

const fromRightToLeft =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}\p{Bidi_Control}]/u

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

export function openTerminal(options: { json: boolean }): Terminal {
  const out = process.stdout
  const notes = process.stderr
  const interactive = process.stdin.isTTY && notes.isTTY
  return {
    json: options.json,
    interactive,
    shown: !options.json && out.isTTY,
    say: (line) => void (options.json ? notes : out).write(`${line}\n`),
    result(value, lines) {
      // The escapes are valid JSON: a parser gets the original text.
      if (options.json) out.write(`${harmless(JSON.stringify(value))}\n`)
      else for (const line of lines()) out.write(`${line}\n`)
    },
    warn: (line) => void notes.write(`${line}\n`),
    note: (line) => void notes.write(`${harmless(line)}\n`),
    ask: (question, how) => read(question, false, how),
    askSecret: (question) => read(question, true),
    progress: (what, total) => openProgress(what, total, notes),
  }
}

async function read(question: string, secret: boolean, how?: HowToAsk): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: process.stdin.isTTY })
  const more: string[] = []
  // Those after the answer to the question; all lines of a pasted text come at once.
  reader.on('line', (next) => more.push(next))
  try {
    const line = await new Promise<string>((resolve, reject) => {
      reader.once('close', () => reject(new Interrupted()))
      reader.once('SIGINT', () => reader.close())
      if (how !== undefined) reader.once('SIGTSTP', () => resolve(how.back))
      reader.question(question, resolve)
      // The characters that the person types after the question are not echoed.
      if (secret) (reader as unknown as { _writeToOutput: (text: string) => void })._writeToOutput = () => {}
    })
    const text = how === undefined || line === how.back ? line : await wholePaste(reader, line, more)
    if (text.includes('\uFFFD')) throw new NotWhole()
    return text
  } finally {
    reader.close()
    if (secret) process.stderr.write('\n')
  }
}

/**
 * The text that was pasted with a line: its further lines come faster than a person types. Where
 * the last of them has no end yet, the person ends it.
 */
async function wholePaste(reader: Interface, line: string, more: readonly string[]): Promise<string> {
  for (let seen = -1; seen < more.length;) {
    seen = more.length
    await sleep(pasteMs)
    while (reader.line !== '') await Promise.race([once(reader, 'line'), closed(reader)])
  }
  return [line, ...more].join('\n')
}

/** Rejects once the person interrupts. */
async function closed(reader: Interface): Promise<never> {
  await once(reader, 'close')
  throw new Interrupted()
}

function openProgress(what: string, total: number, stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) return { advance: () => {}, stop: () => {} }
  const bar = new progress.SingleBar(
    {
      format: `${what} {bar} {percentage} % | {value}/{total} | {eta_formatted} left`,
      stream,
      etaBuffer: 50,
    },
    progress.Presets.shades_classic,
  )
  let shown = false
  let done = 0
  const timer = setTimeout(() => {
    shown = true
    bar.start(total, done)
  }, barAfterMs)
  return {
    advance(to) {
      done = to
      if (shown) bar.update(to)
    },
    stop() {
      clearTimeout(timer)
      if (shown) bar.stop()
    },
  }
}

/** A cell whose names stand isolated already stays; another one is isolated as a whole. */
function cellOf(cell: string): string {
  const outside = cell.split(isolates).filter((_, i) => i % 2 === 0)
  return outside.some((part) => fromRightToLeft.test(part)) ? isolated(cell) : harmlessLine(cell)
}

/**
 * Formats a table: each column as wide on the terminal as its widest cell, with two spaces between
 * (East Asian letters take two columns, combining marks and isolates none: UAX 11). Cells are made
 * harmless, and one that is written from right to left turns none beside it.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [head, ...rows].map((row) => row.map(cellOf))
  const widths = head.map((_, i) => Math.max(...cells.map((row) => stringWidth(row[i] ?? ''))))
  return cells.map((row) =>
    row
      .map((cell, i) => cell + ' '.repeat(Math.max(0, (widths[i] ?? 0) - stringWidth(cell))))
      .join('  ')
      .trimEnd(),
  )
}
