import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { NotUtf8, readText } from '../protocol/index.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import { invocation, pathFromHere } from './invocation.ts'

/**
 * Reads a text file: UTF-8, with or without a byte order mark. Throws CommandFailure for other
 * bytes, with their place, and the error of the operating system where the file cannot be read.
 */
export async function readTextFile(path: string): Promise<string> {
  return textOf(await readFile(pathFromHere(path)), path)
}

/** Reads a text file at once, as `readTextFile` does. */
export function readTextFileNow(path: string): string {
  return textOf(readFileSync(pathFromHere(path)), path)
}

/** Reads standard input to its end, as `readTextFile` reads a file. */
export async function readStandardInput(): Promise<string> {
  return textOf(await buffer(invocation().input()), 'standard input')
}

function textOf(bytes: Uint8Array, name: string): string {
  try {
    return readText(bytes)
  } catch (error) {
    if (!(error instanceof NotUtf8)) throw error
    throw new CommandFailure(
      `${error.message} That is in ${name}: save it as UTF-8 and try again; nothing was done.`,
      exitCodes.failed,
      { place: error.place },
    )
  }
}
