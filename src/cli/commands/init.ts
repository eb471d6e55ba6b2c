import { open, rm, type FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { RootSecrets } from '../../client/index.ts'
import { parseSetUp } from '../../protocol/index.ts'
import { askNewSignIn, onDevice, onStore, type DeviceOptions } from '../device.ts'
import { readPlace } from '../organization.ts'
import { secretString } from '../secret-string.ts'
import { storePath } from '../store-path.ts'
import { openTerminal } from '../terminal.ts'

interface Options extends DeviceOptions {
  readonly organization: string
  readonly name: string
  readonly country?: string
  readonly rootFile: string
  readonly successorFile?: string
  readonly server?: string
}

export function addInit(command: Command): void {
  onStore(
    command
      .argument(
        '[set-up-string]',
        'what `cordon serve` printed at its first start; asked for if not given, read from standard input with -',
      )
      .requiredOption('--organization <name>', 'your organization: the secretariat')
      .requiredOption('--name <name>', 'your own name')
      .requiredOption('--root-file <file>', 'where the secret key of the root is written')
      .option('--successor-file <file>', 'where that of its successor is written (FILE.successor)')
      .option('--country <code>', 'ISO 3166-1 alpha-2 code of the organization')
      .option('--server <url>', 'the address of the service, where it is not the one in the string'),
  )
    .addHelpText(
      'after',
      `
Both files are secrets that no service and no store keeps. Move them to two media that are kept apart and offline: a holder of the
root can make administrators. Without both files, the last administrator cannot be replaced.

Example:
  $ cordon init --organization 'Secretariat' --name 'Ana Silva' --root-file /media/safe-1/root.json \\
      --successor-file /media/safe-2/successor.json`,
    )
    .action(async (given: string | undefined, options: Options) => {
      const country = readPlace(options.country)
      const setUp = await secretString(openTerminal({ json: options.json ?? false }), given, 'The set-up string')
      const server = options.server ?? parseSetUp(setUp).server
      const rootFile = resolve(options.rootFile)
      const successorFile = resolve(options.successorFile ?? `${options.rootFile}.successor`)
      await onDevice({ ...options, make: true }, async (newDevice) => {
        const { client, terminal } = newDevice
        const passphrase = await askNewSignIn(newDevice)
        const organization = { name: options.organization, ...(country === undefined ? {} : { country }) }
        const files = await reserve(rootFile, successorFile)
        try {
          const keep = (secrets: RootSecrets) => files.write(secrets)
          const person = { name: options.name }
          await client.initialize({ server, setupString: setUp, organization, person, passphrase, keep })
        } catch (error) {
          await files.remove()
          throw error
        }
        const me = await client.signIn({ passphrase })
        const store = storePath(options)
        const { person, device } = me
        const value = { person, organization: me.organization, device, rootFile, successorFile, store }
        terminal.result(value, () => [
          `You are the first administrator of ${server}, and signed in. The keys of this device are in ${store}.`,
          '',
          `The root's secret key:         ${rootFile}`,
          `Its successor's secret key:    ${successorFile}`,
          'Move the two files now to two media, keep them apart and offline, and keep no copy here.',
          '',
          'Next: cordon organization add, then cordon invite.',
        ])
      })
    })
}

/** Makes both files before the request: a root whose keys cannot be kept must not be made. */
async function reserve(root: string, successor: string) {
  const files: [string, FileHandle][] = []
  const remove = async () => {
    for (const [path, file] of files) {
      await file.close()
      await rm(path, { force: true })
    }
  }
  try {
    for (const path of [root, successor]) files.push([path, await open(path, 'wx', 0o600)])
  } catch (error) {
    await remove()
    throw error
  }
  return {
    remove,
    async write(secrets: RootSecrets) {
      for (const [n, secret] of [secrets.root, secrets.successor].entries()) {
        const file = files[n]?.[1]
        await file?.writeFile(`${JSON.stringify(secret)}\n`)
        await file?.sync()
      }
    },
  }
}
