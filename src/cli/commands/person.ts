import type { Command } from 'commander'
import { choose, idOf } from '../choice.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import {
  asMember,
  asProven,
  onStore,
  orPasskey,
  type Device,
  type DeviceOptions,
  type ProofOptions,
} from '../device.ts'
import { table } from '../terminal.ts'

interface Options extends DeviceOptions {
  readonly organization?: string
}

interface ActOptions extends Options, ProofOptions {
  readonly reason: string
}

export function addPerson(program: Command): void {
  const person = program
    .command('person')
    .description('The people of your organization (contact points, administrators)')

  onStore(person.command('list').description('Who there is'))
    .option('--organization <organization>', 'of another organization (administrators)')
    .addHelpText(
      'after',
      '\nAn account that nobody uses sleeps on the day shown; whoever signs in stays awake.\n\nExample:\n  $ cordon person list',
    )
    .action((options: Options) =>
      asMember(options, async (device) => {
        const all = await device.client.directory.people(await organizationOf(device, options))
        const people = all.filter(({ service }) => !service)
        const state = ({ certified, asleep }: (typeof people)[number]) =>
          asleep ? 'asleep' : certified ? 'active' : 'without a device'
        const sleeps = ({ sleepsAt, needed }: (typeof people)[number]) =>
          needed ? 'is needed: stays awake' : (sleepsAt?.slice(0, 10) ?? '')
        device.terminal.result({ people }, () =>
          table(
            ['name', 'state', 'sleeps (UTC)', 'id'],
            people.map((one) => [one.name, state(one), sleeps(one), one.person]),
          ),
        )
      }),
    )

  const act = (
    name: string,
    description: string,
    work: (device: Device, person: string, reason: string) => Promise<void>,
    said: (name: string) => string,
    help: string,
  ) =>
    orPasskey(
      onStore(person.command(name).description(description).argument('<person>', 'name, beginning of the name, or id')),
    )
      .requiredOption('--reason <text>', 'why; it is entered in the log')
      .option('--organization <organization>', 'of another organization (administrators)')
      .option('--code <code>', 'of your authenticator app, where the service asks for one')
      .addHelpText(
        'after',
        `\n${help}\n\nExample:\n  $ cordon person ${name} 'Amina Otieno' --reason 'Posted elsewhere'`,
      )
      .action((word: string, options: ActOptions) =>
        asMember(options, async (device) => {
          const { client, terminal } = device
          const organization = await organizationOf(device, options)
          const people = (await client.directory.people(organization)).map((one) => ({ ...one, id: one.person }))
          const { id, name: chosen } = choose('person', word, people)
          await asProven(device, options, () => work(device, id, options.reason))
          terminal.result({ person: id, [name]: true }, () => [said(chosen)])
        }),
      )

  act(
    'suspend',
    'Keep a person out until woken',
    ({ client }, id, reason) => client.directory.suspend(id, reason),
    (name) => `${name} is suspended: out of all operations, sessions ended, nothing lost.`,
    'All sessions of the person end at once, in every operation the person sleeps, and keys are renewed without them.',
  )
  act(
    'wake',
    'Let a suspended or sleeping person sign in again',
    ({ client }, id, reason) => client.directory.wake(id, reason),
    (name) => `${name} can sign in again. In each operation somebody who may admit wakes them: cordon operation wake.`,
    'In operations the person stays asleep until somebody who may admit there wakes them too.',
  )
  act(
    'lost',
    'A person has lost every device: revoke them all',
    async ({ client, terminal }, id) => terminal.note(`Revoked: ${String(await client.directory.revokeAll(id))}.`),
    (name) => `Now invite ${name} again (cordon invite), and let somebody of another organization approve it.`,
    'Sessions end, and keys are renewed without the devices. The new invitation works once a contact point or an administrator of another\norganization has run: cordon person approve INVITATION.',
  )
  orPasskey(
    onStore(
      person
        .command('approve')
        .description('Approve, for another organization, that somebody who lost every device comes back')
        .argument('<invitation>', 'the id of the invitation, as whoever made it says')
        .option('--yes', 'do not ask')
        .option('--code <code>', 'of your authenticator app, where the service asks for one'),
    ),
  )
    .addHelpText(
      'after',
      '\nMake sure by another way that the person has asked for it.\n\nExample:\n  $ cordon person approve 019a…',
    )
    .action((invitation: string, options: DeviceOptions & ProofOptions & { yes?: true }) =>
      asMember(options, async (device) => {
        const { client, terminal } = device
        const asked = await client.directory.recovery(invitation.trim().toLowerCase())
        const { person: who, organization, requester, state, approvableUntil } = asked
        terminal.note(
          `${requester.name} asks that ${who.name} (${organization.name}), who lost every device, comes back. ${state}, until ${approvableUntil}.`,
        )
        if (options.yes !== true) {
          if (!terminal.interactive) throw new CommandFailure('Nobody can be asked here: say --yes.', exitCodes.usage)
          if (!/^y(es)?$/i.test((await terminal.ask('Approve? (yes/no) ')).trim()))
            return terminal.result({ invitation, approved: false }, () => ['Nothing was approved.'])
        }
        await asProven(device, options, () => client.directory.approveRecovery(asked))
        terminal.result({ invitation, approved: true }, () => [`Approved: ${who.name} can enrol with the invitation.`])
      }),
    )
  act(
    'retire',
    'A person leaves for good',
    ({ client }, id, reason) => client.directory.retire(id, reason),
    (name) => `${name} has left: out of all operations, sessions ended. What they posted stays.`,
    'There is no way back: somebody who returns is invited as a new person.',
  )
}

async function organizationOf({ client }: Device, { organization }: Options): Promise<string> {
  if (organization === undefined) return client.organization
  const id = idOf(organization)
  if (id !== undefined) return id
  const all = await client.directory.organizations()
  return choose(
    'organization',
    organization,
    all.map((one) => ({ id: one.organization, name: one.name })),
  ).id
}
