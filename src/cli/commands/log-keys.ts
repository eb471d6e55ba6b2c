import type { Command } from 'commander'
import { onDevice, onStore, type DeviceOptions } from '../device.ts'

export function addLogKeys(command: Command): void {
  onStore(command)
    .addHelpText(
      'after',
      `
Prints two lines, an Ed25519 and an ML-DSA-44 key (C2SP signed-note). They have the name of the directory log, and they sign every log
of the service. Hand them on by a way that does not lead through the service.

Examples:
  $ cordon log-keys > cordon.keys
  $ cordon verify --log-keys cordon.keys
  $ cordon witness --log-keys cordon.keys`,
    )
    .action((options: DeviceOptions) =>
      onDevice(options, ({ client, terminal }) => {
        const { logHost, logKeys, root } = client.self.account.pins
        terminal.result({ logHost, logKeys, root }, () => logKeys)
        terminal.note(`The root of trust has the thumbprint ${root}`)
        return Promise.resolve()
      }),
    )
}
