import { Option, type Command } from 'commander'
import { isPermission, mayBeListed, permissions, type Permission } from '../../access.ts'
import type { ServiceAccountListed } from '../../client/index.ts'
import { choose, shortId } from '../choice.ts'
import { agreed, type ConfirmationOptions } from '../confirmation.ts'
import { asMember, onStore, withProof, type DeviceOptions, type ProofOptions } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { numberUpTo } from '../numbers.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { counted } from '../words.ts'
import { organizationOf } from './invite.ts'

interface InviteOptions extends DeviceOptions, ProofOptions {
  readonly organization?: string
  readonly may: readonly string[]
  readonly from: readonly string[]
  readonly days: string
  readonly hours: string
}

const readingPermissions: readonly Permission[] = [
  'operation.read',
  'member.list',
  'compartment.list',
  'message.read',
  'report.view',
  'log.verify',
]

/** Sets of permissions with a name, for the usual purposes of programs. */
const bundles: Readonly<Record<string, readonly Permission[]>> = {
  read: readingPermissions,
  report: [
    ...readingPermissions,
    'message.post',
    'message.correct',
    'message.withdraw',
    'thread.open',
    'seizure.report',
    'records.import',
    'epoch.open',
    'grant.give',
  ],
}

const dayMs = 24 * 3600_000
const mostDays = 366

const collect = (value: string, before: readonly string[] = []) => [...before, value]

export function addService(service: Command): void {
  addServiceInvite(service)
  addServiceList(service)
  addServiceStop(service)
}

function addServiceInvite(service: Command): void {
  const listable = permissions.filter(mayBeListed).join(', ')
  withProof(
    onStore(
      service
        .command('invite')
        .description('Invite a program, with its permissions, its addresses and its end')
        .argument('<name>', 'the name that other people see')
        .option('--organization <organization>', 'name or id of the organization; your own if not given')
        .addOption(
          new Option('--may <what>', 'read, report (and read), or one permission; may be repeated')
            .argParser(collect)
            .makeOptionMandatory(),
        )
        .addOption(
          new Option('--from <range>', 'addresses it comes from, such as 192.0.2.0/24; may be repeated')
            .argParser(collect)
            .makeOptionMandatory(),
        )
        .option('--days <days>', `how long it may be used, at most ${String(mostDays)}`, '365')
        .option('--hours <hours>', 'how long the invitation holds, at most 720', '168'),
    ),
  )
    .addHelpText(
      'after',
      `
Permissions: ${listable}.
In an operation a service account is officer at most, and may use the permissions that both its role and this list have.

Example:
  $ cordon service invite 'Declaration system' --may report --from 198.51.100.0/28 --days 180`,
    )
    .action((name: string, options: InviteOptions) =>
      asMember(options, async ({ client, terminal }) => {
        const organization = await organizationOf(client, await client.me(), options.organization)
        const listed = [...new Set(options.may.flatMap(permissionsMeant))]
        const made = await client.directory.inviteService({
          name,
          organization,
          permissions: listed,
          addresses: options.from,
          expiresAt: new Date(Date.now() + numberUpTo('--days', options.days, mostDays) * dayMs),
          hours: numberUpTo('--hours', options.hours, 720),
        })
        const { person: account, invitation, text, expiresAt } = made
        terminal.result({ account, invitation, text, expiresAt, permissions: listed }, () => [
          `Invitation for ${isolated(name)}, a service account with the id ${account}. It is shown once:`,
          '',
          text,
          '',
          `May use: ${listed.join(', ')}.`,
          "On the computer of the program, run cordon enrol, which asks for it. Then run any cordon command here: it certifies the program's device.",
        ])
      }),
    )
}

function addServiceList(service: Command): void {
  onStore(service.command('list').description('List service accounts: of your organization, for administrators all'))
    .addHelpText('after', '\nExample:\n  $ cordon service list')
    .action((options: DeviceOptions) =>
      asMember(options, async ({ client, terminal }) => {
        const serviceAccounts = await client.serviceAccounts.list()
        terminal.result({ serviceAccounts }, () =>
          table(['name', 'organization', 'state', 'until', 'last used', 'from', 'id'], serviceAccounts.map(rowOf)),
        )
      }),
    )
}

function rowOf({ name, organization, state, expiresAt, lastUsed, account }: ServiceAccountListed): string[] {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  const until = format.format(new Date(expiresAt))
  const used = lastUsed === null ? 'never' : format.format(new Date(lastUsed.at))
  return [name, organization.name, state, until, used, lastUsed?.address ?? '', shortId(account)]
}

function addServiceStop(service: Command): void {
  withProof(
    onStore(
      service
        .command('stop')
        .description('Stop a service account at once and for good')
        .argument('<account>', 'name or id')
        .option('--yes', 'do not ask'),
    ),
  )
    .addHelpText(
      'after',
      `
Its sessions end on every server, its device is revoked, and keys are renewed without it. There is no way back: another
program is another account.

Example:
  $ cordon service stop 'Declaration system'`,
    )
    .action((word: string, options: DeviceOptions & ConfirmationOptions & ProofOptions) =>
      asMember(options, async ({ client, terminal }) => {
        const all = (await client.serviceAccounts.list()).filter(({ state }) => state !== 'ended')
        const { account, name, organization } = choose(
          'service account',
          word,
          all.map((one) => ({ ...one, id: one.account })),
        )
        const { devices, operations } = await client.directory.atStake(account)
        const what = `${isolated(name)} (${isolated(organization.name)}) will be stopped for good, with ${counted(devices, 'device')} and keys renewed in ${counted(operations, 'operation')}. There is no way back.`
        if (!(await agreed(terminal, options, what, 'Go on?')))
          return terminal.result({ stopped: null, name }, () => ['Nothing was done.'])
        await client.serviceAccounts.stop(account)
        return terminal.result({ stopped: account, name }, () => [`Stopped: ${isolated(name)}.`])
      }),
    )
}

function permissionsMeant(word: string): readonly Permission[] {
  const bundle = Object.hasOwn(bundles, word) ? bundles[word] : undefined
  if (bundle) return bundle
  if (isPermission(word) && mayBeListed(word)) return [word]
  throw new CommandFailure(
    `--may takes read, report or a permission that an officer can have, not ${word}: see cordon service invite --help.`,
    exitCodes.usage,
  )
}
