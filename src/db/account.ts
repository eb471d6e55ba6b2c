import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { chmod, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { Problem } from '../errors.ts'

/**
 * The environment of every program that is started here. It holds no variable of the caller's
 * environment, least of all PG* variables.
 */
export const plainEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  TZ: 'UTC',
  LC_ALL: 'C',
}

const nobodysUid = 65534

/** The account that Postgres runs under: Postgres refuses to run as root. */
export interface PostgresAccount {
  /** The words that are put before a command. */
  readonly prefix: readonly string[]
  /**
   * The id of a user other than that of this process: files have to be given to that user, and the
   * programs must be readable by it. Undefined where Postgres runs as our own user.
   */
  readonly uid: number | undefined
  readonly description: string
}

function works(command: readonly string[]): boolean {
  const [program = '', ...rest] = command
  return spawnSync(program, rest, { env: plainEnvironment, stdio: 'ignore' }).status === 0
}

// initdb needs a name for its user, and not every system has a user 1000.
function namedUser(): number {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  const named = lines.map((line) => Number(line.split(':')[2])).filter((uid) => uid > 0)
  return named.includes(1000) ? 1000 : (named.at(-1) ?? nobodysUid)
}

function haveName(): boolean {
  try {
    return userInfo().username !== ''
  } catch {
    return false
  }
}

/**
 * Chooses the account of Postgres. An ordinary user runs it under its own account. Root, and a user
 * that the system has no name for, run it in a user namespace as another user; where the system
 * refuses the namespace, root takes the user 65534. With util-linux at hand the server also gets
 * SIGINT when this process dies, however it dies.
 */
export function chooseAccount(): PostgresAccount {
  const parting = works(['setpriv', '--pdeathsig', 'INT', 'true']) ? ['setpriv', '--pdeathsig', 'INT'] : []
  const root = process.getuid?.() === 0
  const own: PostgresAccount = { prefix: parting, uid: undefined, description: 'this user' }
  if (!root && haveName()) return own
  const uid = namedUser()
  const namespace = ['unshare', '-U', `--map-user=${uid}`, `--map-group=${uid}`]
  if (works([...namespace, ...parting, 'true'])) {
    return { prefix: [...namespace, ...parting], uid: undefined, description: `user ${uid} of a user namespace` }
  }
  return root ? { prefix: parting, uid: nobodysUid, description: `user ${nobodysUid}` } : own
}

/**
 * Opens the way to a directory for an account other than ours: lets other users pass through the
 * directory above it, which is our data directory, without listing it. Directories further up are
 * not ours to change: Problem EMBEDDED_DATABASE names the one that is in the way.
 */
export async function openWay(account: PostgresAccount, directory: string): Promise<void> {
  if (account.uid === undefined) return
  const parent = dirname(directory)
  await chmod(parent, ((await stat(parent)).mode & 0o7777) | 0o001)
  for (let above = dirname(parent); ; above = dirname(above)) {
    const { mode, uid } = await stat(above)
    if ((mode & 0o001) === 0 && uid !== account.uid) {
      throw new Problem('EMBEDDED_DATABASE', {
        detail: `Postgres has to run as ${account.description}, which may not pass ${above}; set DATA_DIRECTORY to a place that it can reach, for example /var/lib/cordon, or set DATABASE_URL`,
      })
    }
    if (above === dirname(above)) return
  }
}
