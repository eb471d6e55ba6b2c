import progress from 'cli-progress'
import type { HowToAsk } from './asking.ts'
import { invocation, type Output } from './invocation.ts'
import { wrapLine } from './wrapped-lines.ts'

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
  /** Reads a line; `how` may let it be several pasted lines, or a step back. */
  ask(question: string, how?: HowToAsk): Promise<string>
  /** Reads a line without showing it. */
  askSecret(question: string): Promise<string>
  progress(what: string, total: number): Progress
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
  const { out, notes, interactive } = invocation()
  return {
    json: options.json,
    interactive,
    shown: !options.json && out.isTTY,
    say: (line) => void (options.json ? notes : out).write(`${line}\n`),
    result(value, lines) {
      // The escapes are valid JSON: a parser gets the original text.
      if (options.json) out.write(`${harmless(JSON.stringify(value))}\n`)
      else for (const line of lines()) write(out, line)
    },
    warn: (line) => void notes.write(`${line}\n`),
    note: (line) => write(notes, harmless(line)),
    ask: (question, how = {}) => read(question, how),
    askSecret: (question) => read(question, { secret: true }),
    progress: (what, total) => openProgress(what, total, notes),
  }
}

/** Writes a line; to a terminal in lines that it does not break inside words. */
function write(output: Output, line: string): void {
  const lines = output.isTTY && output.columns !== undefined ? wrapLine(line, output.columns) : [line]
  for (const part of lines) output.write(`${part}\n`)
}

async function read(question: string, how: HowToAsk): Promise<string> {
  const text = await invocation().ask(question, how)
  if (text.includes('\uFFFD')) throw new NotWhole()
  return text
}

function openProgress(what: string, total: number, stream: Output): Progress {
  if (!stream.isTTY) return { advance: () => {}, stop: () => {} }
  const bar = new progress.SingleBar(
    {
      format: `${what} {bar} {percentage} % | {value}/{total} | {eta_formatted} left`,
      // The library writes to the stream, and asks for its width and whether it is a terminal.
      stream: stream as NodeJS.WriteStream,
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
export function cellOf(cell: string): string {
  const outside = cell.split(isolates).filter((_, i) => i % 2 === 0)
  return outside.some((part) => fromRightToLeft.test(part)) ? isolated(cell) : harmlessLine(cell)
}

/** A text without the pairs of isolates that `isolated` sets. */
export const withoutIsolates = (text: string): string => text.replace(/[\u2068\u2069]/g, '')
