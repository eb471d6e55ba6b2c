import type { Command } from 'commander'
import { choose } from '../choice.ts'
import { asMember, onStore, type DeviceOptions } from '../device.ts'
import { exitCodes } from '../failures.ts'
import { table } from '../terminal.ts'

interface Options extends DeviceOptions {
  readonly revoke?: string
}

/** So much of a thumbprint is shown, and tells devices apart. */
const shown = 12

export function addDevices(program: Command): void {
  onStore(
    program
      .command('devices')
      .description('Your devices, and whether the directory log is proven to hold each of them')
      .option('--revoke <device>', 'end one of them: its sessions end and the keys it had are replaced'),
  )
    .addHelpText(
      'after',
      `
A device that you do not know can read what you can: revoke it, and tell whoever certifies in your organization. Devices are named by the
beginning of the thumbprint of their signing key.

Examples:
  $ cordon devices
  $ cordon devices --revoke 8CDYE9hG`,
    )
    .action((options: Options) =>
      asMember(options, async ({ client, terminal }) => {
        const devices = await client.devices()
        if (options.revoke !== undefined) {
          const named = devices.map((one) => ({ ...one, id: one.device, name: one.device }))
          const { device } = choose('device', options.revoke, named)
          await client.directory.revokeDevice(device)
          terminal.result({ device, state: 'revoked' }, () => [`Revoked: ${device}.`])
          return
        }
        const hidden = devices.filter(({ state, proven }) => state === 'certified' && !proven)
        terminal.result({ devices }, () => [
          ...table(
            ['device', 'state', 'enrolled (UTC)', 'in the directory log', ''],
            devices.map(({ device, state, enrolledAt, proven, current }) => [
              device.slice(0, shown),
              state,
              enrolledAt.slice(0, 16).replace('T', ' '),
              state === 'waiting' ? '' : proven ? 'proven' : 'NOT THERE',
              current ? 'this one' : '',
            ]),
          ),
          ...hidden.map(
            ({ device }) => `${device} is not in the directory log: revoke it, and tell the auditors of the platform.`,
          ),
        ])
        if (hidden.length > 0) process.exitCode = exitCodes.failed
      }),
    )
}
