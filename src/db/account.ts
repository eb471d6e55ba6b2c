import { spawnSync } from 'node:child_process'

/** The environment of everything started here: nothing of the caller's, least of all its PG* variables. */
export const plainEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  TZ: 'UTC',
  LC_ALL: 'C',
}

const NOBODY = 65534

/** Under whose account Postgres runs, which refuses to run as root. */
export interface Account {
  /** Put before a command. */
  readonly prefix: readonly string[]
  /** Another user than ours: files have to be given to it, programs must be readable by it. */
  readonly uid: number | undefined
  readonly description: string
}

function works(command: readonly string[]): boolean {
  const [program = '', ...rest] = command
  return spawnSync(program, rest, { env: plainEnvironment, stdio: 'ignore' }).status === 0
}

/**
 * Chooses the account: our own for an ordinary user; for root a user namespace in which it is user 1000, and where that
 * is refused the user 65534. With util-linux at hand the server also gets SIGINT when this process dies, however it dies.
 */
export function chooseAccount(): Account {
  const parting = works(['setpriv', '--pdeathsig', 'INT', 'true']) ? ['setpriv', '--pdeathsig', 'INT'] : []
  if (process.getuid?.() !== 0) return { prefix: parting, uid: undefined, description: 'this user' }
  const namespace = ['unshare', '-U', '--map-user=1000', '--map-group=1000']
  if (works([...namespace, ...parting, 'true'])) {
    return { prefix: [...namespace, ...parting], uid: undefined, description: 'user 1000 of a user namespace' }
  }
  return { prefix: parting, uid: NOBODY, description: `user ${NOBODY}` }
}
