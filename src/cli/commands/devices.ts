import type { Command } from 'commander'
import { sayTime } from '../../forms/index.ts'
import type { OwnDevice } from '../../client/index.ts'
import { choose, shortId } from '../choice.ts'
import { agreed, type ConfirmationOptions } from '../confirmation.ts'
import { asMember, onStore, withProof, type DeviceOptions, type ProofOptions } from '../device.ts'
import { CommandFailure, exitCodes, failAtEnd } from '../failures.ts'
import { compromisedSince } from '../compromise-time.ts'
import { table } from '../table.ts'

interface Options extends DeviceOptions, ConfirmationOptions, ProofOptions {
  readonly revoke?: string
  readonly compromisedSince?: string
}

export function addDevices(command: Command): void {
  withProof(
    onStore(
      command
        .option('--revoke <device>', 'revoke this device: its sessions end, and the keys that it holds are replaced')
        .option(
          '--compromised-since <time>',
          'with --revoke: the time since which it was in wrong hands; devices that it certified since then end with it',
        )
        .option('--yes', 'do not ask'),
    ),
  )
    .addHelpText(
      'after',
      `
A device that you do not know can read what you can: revoke it, and tell the contact point of your organization. Devices are named by the
beginning of the thumbprint of their signing key.

Examples:
  $ cordon devices
  $ cordon devices --revoke 8CDYE9hG
  $ cordon devices --revoke 8CDYE9hG --compromised-since 2026-11-20T08:00Z`,
    )
    .action((options: Options) => {
      const since = compromisedSince(options.compromisedSince)
      if (since !== undefined && options.revoke === undefined)
        throw new CommandFailure('--compromised-since says it of the device that --revoke names.', exitCodes.usage)
      return asMember(options, async (using) => {
        const { client, terminal } = using
        const devices = await client.devices()
        if (options.revoke !== undefined) {
          const named = devices.map((one) => ({ ...one, id: one.device, name: one.device }))
          const chosen = choose('device', options.revoke, named)
          const { device } = chosen
          if (!(await agreed(terminal, options, whatEnds(chosen, devices), 'Go on?'))) {
            terminal.result({ device, state: chosen.state }, () => ['Nothing was done.'])
            return
          }
          if (since !== undefined) terminal.note(`Understood: since ${sayTime(since, 'UTC')}.`)
          const enrolled = new Date(chosen.enrolledAt)
          const from = since !== undefined && since < enrolled ? enrolled : since
          await client.directory.revokeDevice(device, from)
          terminal.result({ device, state: 'revoked' }, () => [`Revoked: ${device}.`])
          return
        }
        const hidden = devices.filter(({ state, proven }) => state === 'certified' && !proven)
        terminal.result({ devices }, () => [
          ...table(
            ['device', 'state', 'enrolled (UTC)', 'in the directory log', ''],
            devices.map(({ device, state, enrolledAt, proven, current }) => [
              shortId(device),
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
        if (hidden.length > 0) failAtEnd()
      })
    })
}

/** What ends with a device, in words for the question; also whether it is the last one. */
function whatEnds({ device, current }: OwnDevice, devices: readonly OwnDevice[]): string {
  const last = !devices.some((one) => one.device !== device && one.state === 'certified')
  return [
    `The device ${shortId(device)} will be revoked for good: its sessions end, and keys are renewed without it.`,
    ...(current ? ['It is the device that you are using.'] : []),
    ...(last
      ? [
          'You have no other device: you will be locked out, and two people of two organizations have to bring you back.',
        ]
      : []),
  ].join(' ')
}
