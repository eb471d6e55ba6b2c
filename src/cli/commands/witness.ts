import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import { KeyFileFault, WitnessFault, openWitness, witnessKeys } from '../../log/index.ts'
import type { LogKeys } from '../../protocol/index.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { readLogKeys } from '../log-keys.ts'
import { stopOnSignal } from '../stop-signal.ts'
import { openTerminal } from '../terminal.ts'

interface Options {
  readonly directory: string
  readonly name?: string
  readonly listen: string
  readonly logKeys?: readonly string[]
  readonly keys?: true
  readonly logLevel: string
  readonly json?: true
}

export function addWitness(command: Command): void {
  command
    .option('--directory <path>', 'the directory for its key and its state; made if missing', 'witness')
    .option('--name <name>', 'the name of its keys, given at its first start and kept from then on')
    .option('--listen <host:port>', 'where to listen; put a proxy with TLS in front', '127.0.0.1:7400')
    .option(
      '--log-keys <file...>',
      'verifier keys of a service, as `cordon log-keys` prints them; one file per service',
    )
    .option('--keys', 'print the two verifier keys of this witness, and end')
    .addOption(
      new Option('--log-level <level>', 'how much it writes to standard output, as JSON lines')
        .choices(['fatal', 'error', 'warn', 'info', 'debug', 'silent'])
        .default('info'),
    )
    .option('--json', 'print one line of JSON once it listens')
    .addHelpText(
      'after',
      `
A witness belongs to an administration and shares no database and no key with the service. It trusts every log of the hosts whose keys it was
given, remembers the newest checkpoint of each log, and cosigns a later checkpoint only if the log proves that it has grown from there. Keep its
directory: a witness without it could be shown another log.

Examples:
  $ cordon log-keys > cordon.keys          (on a device that has enrolled, and pinned them)
  $ cordon witness --name witness.customs.example --log-keys cordon.keys --listen 127.0.0.1:7400
  $ cordon witness --keys                  (for WITNESSES of the service, and for the policies of others)`,
    )
    .action(async (options: Options) => {
      try {
        await (options.keys === true ? printKeys(options) : run(options))
      } catch (error) {
        if (!(error instanceof WitnessFault || error instanceof KeyFileFault)) throw error
        throw new CommandFailure(`The witness cannot run: ${error.message}.`)
      }
    })
}

async function printKeys({ directory, name, json }: Options): Promise<void> {
  const keys = await witnessKeys(resolve(directory), name)
  if (keys === undefined) throw new CommandFailure(`There is no witness in ${resolve(directory)}: start it once first.`)
  openTerminal({ json: json ?? false }).result({ keys }, () => keys)
}

async function run(options: Options): Promise<void> {
  const where = parseListen(options.listen)
  const hosts = await trustedHosts(options.logKeys ?? [])
  const terminal = openTerminal({ json: options.json ?? false })
  const witness = await openWitness({
    directory: resolve(options.directory),
    name: options.name,
    hosts,
    clock: () => new Date(),
    logLevel: options.logLevel,
  })
  let address: string
  try {
    address = await witness.listen(where)
  } catch (error) {
    await witness.close()
    throw error
  }
  const stopping = stopOnSignal(() => witness.close())
  const { name, verifierKeys: keys } = witness
  terminal.result({ address, name, keys, hosts: [...hosts.keys()], pid: process.pid }, () => [
    `The witness ${name} listens on ${address} and cosigns the logs of ${[...hosts.keys()].join(', ')}.`,
    'Its verifier keys:',
    ...keys,
  ])
  await stopping
}

function parseListen(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})$/i.exec(text) ?? []
  if (host === '' || Number(port) > 65_535)
    throw new CommandFailure(`--listen is an address and a port, such as 127.0.0.1:7400.`, exitCodes.usage)
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

async function trustedHosts(files: readonly string[]): Promise<Map<string, LogKeys>> {
  if (files.length === 0)
    throw new CommandFailure('Name the keys of at least one service with --log-keys.', exitCodes.usage)
  const hosts = new Map<string, LogKeys>()
  for (const file of files) {
    const { host, keys } = await readLogKeys(file)
    if (hosts.has(host)) throw new CommandFailure(`The keys of ${host} are given twice.`, exitCodes.usage)
    hosts.set(host, keys)
  }
  return hosts
}
