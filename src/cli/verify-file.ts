import { existsSync } from 'node:fs'
import { parseLogKeys, parseWitnessPolicy } from '../protocol/index.ts'
import { onDevice } from './device.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import { readBeside, witnessesOf, type FileOptions, type FileTrust } from './file-trust.ts'
import { knownOperation } from './followed-operation.ts'
import { readLogKeys } from './log-keys.ts'
import { storePath } from './store-path.ts'
import { openTerminal, type Terminal } from './terminal.ts'
import { verifyBundle } from './verify-bundle.ts'
import { showReceipt } from './verify-receipt.ts'

/**
 * Verifies a receipt or a bundle of evidence without the service, with keys from a file, or with
 * those that the store of this device pinned. Throws CommandFailure.
 */
export async function verifyFile(file: string, options: FileOptions): Promise<void> {
  const text = await readBeside(file, 'The file')
  const isReceipt = text.startsWith('c2sp.org/tlog-proof@')
  if (!isReceipt && !text.trimStart().startsWith('{'))
    throw new CommandFailure(`${file} is neither a receipt nor a bundle of evidence: it is another file, or damaged.`)
  const work = async (trust: FileTrust, terminal: Terminal) =>
    isReceipt ? showReceipt({ file, text }, options, trust, terminal) : verifyBundle({ file, text }, trust, terminal)
  const keyFile = options.keys ?? options.logKeys
  if (options.keys !== undefined && options.logKeys !== undefined)
    throw new CommandFailure('--keys and --log-keys are one option: give it once.', exitCodes.usage)
  if (keyFile === undefined && existsSync(storePath(options)))
    return onDevice(options, async ({ client, store, terminal }) => {
      const { logKeys, logHost, root } = client.self.account.pins
      const pinned = await client.pinnedWitnesses()
      const policy = pinned && (await parseWitnessPolicy(pinned.policy))
      const known = async (operation: string) => {
        const { names, facts } = (await knownOperation({ store }, operation)) ?? {}
        return names && facts && { names, timeZone: facts.timeZone }
      }
      const { keys } = await parseLogKeys(logKeys)
      const witnessed = await witnessesOf(options, policy)
      await work({ keys, host: logHost, root: options.root ?? root, known, ...witnessed }, terminal)
    })
  if (keyFile === undefined || (!isReceipt && options.root === undefined))
    throw new CommandFailure(
      isReceipt
        ? 'A receipt is verified with keys that you got elsewhere: give --keys FILE. Any enrolled device prints them with `cordon log-keys`.'
        : 'A bundle is verified with keys that you got elsewhere, not with those that it brings: give --log-keys and --root. Any enrolled device prints both with `cordon log-keys`.',
      exitCodes.usage,
    )
  const { keys, host } = await readLogKeys(keyFile)
  const known = () => Promise.resolve(undefined)
  const trust = { keys, host, root: options.root, known, ...(await witnessesOf(options, undefined)) }
  await work(trust, openTerminal({ json: options.json ?? false }))
}
