import type { Command } from 'commander'
import qrcode from 'qrcode'
import { codeForm, comparingForm, isBlank } from '../../forms/index.ts'
import { choose } from '../choice.ts'
import {
  asMember,
  askPassphrase,
  onStore,
  withProof,
  passkeysOf,
  type CommandDevice,
  type DeviceOptions,
  type ProofOptions,
} from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { counted } from '../words.ts'

interface Options extends DeviceOptions, ProofOptions {}

interface PassphraseOptions extends Options {
  readonly remove?: true
}

interface AppOptions extends Options {
  readonly remove?: true
  readonly confirm?: string
}

export function addFactors(factors: Command): void {
  const add = (name: string, description: string, parent = factors) =>
    withProof(onStore(parent.command(name).description(description)))
  onStore(factors.command('list', { isDefault: true }).description('List your factors')).action((options: Options) =>
    asMember(options, list),
  )
  add('passphrase', 'Set another passphrase to sign in with')
    .option('--remove', 'remove it, with app and recovery codes: from then on you sign in by passkey alone')
    .action((options: PassphraseOptions) =>
      asMember(options, options.remove === true ? removePassphrase : setPassphrase),
    )
  add('app', 'Add an authenticator app (TOTP) as a second factor')
    .option('--remove', 'remove the app that is set up, with its recovery codes')
    .option('--confirm <digits>', 'the six digits that the app shows: confirms an app that was begun before')
    .action((options: AppOptions) => asMember(options, (device) => changeApp(device, options)))
  add('recovery-codes', 'Make new recovery codes in place of the old ones').action((options: Options) =>
    asMember(options, async ({ client, terminal }) => {
      const codes = await client.factors.renewRecoveryCodes()
      terminal.result({ recoveryCodes: codes }, () => shown(codes))
    }),
  )
  const passkey = factors.command('passkey').description('Add and remove passkeys, in a browser on this machine')
  add('add', 'Add a passkey', passkey)
    .argument('<name>', 'its name, such as that of the device that keeps it')
    .addHelpText('after', "\nExample:\n  $ cordon factors passkey add 'Blue security key'")
    .action((name: string, options: Options) => asMember(options, (device) => addPasskey(device, name)))
  add('remove', 'Remove a passkey', passkey)
    .argument('<passkey>', 'its name, or the beginning of its name')
    .addHelpText('after', "\nExample:\n  $ cordon factors passkey remove 'Blue security key'")
    .action((word: string, options: Options) => asMember(options, (device) => removePasskey(device, word)))
  factors.addHelpText(
    'after',
    `
A change asks for your passphrase or a passkey again when your last proof is older than ten minutes. Another passphrase or app
ends your other sessions; after other changes cordon sessions --end-others does. The command asks for the new passphrase, or reads it from the file that CORDON_NEW_PASSPHRASE_FILE names.

Examples:
  $ cordon factors
  $ cordon factors passphrase
  $ cordon factors app

From a passphrase to passkeys (two, in case you lose one):
  $ cordon factors passkey add 'Blue security key'
  $ cordon factors passkey add 'Laptop'
  $ cordon sign-in --passkey
  $ cordon factors passphrase --remove`,
  )
}

async function list({ client, terminal }: CommandDevice): Promise<void> {
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
          `passkey "${isolated(name)}"`,
          day(addedAt),
          lastUsedAt === null ? 'not used yet' : `used ${day(lastUsedAt)}`,
        ]),
      ],
    ),
  )
}

async function setPassphrase(device: CommandDevice): Promise<void> {
  const { client, store, terminal } = device
  const passphrase = await askPassphrase(terminal, {
    what: 'New passphrase to sign in with',
    file: 'CORDON_NEW_PASSPHRASE_FILE',
    twice: true,
  })
  if (await store.isOwnPassphrase(passphrase))
    throw new CommandFailure('This is the passphrase of the store, which the service must never see: choose another.')
  await client.factors.setPassphrase(passphrase)
  terminal.result({ factor: 'passphrase', changed: true }, () => ['The passphrase is changed.', othersEnded])
}

async function removePassphrase(device: CommandDevice): Promise<void> {
  const { client, terminal } = device
  await client.factors.removePassphrase()
  const { passkeys } = await client.factors.list()
  terminal.result({ factor: 'passphrase', removed: true }, () => [
    'The passphrase is removed, with app and recovery codes. From now on: cordon sign-in --passkey',
    ...(passkeys.length > 1 ? [] : ['You have one passkey: add a second passkey, in case you lose the first.']),
    othersEnded,
  ])
}

async function addPasskey(device: CommandDevice, text: string): Promise<void> {
  const { client, terminal } = device
  const name = text.trim()
  // Checked before the browser makes a passkey that the service would then refuse.
  if (!/^[^\p{Cc}]{1,100}$/u.test(name) || isBlank(name))
    throw new CommandFailure(
      'The name of a passkey has 1 to 100 characters that are shown, on one line.',
      exitCodes.usage,
    )
  const { passkeys } = await client.factors.list()
  if (passkeys.some((one) => comparingForm(one.name) === comparingForm(name)))
    throw new CommandFailure(
      `You have a passkey called ${isolated(JSON.stringify(name))}: give another name, or remove it.`,
    )
  const { id } = await client.factors.addPasskey(name, passkeysOf(device))
  terminal.result({ factor: 'passkey', id, name, added: true }, () => [
    `The passkey ${isolated(JSON.stringify(name))} is added: cordon sign-in --passkey`,
    othersGoOn,
  ])
}

async function removePasskey(device: CommandDevice, word: string): Promise<void> {
  const { client, terminal } = device
  const { passkeys } = await client.factors.list()
  const named = passkeys.map((one) => ({ ...one, also: one.id }))
  const { id, name } = choose('passkey', word, named)
  await client.factors.removePasskey(id)
  terminal.result({ factor: 'passkey', id, name, removed: true }, () => [
    `The passkey ${isolated(JSON.stringify(name))} is removed here: ${counted(passkeys.length - 1, 'passkey')} left. Delete it where it is kept, too.`,
    othersGoOn,
  ])
}

async function changeApp(device: CommandDevice, options: AppOptions): Promise<void> {
  const { client, terminal } = device
  const { remove, confirm } = options
  if (remove === true) {
    await client.factors.removeTotp()
    return terminal.result({ factor: 'totp', removed: true }, () => ['The app is removed.', othersEnded])
  }
  if (confirm === undefined) {
    const sheet = await client.factors.beginTotp()
    if (!terminal.interactive)
      return terminal.result(sheet, () => [sheet.uri, 'Confirm it: cordon factors app --confirm DIGITS'])
    for (const line of (await qrcode.toString(sheet.uri, { type: 'terminal', small: true })).split('\n'))
      terminal.warn(line)
    terminal.note(`Scan this with the app, or type into it: ${sheet.secret}`)
  }
  const typed = confirm ?? (await terminal.ask('The six digits that it shows: '))
  const digits = codeForm(typed)
  if (!/^\d{6}$/.test(digits))
    throw new CommandFailure('Six digits are needed; nothing is changed. Try again.', exitCodes.usage)
  const codes = await client.factors.confirmTotp(digits)
  return terminal.result({ factor: 'totp', recoveryCodes: codes }, () => [
    'From now on signing in asks for a code of the app.',
    ...shown(codes),
    othersEnded,
  ])
}

const othersEnded = 'Your other sessions are ended: sign in again on your other devices.'
const othersGoOn = 'Your other sessions go on; cordon sessions --end-others ends them.'

function shown(codes: readonly string[]): string[] {
  return [
    'Recovery codes, each for one sign-in without the app. They are not shown again: write them down.',
    ...codes.map((code) => `  ${code}`),
  ]
}
