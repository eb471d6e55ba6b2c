import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

/** How a question is asked. */
export interface HowToAsk {
  /** Whether the answer is not shown. */
  readonly secret?: boolean
  /**
   * The answer that stands for Ctrl-Z. With it, the answer may have several lines that were pasted.
   */
  readonly back?: string
}

/** The person pressed Ctrl-C, or the process was asked to end. */
export class Interrupted extends Error {
  constructor() {
    super('Interrupted.')
    this.name = 'Interrupted'
  }
}

/** Milliseconds within which the next line of a pasted text comes. */
const pasteMs = 30

/** Asks at the terminal of this process. Rejects with Interrupted. */
export async function askOnTerminal(question: string, { secret = false, back }: HowToAsk): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: process.stdin.isTTY })
  const more: string[] = []
  // Those after the answer to the question; all lines of a pasted text come at once.
  reader.on('line', (next) => more.push(next))
  try {
    const line = await new Promise<string>((resolve, reject) => {
      reader.once('close', () => reject(new Interrupted()))
      reader.once('SIGINT', () => reader.close())
      if (back !== undefined) reader.once('SIGTSTP', () => resolve(back))
      reader.question(question, resolve)
      // The characters that the person types after the question are not echoed.
      if (secret) (reader as unknown as { _writeToOutput: (text: string) => void })._writeToOutput = () => {}
    })
    return back === undefined || line === back ? line : await wholePaste(reader, line, more)
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
