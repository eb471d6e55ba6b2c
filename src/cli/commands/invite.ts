import { setTimeout as sleep } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import qrcode from 'qrcode'
import type { Cordon, InvitationListed, InvitationRequest, Me } from '../../client/index.ts'
import { comparingForm } from '../../forms/index.ts'
import { choose, idOf, shortId } from '../choice.ts'
import {
  asMember,
  certifyWaiting,
  onStore,
  withProof,
  type CommandDevice,
  type DeviceOptions,
  type ProofOptions,
} from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { numberUpTo } from '../numbers.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { localTimeAndZone } from '../words.ts'

interface Options extends DeviceOptions, ProofOptions {
  readonly organization?: string
  readonly tier?: InvitationRequest['tier']
  readonly hours: string
  readonly furtherDevice?: true
  readonly wait?: true
}

const askEveryMs = 2_000

export function addInvite(command: Command): void {
  withProof(
    onStore(
      command
        .argument('[name]', 'the name of the person')
        .option('--organization <organization>', 'name or id of the organization; your own if not given')
        .addOption(
          new Option(
            '--tier <tier>',
            'the people for whom the person may vouch: all, the own organization, or only oneself (if not given, and only in your own organization); an auditor also queries the directory log',
          ).choices(['administrator', 'ncp', 'person', 'auditor']),
        )
        .option('--hours <hours>', 'how long the invitation holds, at most 720', '168')
        .option('--further-device', 'invite a further device of your own')
        .option('--wait', 'wait until the device has enrolled and is certified'),
    ),
  )
    .addHelpText(
      'after',
      `
The invitation is a secret, shown once: hand it over where no other person can read it. Its user can act as that person once one of your
devices has certified the new device, which any cordon command of yours does.

Examples:
  $ cordon invite 'Wanjiru Kamau' --organization 'Kenya Revenue Authority' --tier ncp
  $ cordon invite 'Otieno Odhiambo'                      # an officer of your own organization
  $ cordon invite --further-device --wait`,
    )
    .action((name: string | undefined, options: Options) =>
      asMember(options, async (device) => {
        const { client, terminal } = device
        const input = await whom(device, name, options)
        const made = await client.directory.invite(input)
        const { text, expiresAt } = made
        const approval = 'id' in input.person ? await approvalOf(device, made.invitation) : null
        const qr = terminal.shown
          ? await qrcode.toString(text, { type: 'terminal', small: true, errorCorrectionLevel: 'L' })
          : ''
        const lines = [
          `Invitation for ${isolated(input.person.name)}, until ${localTimeAndZone(expiresAt)}. It is shown once:`,
          '',
          text,
          '',
          ...(qr === '' ? [] : [qr]),
          'The person runs cordon enrol, which asks for it. Then run any cordon command here: it certifies the new device.',
          ...(approval === null ? [] : approvalLines(input.person.name, made.invitation)),
        ]
        if (!terminal.json) for (const line of lines) terminal.say(line)
        const certified = options.wait === true && (await untilCertified(device, made.person))
        const { invitation, person } = made
        terminal.result({ invitation, person, text, expiresAt, approval, certified }, () => [])
      }),
    )
}

/**
 * Whether a second person has to approve the invitation, because the invited person has lost every
 * device.
 */
async function approvalOf({ client }: CommandDevice, invitation: string): Promise<InvitationListed['approval']> {
  const all = await client.directory.invitations()
  return all.find((one) => one.invitation === invitation)?.approval ?? null
}

function approvalLines(name: string, invitation: string): string[] {
  return [
    `${isolated(name)} had devices before: the invitation works once a contact point or an administrator of another organization has run, within 72 hours:`,
    `  cordon person approve ${invitation}`,
  ]
}

async function whom({ client }: CommandDevice, name: string | undefined, options: Options): Promise<InvitationRequest> {
  const hours = numberUpTo('--hours', options.hours, 720)
  const me = await client.me()
  if (options.furtherDevice === true) {
    if (name !== undefined || options.organization !== undefined)
      throw new CommandFailure('A further device is your own: leave out name and organization.', exitCodes.usage)
    const tier = options.tier ?? ownTier(me)
    return { person: { id: me.person, name: me.name }, organization: me.organization, tier, hours }
  }
  if (name === undefined)
    throw new CommandFailure('Name the person to invite, or say --further-device.', exitCodes.usage)
  const organization = await organizationOf(client, me, options.organization)
  // A person of another organization is not made a contact point by an option that was forgotten.
  if (options.tier === undefined && organization !== me.organization)
    throw new CommandFailure(
      'Say --tier for a person of another organization: ncp for its contact point, who vouches for its people; person for an officer; auditor, administrator.',
      exitCodes.usage,
    )
  const tier = options.tier ?? 'person'
  const form = comparingForm(name)
  const named = (await client.directory.people(organization)).filter((one) => comparingForm(one.name) === form)
  const known = named.find(({ certified }) => certified) ?? named[0]
  if (known?.certified === true)
    throw new CommandFailure(
      `${isolated(name)} is known in this organization and has a device: a person invites the own further devices. Another person with this name needs another spelling.`,
    )
  return { person: known ? { id: known.person, name: known.name } : { name }, organization, tier, hours }
}

function ownTier({ tier }: Me): InvitationRequest['tier'] {
  return tier === 'administrator' || tier === 'ncp' || tier === 'auditor' ? tier : 'person'
}

export async function organizationOf(client: Cordon, me: Me, word: string | undefined): Promise<string> {
  if (word === undefined) return me.organization
  const id = idOf(word)
  if (id !== undefined) return id
  const own = { id: me.organization, name: me.organizationName }
  if (!me.administrator) return choose('organization that you may invite into', word, [own]).id
  const all = await client.directory.organizations()
  return choose(
    'organization',
    word,
    all.map(({ organization, name }) => ({ id: organization, name })),
  ).id
}

async function untilCertified({ client, terminal }: CommandDevice, person: string): Promise<true> {
  terminal.note('Waiting for the device; Ctrl-C ends the waiting, the invitation holds.')
  for (;;) {
    await sleep(askEveryMs)
    if ((await certifyWaiting(client, terminal)).includes(person)) return true
  }
}

export function addInvitations(command: Command): void {
  onStore(command)
    .option('--revoke <invitation>', 'take back an open invitation: its id, or the name of the invited person')
    .addHelpText('after', '\nExamples:\n  $ cordon invitations\n  $ cordon invitations --revoke 4c7d91e2')
    .action((options: DeviceOptions & { revoke?: string }) =>
      asMember(options, async ({ client, terminal }) => {
        const invitations = await client.directory.invitations()
        if (options.revoke !== undefined) {
          const open = invitations.filter(({ state }) => state === 'open')
          const named = open.map(({ invitation: id, name }) => ({ id, name }))
          const { id, name } = choose('open invitation', options.revoke, named)
          await client.directory.revokeInvitation(id)
          return terminal.result({ invitation: id, state: 'revoked' }, () => [
            `Taken back: the invitation for ${isolated(name)}.`,
          ])
        }
        const unapproved = invitations.filter(({ state, approval }) => state === 'open' && approval === 'missing')
        return terminal.result({ invitations }, () => [
          ...table(
            ['for', 'tier', 'state', 'until', 'id'],
            invitations.map(({ name, tier, state, approval, expiresAt, invitation }) => [
              name,
              tier,
              state === 'open' && approval === 'missing' ? 'open, not approved' : state,
              localTimeAndZone(expiresAt),
              shortId(invitation),
            ]),
          ),
          // A person of another organization approves it, whose list does not show it.
          ...unapproved.map(({ name, invitation }) => `For ${isolated(name)}: cordon person approve ${invitation}`),
        ])
      }),
    )
}
