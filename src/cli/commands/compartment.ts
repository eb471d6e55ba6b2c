import type { Command } from 'commander'
import { choose, shortId, type Choice } from '../choice.ts'
import { agreed, type ConfirmationOptions } from '../confirmation.ts'
import { asMember, type CommandDevice } from '../device.ts'
import {
  inOperation,
  leaveOperation,
  membersIn,
  openOperation,
  type FollowedOperation,
  type OperationOptions,
} from '../followed-operation.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { counted, number } from '../words.ts'

export function addCompartment(operation: Command): void {
  const compartment = operation.command('compartment').description('Compartments: who needs to know what')

  inOperation(compartment.command('list').description('List the compartments that you see'))
    .addHelpText('after', '\nExample:\n  $ cordon operation compartment list')
    .action((options: OperationOptions) =>
      inFollowedOperation(options, async ({ client, terminal }, { session, names }) => {
        const compartments = await client.operations.compartments(session.operation)
        const rows = compartments.map(({ name, members, compartment: id }) => [
          name,
          members.map((person) => isolated(names.people[person] ?? person)).join(', '),
          shortId(id),
        ])
        terminal.result({ compartments }, () => table(['name', 'members', 'id'], rows))
      }),
    )

  inOperation(
    compartment
      .command('create')
      .description('Create a compartment with yourself and these members')
      .argument('<name>', 'its name')
      .argument('[people...]', 'names or ids of members'),
  )
    .addHelpText('after', "\nExample:\n  $ cordon operation compartment create 'KE–HK' 'Wanjiru Kamau' 'Chan Tai Man'")
    .action((name: string, people: string[], options: OperationOptions) =>
      inFollowedOperation(options, async ({ client, terminal }, followed) => {
        const { session } = followed
        const all = membersIn(followed)
        const members = people.map((who) => choose('member', who, all).id)
        const id = await client.operations.createCompartment(session.operation, { name, members })
        terminal.result({ compartment: id, name, members }, () => [`Created: ${isolated(name)}, with the id ${id}.`])
      }),
    )

  change(compartment, 'add', 'Add a member to a compartment', async ({ client }, operation, id, person) =>
    client.operations.addToCompartment(operation, id, person),
  )
  change(compartment, 'remove', 'Remove a member from a compartment', async ({ client }, operation, id, person) =>
    client.operations.removeFromCompartment(operation, id, person),
  )
}

function change(
  compartment: Command,
  verb: 'add' | 'remove',
  description: string,
  act: (device: CommandDevice, operation: string, compartment: string, person: string) => Promise<void>,
): void {
  inOperation(
    compartment
      .command(verb)
      .description(description)
      .argument('<compartment>', 'name or id; all for a service account, which is in it only so')
      .argument('<person>', 'name or id of a member of the operation')
      .option('--yes', 'do not ask'),
  )
    .addHelpText('after', `\nExample:\n  $ cordon operation compartment ${verb} 'KE–HK' 'Chan Tai Man'`)
    .action((which: string, who: string, options: OperationOptions & ConfirmationOptions) =>
      inFollowedOperation(options, async (device, followed) => {
        const { session } = followed
        const { terminal } = device
        const { id, name } = await findCompartment(device, session.operation, which)
        const person = choose('member', who, membersIn(followed))
        const opened = verb === 'add' ? openedBy(followed, id) : undefined
        if (opened !== undefined) {
          const what = `${isolated(person.name)} will read what was said in ${isolated(name)} before, too: ${opened.words}.`
          if (opened.red === 0) terminal.note(what)
          else if (!(await agreed(terminal, options, what, 'Go on?')))
            return terminal.result({ compartment: id, person: null }, () => ['Nothing was done.'])
        }
        await act(device, session.operation, id, person.id)
        const words =
          verb === 'add'
            ? `${isolated(person.name)} is in ${isolated(name)} now.`
            : `${isolated(person.name)} is out of ${isolated(name)} now.`
        terminal.result({ compartment: id, person: person.id }, () => [words])
      }),
    )
}

/**
 * The earlier messages of a compartment, as this device has them, that its keys open to a newcomer;
 * undefined where newcomers read only what is said from then on, or nothing was said.
 */
function openedBy({ session, facts }: FollowedOperation, compartment: string) {
  const before = session.messages.filter((message) => message.compartment === compartment)
  if (facts.history !== 'full' || before.length === 0) return undefined
  const red = before.filter(({ handling }) => handling.tlp === 'RED').length
  const words = counted(before.length, 'message')
  return { red, words: red === 0 ? words : `${words}, ${number(red)} of them TLP:RED` }
}

function inFollowedOperation(
  options: OperationOptions,
  work: (device: CommandDevice, followed: FollowedOperation) => Promise<void>,
): Promise<void> {
  return asMember(options, async (device) => {
    const followed = await openOperation(device, options.operation)
    await work(device, followed)
    await leaveOperation(followed)
  })
}

/** The compartment that a word names, by id or name. Throws CommandFailure. */
export async function findCompartment({ client }: CommandDevice, operation: string, word: string): Promise<Choice> {
  const all = await client.operations.compartments(operation)
  return choose(
    'compartment',
    word,
    all.map(({ compartment: id, name }) => ({ id, name })),
  )
}
