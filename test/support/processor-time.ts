import { readFileSync, readdirSync } from 'node:fs'

/** Linux counts processor time in hundredths of a second (`getconf CLK_TCK`). */
const ticksPerSecond = 100

export interface Stat {
  readonly pid: number
  readonly parent: number
  /** Seconds, of the process itself. */
  readonly own: number
  /** Seconds, of its children that have ended. */
  readonly ended: number
}

/** proc_pid_stat(5); undefined for a process that has ended meanwhile. */
function statOf(pid: number): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
  // The name may hold anything, blanks and brackets included.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const seconds = (...from: number[]) => from.reduce((sum, i) => sum + Number(fields[i]), 0) / ticksPerSecond
  return { pid, parent: Number(fields[1]), own: seconds(11, 12), ended: seconds(13, 14) }
}

/** Seconds of processor time that a process has taken, its threads included. */
export function processorTime(pid: number): number {
  return statOf(pid)?.own ?? 0
}

/** The same with all its children, those that have ended included. */
export function processorTimeWithChildren(pid: number): number {
  const own = statOf(pid)
  return (own?.own ?? 0) + (own?.ended ?? 0) + childrenOf(pid).reduce((sum, child) => sum + child.own, 0)
}

/** The processes that this one started and that have not ended. */
export function childrenOf(pid: number): Stat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? [])
    .filter(({ parent }) => parent === pid)
}

/** The process that started this one. */
export function parentOf(pid: number): number {
  return statOf(pid)?.parent ?? 0
}
