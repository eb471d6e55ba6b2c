import type { Command } from 'commander'
import { codeForm } from '../../forms/index.ts'
import { asMember, onStore, withProof, type CommandDevice, type DeviceOptions, type ProofOptions } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'

type Options = DeviceOptions & ProofOptions

export function addNotices(notices: Command): void {
  onStore(notices.command('show', { isDefault: true }).description('Your address')).action((options: DeviceOptions) =>
    asMember(options, show),
  )
  withProof(
    onStore(
      notices
        .command('set')
        .description('Set your address for notices; the service sends a code to it')
        .argument('<address>', 'your e-mail address'),
    ),
  ).action((address: string, options: Options) => asMember(options, (device) => set(device, address)))
  onStore(
    notices
      .command('confirm')
      .description('Confirm the address with the code that was sent to it')
      .argument('<digits>', 'the eight digits'),
  ).action((digits: string, options: DeviceOptions) => asMember(options, (device) => confirm(device, digits)))
  withProof(
    onStore(notices.command('remove').description('Remove your address: the service sends you no notices')),
  ).action((options: Options) =>
    asMember(options, async (device) => {
      await device.client.notices.removeAddress()
      device.terminal.result({ address: null }, () => ['Removed: nothing is sent to you any more.'])
    }),
  )
  notices.addHelpText(
    'after',
    `
The service keeps the address sealed, records it in no log, and shows it to you alone.

Examples:
  $ cordon notices set amina.otieno@customs.example
  $ cordon notices confirm 12345678`,
  )
}

async function show({ client, terminal }: CommandDevice): Promise<void> {
  const known = await client.notices.show()
  const { address, waiting, sends } = known
  terminal.result(known, () => [
    address === null
      ? 'You have no address: nothing is sent to you.'
      : `${address.address}, confirmed ${address.confirmedAt.slice(0, 10)} (UTC)`,
    ...(waiting === null ? [] : [`${waiting.address} waits for its code: cordon notices confirm DIGITS`]),
    ...(sends ? [] : ['This service sends no notices.']),
  ])
}

async function set(device: CommandDevice, address: string): Promise<void> {
  const { client, terminal } = device
  await client.notices.setAddress(address.trim())
  if (!terminal.interactive)
    return terminal.result({ waiting: address.trim() }, () => [
      'A code is on its way. Confirm the address with it: cordon notices confirm DIGITS',
    ])
  return confirm(device, await terminal.ask(`The code that ${address.trim()} gets within minutes: `))
}

async function confirm({ client, terminal }: CommandDevice, digits: string): Promise<void> {
  const code = codeForm(digits)
  if (!/^\d{8}$/.test(code))
    throw new CommandFailure('Eight digits are needed: cordon notices confirm DIGITS.', exitCodes.usage)
  await client.notices.confirm(code)
  terminal.result({ confirmed: true }, () => ['Confirmed: notices go to this address from now on.'])
}
