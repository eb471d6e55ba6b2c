import type { Command } from 'commander'
import qrcode from 'qrcode'
import { asMember, asProven, askPassphrase, onStore, type Device, type DeviceOptions } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { table } from '../terminal.ts'

interface Options extends DeviceOptions {
  readonly code?: string
}

interface AppOptions extends Options {
  readonly remove?: true
  readonly confirm?: string
}

export function addFactors(program: Command): void {
  const factors = program
    .command('factors')
    .description('By what you prove who you are: passphrase, app, recovery codes')
  const add = (name: string, description: string) =>
    onStore(factors.command(name).description(description)).option(
      '--code <code>',
      'of your authenticator app, or a recovery code, where the service asks for one',
    )
  onStore(factors.command('list', { isDefault: true }).description('What there is')).action((options: Options) =>
    asMember(options, list),
  )
  add('passphrase', 'Set another passphrase to sign in with').action((options: Options) =>
    asMember(options, (device) => setPassphrase(device, options)),
  )
  add('app', 'Add an authenticator app (TOTP) as a second factor')
    .option('--remove', 'remove the app that is set up, with its recovery codes')
    .option('--confirm <digits>', 'the six digits that the app shows: confirms an app that was begun before')
    .action((options: AppOptions) => asMember(options, (device) => changeApp(device, options)))
  add('recovery-codes', 'Make new recovery codes in place of the old ones').action((options: Options) =>
    asMember(options, async (device) => {
      const codes = await asProven(device, options.code, () => device.client.factors.renewRecoveryCodes())
      device.terminal.result({ recoveryCodes: codes }, () => shown(codes))
    }),
  )
  factors.addHelpText(
    'after',
    `
A change asks for your passphrase again when you proved longer than ten minutes ago who you are. Your other sessions go on:
cordon sessions --end-others ends them. The new passphrase is asked for, or read from the file CORDON_NEW_PASSPHRASE_FILE names.

Examples:
  $ cordon factors
  $ cordon factors passphrase
  $ cordon factors app`,
  )
}

async function list({ client, terminal }: Device): Promise<void> {
  const factors = await client.factors.list()
  const { passphrase, totp, recoveryCodes, passkeys } = factors
  const day = (at: string) => at.slice(0, 10)
  terminal.result(factors, () =>
    table(
      ['factor', 'since (UTC)', ''],
      [
        ['passphrase', passphrase ? day(passphrase.setAt) : '', passphrase ? '' : 'none'],
        [
          'authenticator app',
          totp ? day(totp.confirmedAt) : '',
          totp ? `${String(recoveryCodes)} recovery codes left` : 'none',
        ],
        ...passkeys.map(({ name, addedAt, lastUsedAt }) => [
          `passkey "${name}"`,
          day(addedAt),
          lastUsedAt === null ? 'not used yet' : `used ${day(lastUsedAt)}`,
        ]),
      ],
    ),
  )
}

async function setPassphrase(device: Device, { code }: Options): Promise<void> {
  const { client, store, terminal } = device
  const passphrase = await askPassphrase(terminal, {
    what: 'New passphrase to sign in with',
    file: 'CORDON_NEW_PASSPHRASE_FILE',
    twice: true,
  })
  if (await store.isOwnPassphrase(passphrase))
    throw new CommandFailure('This is the passphrase of the store, which the service must never see: choose another.')
  await asProven(device, code, () => client.factors.setPassphrase(passphrase))
  terminal.result({ factor: 'passphrase', changed: true }, () => ['The passphrase is changed.', othersGoOn])
}

async function changeApp(device: Device, { code, remove, confirm }: AppOptions): Promise<void> {
  const { client, terminal } = device
  if (remove === true) {
    await asProven(device, code, () => client.factors.removeTotp())
    return terminal.result({ factor: 'totp', removed: true }, () => ['The app is removed.', othersGoOn])
  }
  if (confirm === undefined) {
    const sheet = await asProven(device, code, () => client.factors.beginTotp())
    if (!terminal.interactive)
      return terminal.result(sheet, () => [sheet.uri, 'Confirm it: cordon factors app --confirm DIGITS'])
    for (const line of (await qrcode.toString(sheet.uri, { type: 'terminal', small: true })).split('\n'))
      terminal.warn(line)
    terminal.note(`Scan this with the app, or type into it: ${sheet.secret}`)
  }
  const digits = confirm ?? (await terminal.ask('The six digits that it shows: '))
  if (!/^\d{6}$/.test(digits.trim()))
    throw new CommandFailure('Six digits are needed; nothing is changed. Try again.', exitCodes.usage)
  const codes = await asProven(device, code, () => client.factors.confirmTotp(digits.trim()))
  return terminal.result({ factor: 'totp', recoveryCodes: codes }, () => [
    'From now on signing in asks for a code of the app.',
    ...shown(codes),
    othersGoOn,
  ])
}

const othersGoOn = 'Your other sessions go on; cordon sessions --end-others ends them.'

function shown(codes: readonly string[]): string[] {
  return [
    'Recovery codes, each for one sign-in without the app. They are not shown again: write them down.',
    ...codes.map((code) => `  ${code}`),
  ]
}
