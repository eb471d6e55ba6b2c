import { ProtocolError, parseLogKeys, type LogKeys } from '../protocol/index.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import { readTextFile } from './text-input.ts'

/**
 * Reads the verifier keys of a log from a file with one key per line. Any log of the host will do.
 * Throws CommandFailure.
 */
export async function readLogKeys(file: string): Promise<{ host: string; origin: string; keys: LogKeys }> {
  let text: string
  try {
    text = await readTextFile(file)
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    throw new CommandFailure(`The file of log keys ${file} cannot be read (${(error as Error).message}).`)
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  try {
    return await parseLogKeys(lines)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new CommandFailure(
      `${file} does not hold the keys of a log: ${error.message} Write it with \`cordon log-keys\`.`,
      exitCodes.usage,
    )
  }
}
