import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { CommandFailure, exitCodes } from '../failures.ts'

/**
 * Minutes after the last command at which an agent locks its store, unless it is told otherwise.
 */
export const usualLockAfterMinutes = 30

/** What a process that becomes an agent writes, as one line, once it listens or cannot. */
export type AgentBeginning = { readonly fault: string | null; readonly code?: string }

/**
 * Starts the agent of a store, a process that outlives this one. Answers a line for the person.
 * Throws CommandFailure where it cannot begin.
 */
export async function startAgent(
  store: string,
  passphrase: string,
  lockAfterMinutes: number = usualLockAfterMinutes,
): Promise<string> {
  const [, main = ''] = process.argv
  const words = ['agent', '--hold', '--store', store, '--lock-after', String(lockAfterMinutes)]
  // No core file: it would hold the keys.
  const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, ...process.execArgv, main, ...words]
  const child = spawn('/bin/sh', shell, { detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
  // Where the process ends early, its first line says why.
  child.stdin.on('error', () => {})
  child.stdin.end(passphrase)
  const lines = createInterface({ input: child.stdout })
  const first = await Promise.race([
    once(lines, 'line').then(([line]) => String(line)),
    once(child, 'exit').then(() => ''),
  ])
  const { fault, code } = (
    first === '' ? { fault: 'The agent ended before it began.' } : JSON.parse(first)
  ) as AgentBeginning
  lines.close()
  child.stdout.destroy()
  child.unref()
  if (fault !== null) throw new CommandFailure(fault, exitCodes.failed, code === undefined ? {} : { reason: code })
  return `The store is unlocked until ${String(lockAfterMinutes)} minutes after your last command, or until cordon lock.`
}
