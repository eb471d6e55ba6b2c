import { CommandFailure, exitCodes } from './failures.ts'

/**
 * Refuses words of a command line that were no UTF-8. Node has put U+FFFD where the bytes were
 * wrong, and nobody could tell later what they meant. Throws CommandFailure.
 */
export function requireWholeWords(words: readonly string[]): void {
  const broken = words.find((word) => word.includes('\uFFFD'))
  if (broken === undefined) return
  throw new CommandFailure(
    `${JSON.stringify(broken)} was not given in UTF-8 (U+FFFD stands for what is lost): set the terminal to UTF-8, or give the text in a file.`,
    exitCodes.usage,
  )
}
