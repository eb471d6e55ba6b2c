import { existsSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { openLogKey, type Discrepancy, type Report } from '../log/index.ts'
import { verify, type VerifyInput } from '../main.ts'
import { hostOf, type LogKeys } from '../protocol/index.ts'
import { readLogKeys } from './log-keys.ts'
import { harmlessLine, type Progress, type Terminal } from './terminal.ts'
import { number } from './words.ts'

/** Verifies a database, with a bar for each log that takes longer. */
export async function verifyWithBars(terminal: Terminal, input: VerifyInput): Promise<Report> {
  const bars = new Map<string, Progress>()
  try {
    return await verify({
      ...input,
      progress({ log, done, size }) {
        const bar = bars.get(log) ?? terminal.progress(`Verifying ${log.slice(-8)}`, size)
        bars.set(log, bar)
        bar.advance(done)
        if (done >= size) bar.stop()
      },
    })
  } finally {
    for (const bar of bars.values()) bar.stop()
  }
}

const mostShown = 10

export function firstLines(discrepancies: readonly Discrepancy[]): string[] {
  const more = discrepancies.length - mostShown
  return [
    ...discrepancies
      .slice(0, mostShown)
      .map(({ log, index, what }) =>
        harmlessLine(`${log}${index === undefined ? '' : `, entry ${String(index)}`}: ${what}`),
      ),
    ...(more > 0 ? [`… and ${number(more)} more; --json lists them.`] : []),
  ]
}

/** Checkpoints that are held outside a database, as signed notes. */
export type HeldCheckpoints = { readonly log: string; readonly note: string }[]

/** The checkpoints in a directory: those that the service has written outside its database. */
export async function heldCheckpoints(directory: string): Promise<HeldCheckpoints> {
  const files = existsSync(directory) ? await readdir(directory) : []
  const logs = files.filter((file) => !file.endsWith('.next'))
  return Promise.all(logs.map(async (log) => ({ log, note: await readFile(join(directory, log), 'utf8') })))
}

/**
 * The keys that sign the checkpoints, and their host: from the file that was given, or from log.key
 * and the filed checkpoints.
 */
export async function logKeysFor(
  config: Config,
  held: HeldCheckpoints,
  given: string | undefined,
): Promise<{ keys: LogKeys; logHost: string }> {
  if (given !== undefined) {
    const { keys, host } = await readLogKeys(given)
    return { keys, logHost: host }
  }
  const { publicKeys } = openLogKey(config.logKeyFile, true)
  const origin = held[0]?.note.split('\n')[0]
  return { keys: publicKeys, logHost: (origin === undefined ? undefined : hostOf(origin)) ?? config.logHost }
}
