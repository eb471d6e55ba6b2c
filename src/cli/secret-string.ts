import { CommandFailure, exitCodes } from './failures.ts'
import type { Terminal } from './terminal.ts'
import { readStandardInput } from './text-input.ts'

/**
 * A string that a person was given in secret, such as an invitation: the argument, where there is
 * one; otherwise the terminal asks, or standard input has it. As an argument it stays in the
 * history of the shell, and in the list of processes as long as the command runs. Throws
 * CommandFailure where there is none.
 */
export async function secretString(terminal: Terminal, given: string | undefined, what: string): Promise<string> {
  if (given !== undefined && given !== '-') return given.trim()
  const asks = given === undefined && terminal.interactive
  const text = asks ? await terminal.askSecret(`${what} (not shown): `) : await readStandardInput()
  if (text.trim() === '')
    throw new CommandFailure(
      `${what} is missing: run this on a terminal, or give it on standard input.`,
      exitCodes.usage,
    )
  return text.trim()
}
