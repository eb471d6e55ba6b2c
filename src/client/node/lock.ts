import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { refuse } from '../problem.ts'

/**
 * Locks a store for this process: a file beside it holds the process id and, where the system gives
 * it, the start time of the process, so that a reused process id is not taken for the old owner.
 * Throws STORE_IN_USE where another live process holds it. Answers a function that unlocks the
 * store.
 */
export async function lockStore(path: string): Promise<() => Promise<void>> {
  const lock = `${path}.lock`
  const [, startedAt] = await factsOf(process.pid)
  const own = `${String(process.pid)} ${startedAt}`
  const candidate = `${lock}.${String(process.pid)}`
  await writeFile(candidate, own, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      if (await succeeds(link(candidate, lock), 'EEXIST')) {
        return async () => {
          if ((await readOwner(lock)) === own) await rm(lock, { force: true })
        }
      }
      const owner = await readOwner(lock)
      if (owner === own || (owner !== undefined && (await lives(owner))))
        throw refuse('STORE_IN_USE', `Another process (${owner.split(' ')[0] ?? ''}) uses ${path}.`)
      // The process that wins the renaming removes the lock of a dead process; the others find it
      // gone.
      const stale = `${candidate}.stale`
      if (await succeeds(rename(lock, stale), 'ENOENT')) await rm(stale, { force: true })
    }
    throw refuse('STORE_IN_USE', `Other processes use ${path}.`)
  } finally {
    await rm(candidate, { force: true })
  }
}

async function succeeds(act: Promise<unknown>, unless: string): Promise<boolean> {
  try {
    await act
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === unless) return false
    throw error
  }
}

async function readOwner(lock: string): Promise<string | undefined> {
  try {
    return await readFile(lock, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function lives(owner: string): Promise<boolean> {
  const [pid = '', started = ''] = owner.split(' ')
  if (!/^[1-9][0-9]*$/.test(pid)) return false
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    // EPERM: the process lives and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const [state, now] = await factsOf(Number(pid))
  // A process that has ended stays listed as Z until its parent asks, which in a container may be
  // never.
  if (state === 'Z') return false
  return started === '' || now === '' || started === now
}

/**
 * Fields 3 and 22 of /proc/<pid>/stat (proc(5)): the state and the start time of a process; empty
 * where the system has none.
 */
async function factsOf(pid: number): Promise<[state: string, startedAt: string]> {
  try {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return [fields[0] ?? '', fields[19] ?? '']
  } catch {
    return ['', '']
  }
}
