import type { Command } from 'commander'
import { choose } from '../choice.ts'
import { asMember, onStore, type DeviceOptions } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { table } from '../terminal.ts'

interface Options extends DeviceOptions {
  readonly revoke?: string
  readonly compromisedSince?: string
}

/** So much of a thumbprint is shown, and tells devices apart. */
const shown = 12

export function addDevices(program: Command): void {
  onStore(
    program
      .command('devices')
      .description('Your devices, and whether the directory log is proven to hold each of them')
      .option('--revoke <device>', 'end one of them: its sessions end and the keys it had are replaced')
      .option(
        '--compromised-since <time>',
        'with --revoke: since when it was in wrong hands; what it vouched for since ends with it',
      ),
  )
    .addHelpText(
      'after',
      `
A device that you do not know can read what you can: revoke it, and tell whoever certifies in your organization. Devices are named by the
beginning of the thumbprint of their signing key.

Examples:
  $ cordon devices
  $ cordon devices --revoke 8CDYE9hG
  $ cordon devices --revoke 8CDYE9hG --compromised-since 2026-11-20T08:00Z`,
    )
    .action((options: Options) =>
      asMember(options, async ({ client, terminal }) => {
        const since = compromisedSince(options)
        const devices = await client.devices()
        if (options.revoke !== undefined) {
          const named = devices.map((one) => ({ ...one, id: one.device, name: one.device }))
          const { device } = choose('device', options.revoke, named)
          await client.directory.revokeDevice(device, since)
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

/** A time with its zone, or a day in UTC. */
function compromisedSince({ revoke, compromisedSince: text }: Options): Date | undefined {
  if (text === undefined) return undefined
  if (revoke === undefined)
    throw new CommandFailure('--compromised-since says it of the device that --revoke names.', exitCodes.usage)
  const known = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text)
  const since = new Date(text)
  if (!known || Number.isNaN(since.getTime()))
    throw new CommandFailure(
      `${JSON.stringify(text)} is no time: write it like 2026-11-20T08:00Z or 2026-11-20.`,
      exitCodes.usage,
    )
  if (since.getTime() > Date.now())
    throw new CommandFailure('A device is compromised since some time that has passed.', exitCodes.usage)
  return since
}
