import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { command } from './command.ts'

// A terminal of its own for a command. Standard input has pairs: what the command shows, and what
// is then typed. What the command shows goes to standard output. A command that shows nothing for
// 20 seconds is ended.
const terminal = `
import fcntl, json, os, pty, select, signal, struct, sys, termios
steps = json.load(sys.stdin)
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, int(sys.argv[1]), 0, 0))
shown = b''
at = 0
while True:
    if not select.select([fd], [], [], 20)[0]:
        os.kill(pid, signal.SIGKILL)
        break
    try:
        part = os.read(fd, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    while steps and steps[0][0].encode() in shown[at:]:
        expected, typed = steps.pop(0)
        at = shown.index(expected.encode(), at) + len(expected.encode())
        os.write(fd, typed.encode())
sys.stdout.buffer.write(shown)
sys.stdout.buffer.flush()
if steps:
    sys.stderr.write('never shown: ' + steps[0][0] + '\\n')
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128)
`

const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0
/** The reason why tests at a terminal cannot run here; false where they can. */
export const noTerminal = hasPython ? false : 'python3 with its module pty is not installed'

interface Owner {
  teardown(clean: () => unknown): void
}

export interface AtTerminal {
  readonly env?: Readonly<Record<string, string>>
  readonly columns?: number
}

/**
 * Runs the command on a terminal. Each step waits until the command shows a text, after that of the
 * step before, and types another one. Throws where a text is never shown.
 */
export async function atTerminal(
  owner: Owner,
  args: readonly string[],
  steps: readonly (readonly [shows: string, typed: string])[],
  { env = {}, columns = 120 }: AtTerminal = {},
): Promise<{ code: number | null; shown: string }> {
  const main = [process.execPath, '--disable-warning=ExperimentalWarning', command, ...args]
  const base = { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8', TERM: 'xterm', TZ: 'UTC' }
  const variables = { ...base, ...env }
  // On a terminal a command starts the agent of its store, which outlives it.
  if (env['CORDON_STORE'] !== undefined)
    owner.teardown(() => spawnSync(process.execPath, [command, 'lock'], { env: variables }))
  const child = spawn('python3', ['-c', terminal, String(columns), ...main], {
    env: variables,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  owner.teardown(() => child.kill('SIGKILL'))
  let shown = ''
  let missed = ''
  child.stdout.on('data', (part) => (shown += String(part)))
  child.stderr.on('data', (part) => (missed += String(part)))
  child.stdin.end(JSON.stringify(steps))
  const [code] = (await once(child, 'close')) as [number | null]
  if (missed !== '') throw new Error(`${missed}${shown}`)
  return { code, shown }
}
