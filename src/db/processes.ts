import { readFileSync } from 'node:fs'
import { readFile, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../errors.ts'

const holderGoneWithinMs = 1_000

/**
 * Answers the ids of the processes whose working directory is `directory`, a postmaster and its
 * backends, from /proc.
 */
export async function processesIn(directory: string): Promise<number[]> {
  const wanted = await realpath(directory).catch(() => directory)
  const numbers = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    numbers.map(async (number) => {
      const cwd = await readlink(`/proc/${number}/cwd`).catch(() => undefined)
      return cwd === wanted ? Number(number) : undefined
    }),
  )
  return found.filter((pid) => pid !== undefined)
}

/** Sends a signal to a process that may be gone already. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * Waits until no process works in `directory`; answers false when some still do after `timeout`
 * milliseconds.
 */
export async function waitUntilEmpty(directory: string, timeout: number): Promise<boolean> {
  for (let waited = 0; ; waited += 20) {
    if ((await processesIn(directory)).length === 0) return true
    if (waited >= timeout) return false
    await sleep(20)
  }
}

// The system uses process numbers again; a number and the time of the start (clock ticks since
// boot) name one process. A process that has ended and was not yet collected by its parent counts
// as gone.
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

/**
 * Makes this process the only one that runs a database in a directory. A file of a process that is
 * gone counts for nothing. Answers the function that releases the directory. Problem
 * DATA_DIRECTORY_IN_USE names the other process.
 */
export async function holdDirectory(file: string, directory: string): Promise<() => Promise<void>> {
  const mine = `${process.pid} ${startOf(process.pid) ?? ''}`
  let holder = ''
  // A process that was just killed takes a moment to be gone.
  for (let waited = 0; waited < holderGoneWithinMs; waited += 50) {
    try {
      await writeFile(file, mine, { flag: 'wx', mode: 0o600 })
      return () => rm(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const [pid = '', start = ''] = (await readFile(file, 'utf8').catch(() => '')).split(' ')
    holder = pid
    const living = startOf(Number(pid))
    if (living !== undefined && living === start) await sleep(50)
    else await rm(file, { force: true })
  }
  throw new Problem('DATA_DIRECTORY_IN_USE', { detail: `process ${holder} uses ${directory}` })
}
