import { CommandFailure, exitCodes } from './failures.ts'
import type { Terminal } from './terminal.ts'

/** The option of every command that asks before an act that cannot be undone. */
export interface ConfirmationOptions {
  readonly yes?: true
}

/**
 * Says what will happen and asks the person. Answers whether the person agrees. Without a terminal,
 * --yes is needed: throws CommandFailure.
 */
export async function agreed(
  terminal: Terminal,
  { yes }: ConfirmationOptions,
  what: string,
  question: string,
): Promise<boolean> {
  terminal.note(what)
  if (yes === true) return true
  if (!terminal.interactive) throw new CommandFailure('This command cannot ask here: say --yes.', exitCodes.usage)
  return /^y(es)?$/i.test((await terminal.ask(`${question} (yes/no) `)).trim())
}
