import type { Command } from 'commander'
import { parseWitnessPolicy } from '../../protocol/index.ts'
import { onDevice, onStore, type DeviceOptions } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { readTextFile } from '../text-input.ts'
import { counted } from '../words.ts'

interface SetOptions extends DeviceOptions {
  readonly lag: string
}

export function addWitnessPolicy(group: Command): void {
  group.addHelpText(
    'after',
    `
With a policy, this device demands that the entries that it accepted are soon in a checkpoint that the witnesses of the policy cosigned. Where
they are not, no command reads or sends (WITNESSES_MISSING). A service that shows different logs to different people cannot get both cosigned.

The file is a policy of C2SP tlog-policy: a line \`witness NAME VERIFIER-KEY\` for each key that \`cordon witness --keys\` prints, groups, and a
quorum. Get it from the administrations that run the witnesses, not from the service.

Examples:
  $ cordon witness-policy set witnesses.policy
  $ cordon witness-policy set witnesses.policy --lag 5
  $ cordon witness-policy show`,
  )
  onStore(
    group
      .command('set')
      .description('Pin the policy in a file')
      .argument('<file>', 'a policy of C2SP tlog-policy')
      .option('--lag <minutes>', 'how long accepted entries may be without cosignatures', '10'),
  ).action((file: string, options: SetOptions) => set(file, options))
  onStore(group.command('show').description('Print the pinned policy')).action((options: DeviceOptions) =>
    onDevice(options, async ({ client, terminal }) => {
      const pin = await client.pinnedWitnesses()
      terminal.result({ pinned: pin ?? null }, () =>
        pin === undefined ? ['No policy is pinned.'] : [`# lag: ${counted(pin.lag, 'minute')}`, pin.policy.trimEnd()],
      )
    }),
  )
  onStore(group.command('remove').description('Insist on no witnesses any more')).action((options: DeviceOptions) =>
    onDevice(options, async ({ client, terminal }) => {
      await client.pinWitnesses(undefined)
      terminal.result({ pinned: null }, () => ['No policy is pinned any more.'])
    }),
  )
}

async function set(file: string, options: SetOptions): Promise<void> {
  const lag = Number(options.lag)
  if (!/^\d{1,5}$/.test(options.lag) || lag < 1)
    throw new CommandFailure('--lag is a whole number of minutes from 1.', exitCodes.usage)
  const policy = await readTextFile(file)
  const { witnesses } = await parseWitnessPolicy(policy)
  await onDevice(options, async ({ client, terminal }) => {
    await client.pinWitnesses({ policy, lag })
    const names = witnesses.map(({ name }) => name)
    terminal.result({ pinned: { lag, witnesses: names } }, () => [
      `Pinned: ${counted(names.length, 'witness', 'witnesses')} (${names.join(', ')}), within ${counted(lag, 'minute')}.`,
    ])
  })
}
