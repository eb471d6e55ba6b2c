import { Argument, Option, type Command } from 'commander'
import { may, nextStates, roles, states, type Role, type State } from '../../access.ts'
import type { Cordon } from '../../client/index.ts'
import { comparingForm, isTimeZone } from '../../forms/index.ts'
import type { PersonId } from '../../protocol/index.ts'
import { choose, idOf, shortId } from '../choice.ts'
import { agreed, type ConfirmationOptions } from '../confirmation.ts'
import { asMember, onStore, withProof, type DeviceOptions } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import {
  chooseOperation,
  entries,
  inOperation,
  leaveOperation,
  membersIn,
  openOperation,
  organizationIn,
  type FollowedOperation,
  type OperationOptions,
} from '../followed-operation.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { counted, stateWords } from '../words.ts'
import { addCompartment } from './compartment.ts'
import { sleepersIn, wakeAll, type WakeOptions } from './wake-all.ts'

interface CreateOptions extends DeviceOptions {
  readonly reference: string
  readonly timeZone: string
  readonly purpose?: string
  readonly coordinator: readonly string[]
  readonly history: 'full' | 'from-joining'
  readonly allHolds?: readonly ('partner' | 'observer')[]
}

export function addOperation(operation: Command): void {
  addCreate(operation)
  addListAndShow(operation)
  addMembers(operation)
  addCompartment(operation)
}

function addCreate(operation: Command): void {
  onStore(
    operation
      .command('create')
      .description('Create an operation and name its first coordinators (administrators)')
      .argument('<name>', 'its name')
      .requiredOption('--reference <reference>', 'a short reference')
      .requiredOption('--time-zone <zone>', 'IANA time zone in which the operation runs')
      .option('--purpose <text>', 'the justification of consultations (otherwise its name and reference)')
      .requiredOption('--coordinator <who...>', "'ORGANIZATION/PERSON', not yourself; several may follow")
      .addOption(
        new Option('--history <rule>', 'what newcomers may read').choices(['full', 'from-joining']).default('full'),
      )
      .addOption(
        new Option('--all-holds <role...>', 'who else is in the compartment all').choices(['partner', 'observer']),
      ),
  )
    .addHelpText(
      'after',
      `
Example:
  $ cordon operation create 'Operation Horizon' --reference HORIZON --time-zone Europe/Brussels \\
      --coordinator 'Coordination unit/Jonas Weber'`,
    )
    .action((name: string, options: CreateOptions) =>
      asMember(options, async ({ client, terminal }) => {
        const coordinators: { person: string; organization: string; name: string }[] = []
        for (const who of options.coordinator) coordinators.push(await findPerson(client, who))
        const { reference, timeZone, purpose, history, allHolds = [] } = options
        if (!isTimeZone(timeZone))
          throw new CommandFailure(
            `There is no time zone ${JSON.stringify(timeZone)}: give a zone such as Europe/Brussels.`,
            exitCodes.usage,
          )
        const id = await client.operations.create({
          name,
          reference,
          timeZone,
          ...(purpose === undefined ? {} : { purpose }),
          coordinators,
          history,
          allHolds,
        })
        terminal.result({ operation: id, name, reference }, () => [
          `Created: ${isolated(name)} (${isolated(reference)}), a draft, with the id ${id}.`,
          `Its coordinators are ${coordinators.map((one) => isolated(one.name)).join(', ')}; you are not in it.`,
        ])
      }),
    )
}

async function findPerson(
  client: Cordon,
  who: string,
): Promise<{ person: string; organization: string; name: string }> {
  const slash = who.lastIndexOf('/')
  if (slash < 0)
    throw new CommandFailure(`${JSON.stringify(who)} names no person: write ORGANIZATION/PERSON.`, exitCodes.usage)
  const organizations = (await client.directory.organizations()).map((one) => ({
    id: one.organization,
    name: one.name,
  }))
  const organization = choose('organization', who.slice(0, slash), organizations)
  const people = (await client.directory.people(organization.id)).map(({ person, name }) => ({ id: person, name }))
  const { id, name } = choose(`person of ${isolated(organization.name)}`, who.slice(slash + 1), people)
  return { person: id, organization: organization.id, name }
}

function addListAndShow(operation: Command): void {
  onStore(operation.command('list').description('List the operations that you are in'))
    .addHelpText('after', '\nExample:\n  $ cordon operation list')
    .action((options: DeviceOptions) =>
      asMember(options, async ({ client, terminal }) => {
        const operations = await client.operations.list()
        const rows = operations.map(({ name, reference, state, role, timeZone, operation: id }) => [
          name,
          reference,
          state,
          role,
          timeZone,
          shortId(id),
        ])
        terminal.result({ operations }, () =>
          table(['name', 'reference', 'state', 'your role', 'time zone', 'id'], rows),
        )
      }),
    )

  inOperation(
    operation.command('show').description('Show an operation: its state, organizations, members and compartments'),
  )
    .addHelpText('after', '\nExample:\n  $ cordon operation show --operation HORIZON')
    .action((options: OperationOptions) =>
      asMember(options, async (device) => {
        const { client, terminal } = device
        const { operation: id } = await chooseOperation(device, options.operation)
        const [facts, organizations, members, compartments] = await Promise.all([
          client.operations.show(id),
          client.operations.organizations(id),
          client.operations.members(id),
          client.operations.compartments(id),
        ])
        const nameOf = (organization: string) =>
          organizations.find((one) => one.organization === organization)?.name ?? organization
        const people = members
          .map(({ person, name, organization, role, asleep }) => [
            nameOf(organization),
            name,
            role,
            asleep ? 'asleep' : '',
            shortId(person),
          ])
          .sort((a, b) => (`${a[0] ?? ''} ${a[1] ?? ''}` < `${b[0] ?? ''} ${b[1] ?? ''}` ? -1 : 1))
        terminal.result({ ...facts, organizations, members, compartments }, () => [
          ...table(
            ['', ''],
            [
              ['Operation', `${isolated(facts.name)} (${isolated(facts.reference)})`],
              ['State', facts.state],
              ['Your role', facts.role],
              ['Time zone', facts.timeZone],
              ['Newcomers read', facts.history === 'full' ? 'everything' : 'messages since they joined'],
              ['Id', id],
            ],
          ).slice(1),
          '',
          `${counted(organizations.length, 'organization')}, ${counted(members.length, 'member')}`,
          ...table(['organization', 'name', 'role', '', 'id'], people),
          ...organizations
            .filter(({ organization }) => !members.some((member) => member.organization === organization))
            .map(({ name, organization, ended }) =>
              ended
                ? `${isolated(name)} has left (${shortId(organization)})`
                : `${isolated(name)} has no member yet (${shortId(organization)})`,
            ),
          '',
          ...table(
            ['compartment', 'members', 'key no.', 'id'],
            compartments.map((one) => [
              one.name,
              String(one.members.length),
              one.epoch === 0 ? 'none yet' : one.stale ? 'renewed with the next message' : String(one.epoch),
              shortId(one.compartment),
            ]),
          ),
        ])
      }),
    )
}

function addMembers(operation: Command): void {
  inOperation(
    operation
      .command('admit')
      .description('Admit an organization, or a person of an organization with a role')
      .argument('<organization>', 'its name, or the beginning of it, or its id')
      .argument('[person]', 'name or id of a person of it')
      .addOption(new Option('--role <role>', 'the role of the person in the operation').choices(roles)),
  )
    .addHelpText(
      'after',
      `
An organization that is not in the operation yet is admitted first (coordinators); the log records the name by which it was looked for.

Examples:
  $ cordon operation admit 'Kenya Revenue Authority' 'Wanjiru Kamau' --role ncp
  $ cordon operation admit kenya 'Otieno Odhiambo' --role officer`,
    )
    .action((word: string, who: string | undefined, options: OperationOptions & { role?: Role }) =>
      asMember(options, async (device) => {
        const { client, terminal } = device
        if ((who === undefined) !== (options.role === undefined))
          throw new CommandFailure('Name a person and --role together, or neither.', exitCodes.usage)
        const followed = await openOperation(device, options.operation)
        const id = followed.session.operation
        const organization = await organizationToAdmit(client, followed, word)
        const inside = (await client.operations.organizations(id)).some((one) => one.organization === organization)
        if (!inside) await client.operations.admitOrganization(id, organization)
        const organizations = await client.operations.organizations(id)
        const name = organizations.find((one) => one.organization === organization)?.name ?? organization
        if (who === undefined) {
          await leaveOperation(followed)
          return terminal.result({ organization, admitted: !inside }, () => [
            inside ? `${isolated(name)} is in the operation.` : `Admitted: ${isolated(name)}.`,
          ])
        }
        const people = (await client.operations.candidates(id, organization)).map((one) => ({ ...one, id: one.person }))
        const { id: person, name: called } = choose(`person of ${isolated(name)}`, who, people)
        const role = options.role as Role
        await client.operations.admit(id, { person, organization, role })
        await leaveOperation(followed)
        return terminal.result({ organization, person, role }, () => [
          `Admitted: ${isolated(called)} (${isolated(name)}) as ${role}.`,
        ])
      }),
    )

  inOperation(
    operation
      .command('role')
      .description('Change the role of a member')
      .argument('<person>', 'name or id of the member')
      .addArgument(new Argument('<role>', 'the new role').choices(roles)),
  )
    .addHelpText('after', "\nExample:\n  $ cordon operation role 'Otieno Odhiambo' ncp")
    .action((who: string, role: Role, options: OperationOptions) =>
      asMember(options, async (device) => {
        const followed = await openOperation(device, options.operation)
        const { id, name } = choose('member', who, membersIn(followed))
        await device.client.operations.changeRole(followed.session.operation, id, role)
        await leaveOperation(followed)
        device.terminal.result({ person: id, role }, () => [`${isolated(name)} is ${role} now.`])
      }),
    )

  inOperation(
    operation
      .command('remove')
      .description('Remove a member, or an organization with all its members')
      .argument('<who>', 'name or id of the member or organization')
      .option('--whole-organization', 'remove an organization')
      .option('--yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      "\nExamples:\n  $ cordon operation remove 'Otieno Odhiambo'\n  $ cordon operation remove 'Kenya Revenue Authority' --whole-organization",
    )
    .action((who: string, options: OperationOptions & ConfirmationOptions & { wholeOrganization?: true }) =>
      asMember(options, async (device) => {
        const { operations } = device.client
        const followed = await openOperation(device, options.operation)
        const whole = options.wholeOrganization === true
        const { id, name } = whole ? organizationIn(followed, who) : choose('member', who, membersIn(followed))
        const people = membersIn(followed).filter(
          (one) => followed.session.view.member(one.id as PersonId)?.organization === id,
        )
        const what = whole
          ? `${isolated(name)} will be removed with ${counted(people.length, 'member')}${people.length === 0 ? '' : `: ${people.map((one) => isolated(one.name)).join(', ')}`}. Keys are renewed without them; each is admitted anew if it was a mistake.`
          : `${isolated(name)} will be removed: keys are renewed without them.`
        if (!(await agreed(device.terminal, options, what, 'Go on?')))
          return device.terminal.result({ removed: null }, () => ['Nobody was removed.'])
        if (whole) await operations.removeOrganization(followed.session.operation, id)
        else await operations.remove(followed.session.operation, id)
        // The next message is sealed for the members who are left.
        device.terminal.result({ removed: id }, () => [
          `Removed: ${isolated(name)}. Messages from now on are sealed without them.`,
        ])
      }),
    )

  withProof(
    inOperation(
      operation
        .command('wake')
        .description('Take back a member who slept, or all whom you may')
        .argument('[person]', 'name or id of the member')
        .option(
          '--all',
          'all members of your organization who sleep in the operation; as a coordinator, those of all organizations',
        )
        .option('--reason <text>', 'why accounts are woken; the log records it', 'needed in an operation'),
    ),
  )
    .addHelpText(
      'after',
      `
The account is woken first: cordon person wake. With --all a contact point wakes the accounts of its own people as well.

Examples:
  $ cordon operation wake 'Otieno Odhiambo'
  $ cordon operation wake --all`,
    )
    .action((who: string | undefined, options: WakeOptions) =>
      asMember(options, async (device) => {
        if ((who === undefined) !== (options.all === true))
          throw new CommandFailure('Name a member, or say --all.', exitCodes.usage)
        const followed = await openOperation(device, options.operation)
        if (who === undefined) return wakeAll(device, followed, options)
        const { id, name } = choose('member', who, membersIn(followed))
        await device.client.operations.wake(followed.session.operation, id)
        device.terminal.result({ woken: id }, () => [`Woken: ${isolated(name)}. The next key is sealed for them too.`])
      }),
    )

  inOperation(
    operation
      .command('advance')
      .description('Move the operation to its next state')
      .addArgument(new Argument('<state>', 'draft → rehearsal → active → reporting → closed').choices(states))
      .option('--reason <reason>', 'why, for the log')
      .option('--yes', 'do not ask'),
  )
    .addHelpText('after', '\nExample:\n  $ cordon operation advance active')
    .action((state: State, options: OperationOptions & ConfirmationOptions & { reason?: string }) =>
      asMember(options, async (device) => {
        const followed = await openOperation(device, options.operation)
        const { name, state: present } = followed.facts
        const what = `${isolated(name)} is ${stateWords[present]} and will be ${stateWords[state]}. There is no way back.`
        const canGoBack = nextStates(state).includes(present)
        if (!canGoBack && !(await agreed(device.terminal, options, what, 'Go on?')))
          return device.terminal.result({ state: present }, () => ['Nothing was done.'])
        const sleepers = sleepersIn(followed).length
        await device.client.operations.advance(followed.session.operation, state, options.reason)
        await leaveOperation(followed)
        device.terminal.result({ operation: followed.session.operation, state, sleepers }, () => [
          `${isolated(followed.facts.name)} is ${stateWords[state]} now.`,
          ...(state === 'rehearsal' ? ['Messages are marked EXERCISE and count in no figure.'] : []),
          ...((state === 'rehearsal' || state === 'active') && sleepers > 0
            ? [`${counted(sleepers, 'member')} asleep: cordon operation wake --all. Who else may wake them was told.`]
            : []),
        ])
      }),
    )
}

/**
 * The organization that a word names: one of the operation, or one that the service finds for a
 * coordinator. Throws CommandFailure.
 */
async function organizationToAdmit(client: Cordon, followed: FollowedOperation, word: string): Promise<string> {
  const id = idOf(word)
  if (id !== undefined) return id
  const { session, names, facts } = followed
  const inside = entries(names.organizations)
  const isInside = inside.some(({ name }) => comparingForm(name) === comparingForm(word))
  if (isInside || !may(facts.role, 'organization.admit', facts.state).allowed)
    return choose('organization', word, inside).id
  const found = (await client.operations.organizationsNamed(session.operation, word)).map((one) => ({
    id: one.organization,
    name: one.name,
  }))
  if (found.length > 0) return choose('organization', word, found).id
  return choose(
    'organization',
    word,
    inside,
    `No organization of the service is called ${isolated(JSON.stringify(word))}`,
  ).id
}
