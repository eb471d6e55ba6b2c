import { buffer } from 'node:stream/consumers'
import { Option, type Command } from 'commander'
import { Agent } from '../agent/agent.ts'
import type { AgentStatus } from '../agent/frames.ts'
import { canHoldAgent } from '../agent/place.ts'
import { agentStatus, lockAgent } from '../agent/run-by-agent.ts'
import { startAgent, usualLockAfterMinutes, type AgentBeginning } from '../agent/start.ts'
import { askStorePassphrase, clientOf, onStore, requireStore, type DeviceOptions } from '../device.ts'
import { CommandFailure, exitCodes, explain } from '../failures.ts'
import { FileStore } from '../../client/node/index.ts'
import { invocation } from '../invocation.ts'
import { countOf } from '../numbers.ts'
import { cordon } from '../program.ts'
import { stopOnSignal } from '../stop-signal.ts'
import { storePath } from '../store-path.ts'
import { harmless, openTerminal } from '../terminal.ts'
import { counted } from '../words.ts'

interface Options extends DeviceOptions {
  readonly lockAfter: string
  readonly hold?: true
}

const mostLockAfterMinutes = 24 * 60

export function addAgent(command: Command): void {
  onStore(command)
    .option(
      '--lock-after <minutes>',
      'lock the store so many minutes after the last command',
      String(usualLockAfterMinutes),
    )
    .addOption(new Option('--hold').hideHelp())
    .addHelpText(
      'after',
      `
The agent is a process of yours that holds the store of this device unlocked, follows all your operations, sends what waits to be sent, and runs your commands: they need no passphrase, and any number of them work at once. A command on a terminal starts it by itself. It says what it does where it runs already.

The store is locked again by cordon lock, so many minutes after the last command, and after this machine slept. Only your own user can reach the agent; other programs of your user can, too, as they could read what you type.

Examples:
  $ cordon agent
  $ cordon agent --lock-after 10`,
    )
    .action(async (options: Options) => {
      const minutes = countOf('--lock-after', options.lockAfter)
      if (minutes > mostLockAfterMinutes)
        throw new CommandFailure(`--lock-after is at most ${String(mostLockAfterMinutes)}: a day.`, exitCodes.usage)
      if (options.hold === true) await hold(storePath(options), minutes)
      else await begin(options, minutes)
    })
}

export function addLock(command: Command): void {
  onStore(command)
    .addHelpText(
      'after',
      '\nEnds the agent of the store, and with it the commands that run there.\n\nExample:\n  $ cordon lock',
    )
    .action(async (options: DeviceOptions) => {
      const terminal = openTerminal({ json: options.json ?? false })
      const locked = await lockAgent(storePath(options))
      terminal.result({ locked }, () => [locked ? 'Locked.' : 'No agent holds this store: it is locked.'])
    })
}

/** Starts the agent, or says what the one that runs does. */
async function begin(options: Options, minutes: number): Promise<void> {
  const terminal = openTerminal({ json: options.json ?? false })
  const path = storePath(options)
  requireStore(path)
  if (!canHoldAgent(path))
    throw new CommandFailure(
      `The path of the store is too long for an agent (${path}): move the store nearer, for example to ~/.cordon. Commands work without an agent.`,
    )
  const before = await agentStatus(path)
  if (before === undefined) {
    const line = await startAgent(path, await askStorePassphrase(terminal), minutes)
    const status = await agentStatus(path)
    terminal.result({ started: true, ...status }, () => [line])
  } else terminal.result({ started: false, ...before }, () => statusLines(before))
}

function statusLines({ pid, since, locksAt, operations, running, fault }: AgentStatus): string[] {
  const time = (at: string) => new Date(at).toTimeString().slice(0, 5)
  return [
    `The agent (process ${String(pid)}) has held the store unlocked since ${time(since)}; it locks it at ${time(locksAt)} unless you run a command before then.`,
    `It follows ${counted(operations, 'operation')}; ${counted(running, 'command')} ${running === 1 ? 'is' : 'are'} running now.`,
    ...(fault === null ? [] : [harmless(`At its last attempt it could not follow them: ${fault}`)]),
  ]
}

/** Becomes the agent: the passphrase comes by standard input, and a line says when it listens. */
async function hold(path: string, minutes: number): Promise<void> {
  const say = (beginning: AgentBeginning) => invocation().out.write(`${JSON.stringify(beginning)}\n`)
  let agent: Agent
  try {
    const passphrase = (await buffer(invocation().input())).toString('utf8')
    const store = await FileStore.open(path, passphrase)
    agent = await Agent.start({
      path,
      store,
      makeClient: async () => {
        const client = clientOf(store)
        await client.load()
        return client
      },
      run: cordon,
      lockAfterMs: minutes * 60_000,
      clock: () => new Date(),
      elapsed: () => performance.now(),
    })
  } catch (error) {
    const { lines, code } = explain(error)
    say({ fault: lines.join(' '), code })
    throw error
  }
  say({ fault: null })
  await Promise.race([agent.ended, stopOnSignal(() => agent.lock())])
}
