import { createInterface } from 'node:readline'
import progress from 'cli-progress'

/** What a person sees: plain lines, tables, a bar where something takes longer than a second. */
export interface Terminal {
  /** `--json`: one JSON document on standard output, everything else on standard error. */
  readonly json: boolean
  readonly interactive: boolean
  /** Whether a person looks at the result. */
  readonly shown: boolean
  say(line: string): void
  /** The result of a command: the value where `--json` was given, else its lines. */
  result(value: unknown, lines: () => readonly string[]): void
  warn(line: string): void
  /** Something beside the result, made harmless; on standard error. */
  note(line: string): void
  ask(question: string): Promise<string>
  /** Reads without showing what is typed. */
  askSecret(question: string): Promise<string>
  progress(what: string, total: number): Progress
}

export interface Progress {
  advance(done: number): void
  stop(): void
}

const barAfterMs = 1_000

/** A person pressed Ctrl-C, or the process was asked to end. */
export class Interrupted extends Error {
  constructor() {
    super('Interrupted.')
    this.name = 'Interrupted'
  }
}

/**
 * Text that came from somebody else, made harmless for a terminal: control characters, escape
 * sequences and marks that turn the direction of writing are shown, not obeyed. Line breaks and
 * tabs stay.
 */
export function harmless(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    escaped,
  )
}

/** The same for text that must stay on one line. */
export function harmlessLine(text: string): string {
  return harmless(text).replace(/[\n\t]/g, escaped)
}

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
      // Escapes are JSON's own: what is read back is the same text.
      if (options.json) out.write(`${harmless(JSON.stringify(value))}\n`)
      else for (const line of lines()) out.write(`${line}\n`)
    },
    warn: (line) => void notes.write(`${line}\n`),
    note: (line) => void notes.write(`${harmless(line)}\n`),
    ask: (question) => read(question, false),
    askSecret: (question) => read(question, true),
    progress: (what, total) => openProgress(what, total, notes),
  }
}

async function read(question: string, secret: boolean): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: process.stdin.isTTY })
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once('close', () => reject(new Interrupted()))
      reader.once('SIGINT', () => reader.close())
      reader.question(question, resolve)
      // What is typed after the question has been written is not echoed.
      if (secret) (reader as unknown as { _writeToOutput: (text: string) => void })._writeToOutput = () => {}
    })
  } finally {
    reader.close()
    if (secret) process.stderr.write('\n')
  }
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

/** Columns as wide as their widest cell, two spaces between; cells are made harmless. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [head, ...rows].map((row) => row.map(harmlessLine))
  const widths = head.map((_, i) => Math.max(...cells.map((row) => [...(row[i] ?? '')].length)))
  return cells.map((row) =>
    row
      .map((cell, i) => cell + ' '.repeat(Math.max(0, (widths[i] ?? 0) - [...cell].length)))
      .join('  ')
      .trimEnd(),
  )
}
