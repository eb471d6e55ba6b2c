import type { Command } from 'commander'
import { sayTime } from '../../forms/index.ts'
import type { DepartureEffects } from '../../client/index.ts'
import { choose, shortId } from '../choice.ts'
import { agreed, type ConfirmationOptions } from '../confirmation.ts'
import { asMember, onStore, withProof, type CommandDevice, type DeviceOptions, type ProofOptions } from '../device.ts'
import { compromisedSince } from '../compromise-time.ts'
import { asContactPoint, organizationMeant, type OrganizationOptions } from '../organization.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { counted } from '../words.ts'
import { addDeputy, dutyWords } from './deputy.ts'

interface ActOptions extends OrganizationOptions, ConfirmationOptions, ProofOptions {
  readonly reason?: string
  readonly compromisedSince?: string
}

/**
 * An act on a person of an organization. `asks` makes the question before an act that cannot be
 * undone; `reason` is an example of the reason that the log records.
 */
interface Act {
  readonly name: string
  readonly description: string
  readonly work: (device: CommandDevice, person: string, reason: string, since: Date | undefined) => Promise<void>
  readonly said: (name: string) => string
  readonly help: string
  readonly reason?: string
  /** Whether the command has the option --compromised-since. */
  readonly compromised?: true
  readonly asks?: (name: string, stake: DepartureEffects) => string
}

export function addPerson(person: Command): void {
  onStore(person.command('list').description('List the people of your organization'))
    .option('--organization <organization>', 'of another organization (administrators)')
    .addHelpText(
      'after',
      '\nA person without a live device has not enrolled yet, or all devices were revoked, or their certificates have ended. An unused account\nsleeps on the day shown; a person who signs in stays awake.\n\nExample:\n  $ cordon person list',
    )
    .action((options: OrganizationOptions) =>
      asMember(options, async (device) => {
        const { directory } = device.client
        const organization = await organizationMeant(device, options)
        const listed = Promise.all([directory.people(organization), directory.duty(organization)])
        const [all, duty] = await asContactPoint(listed)
        const people = all.filter(({ service }) => !service)
        const state = ({ certified, asleep }: (typeof people)[number]) =>
          asleep ? 'asleep' : certified ? 'active' : 'no live device'
        const sleeps = ({ sleepsAt, needed }: (typeof people)[number]) =>
          needed ? 'is needed: stays awake' : (sleepsAt?.slice(0, 10) ?? '')
        device.terminal.result({ people, ...duty }, () =>
          table(
            ['name', 'state', 'duty', 'sleeps (UTC)', 'id'],
            people.map((one) => [one.name, state(one), dutyWords(duty, one.person), sleeps(one), shortId(one.person)]),
          ),
        )
      }),
    )

  const act = ({ name, description, work, said, help, reason, compromised, asks }: Act) => {
    const command = withProof(onStore(person.command(name).description(description)))
      .argument('<person>', 'name, beginning of the name, or id')
      .option('--organization <organization>', 'of another organization (administrators)')
    if (reason !== undefined) command.requiredOption('--reason <text>', 'why; the log records it')
    if (asks) command.option('--yes', 'do not ask')
    if (compromised)
      command.option(
        '--compromised-since <time>',
        'the time since which they were in wrong hands; devices that they certified since then end with them',
      )
    const example = `cordon person ${name} 'Amina Otieno'${reason === undefined ? '' : ` --reason '${reason}'`}`
    command.addHelpText('after', `\n${help}\n\nExample:\n  $ ${example}`).action((word: string, options: ActOptions) =>
      asMember(options, async (device) => {
        const { client, terminal } = device
        const since = compromisedSince(options.compromisedSince)
        if (since !== undefined) terminal.note(`Understood: since ${sayTime(since, 'UTC')}.`)
        const organization = await organizationMeant(device, options)
        const listed = await asContactPoint(client.directory.people(organization))
        const people = listed.map((one) => ({ ...one, id: one.person }))
        const { id, name: chosen } = choose('person', word, people)
        const goesOn =
          asks === undefined ||
          (await agreed(terminal, options, asks(chosen, await client.directory.atStake(id)), 'Go on?'))
        if (!goesOn) return terminal.result({ person: id, [name]: false }, () => ['Nothing was done.'])
        await work(device, id, options.reason ?? '', since)
        return terminal.result({ person: id, [name]: true }, () => [said(chosen)])
      }),
    )
  }

  act({
    name: 'suspend',
    description: 'Keep a person out until woken',
    work: ({ client }, id, reason) => client.directory.suspend(id, reason),
    said: (name) => `${isolated(name)} is suspended: out of all operations, sessions ended, nothing lost.`,
    help: 'All sessions of the person end at once, in every operation the person sleeps, and keys are renewed without them.',
    reason: 'Under suspicion',
  })
  act({
    name: 'wake',
    description: 'Let a suspended or sleeping person sign in again',
    work: ({ client }, id, reason) => client.directory.wake(id, reason),
    said: (name) =>
      `${isolated(name)} can sign in again. In each operation a member who may admit people wakes ${isolated(name)}: cordon operation wake.`,
    help: 'In each operation the person stays asleep until a member who may admit people wakes the person there.',
    reason: 'Back from leave',
  })
  act({
    name: 'lost',
    description: 'A person has lost every device: revoke them all',
    work: async ({ client, terminal }, id, _reason, since) => {
      const revoked = await client.directory.revokeAll(id, since)
      terminal.note(`Revoked: ${counted(revoked, 'device')}.`)
    },
    compromised: true,
    said: (name) =>
      `Now invite ${isolated(name)} again (cordon invite), and let a person of another organization approve it.`,
    help: 'Sessions end, and keys are renewed without the devices. The new invitation works once a contact point or an administrator of another\norganization has run: cordon person approve INVITATION.',
    asks: (name, { devices, operations }) =>
      `${counted(devices, 'device')} of ${isolated(name)} will be revoked for good, and keys renewed in ${counted(operations, 'operation')}. Two people of two organizations bring ${isolated(name)} back.`,
  })
  withProof(
    onStore(
      person
        .command('approve')
        .description('Approve that a person of another organization, who lost every device, comes back')
        .argument('<invitation>', 'the id of the invitation, as its maker says')
        .option('--yes', 'do not ask'),
    ),
  )
    .addHelpText(
      'after',
      '\nMake sure by another way that the person has asked for it.\n\nExample:\n  $ cordon person approve 019a…',
    )
    .action((invitation: string, options: DeviceOptions & ConfirmationOptions & ProofOptions) =>
      asMember(options, async (device) => {
        const { client, terminal } = device
        const asked = await client.directory.recovery(invitation.trim().toLowerCase())
        const { person: who, organization, requester, state, approvableUntil } = asked
        const what = `${isolated(requester.name)} asks that ${isolated(who.name)} (${isolated(organization.name)}), who lost every device, comes back. ${state}, until ${approvableUntil}.`
        if (!(await agreed(terminal, options, what, 'Approve?')))
          return terminal.result({ invitation, approved: false }, () => ['Nothing was approved.'])
        await client.directory.approveRecovery(asked)
        return terminal.result({ invitation, approved: true }, () => [
          `Approved: ${isolated(who.name)} can enrol with the invitation.`,
        ])
      }),
    )
  act({
    name: 'retire',
    description: 'A person leaves for good',
    work: ({ client }, id, reason) => client.directory.retire(id, reason),
    said: (name) => `${isolated(name)} has left: out of all operations, sessions ended. What they posted stays.`,
    help: 'There is no way back: a person who returns is invited as a new person.',
    reason: 'Posted elsewhere',
    asks: (name, { devices, operations }) =>
      `${isolated(name)} will leave for good, with ${counted(devices, 'device')}, out of ${counted(operations, 'operation')} at once. There is no way back.`,
  })

  addDeputy(person)
}
