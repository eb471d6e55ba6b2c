import type { Command } from 'commander'
import type { Message } from '../../client/index.ts'
import { asMember } from '../device.ts'
import { CommandFailure } from '../failures.ts'
import {
  inOperation,
  leaveReading,
  openOperation,
  senderOf,
  type Names,
  type OperationOptions,
} from '../followed-operation.ts'
import { Interrupted } from '../asking.ts'
import { painted } from '../looks.ts'
import { harmlessLine, isolated } from '../terminal.ts'
import { messageReference, subjectOf } from '../threads.ts'
import { markWords, timesIn } from '../words.ts'

export function addFollow(command: Command): void {
  inOperation(command)
    .addHelpText(
      'after',
      `
With --json each line is a JSON document. Meanwhile newcomers who wait for you are certified and get the keys that they may have.

Example:
  $ cordon follow --operation HORIZON`,
    )
    .action((options: OperationOptions) =>
      asMember({ ...options, endsItself: true }, async (device) => {
        const { client, terminal, interrupted, atEnd } = device
        const followed = await Promise.race([openOperation(device, options.operation), interrupted])
        const { session, facts } = followed
        let { names } = followed
        const time = timesIn(facts.timeZone)
        terminal.note(
          `Following ${isolated(facts.name)} (${isolated(facts.reference)}); times in ${facts.timeZone}. Ctrl-C ends it.`,
        )
        const ended = new Promise<never>((_, reject) => {
          atEnd(session.events.on('ended', () => reject(new CommandFailure(endedWords(facts.name)))))
          atEnd(
            session.events.on('disconnected', ({ final }) => {
              if (final) reject(final)
              else terminal.note('The connection is gone; trying again…')
            }),
          )
        })
        // The rejection may come while nothing awaits it.
        ended.catch(() => {})
        atEnd(session.events.on('caught-up', () => terminal.note('Connected again, and caught up.')))
        let line = Promise.resolve()
        const show = (message: Message) => {
          // One after the other, so that the lines stay in order where a name has to be fetched.
          line = line.then(async () => {
            if (names.people[message.person] === undefined) names = await newNames(names)
            const { organization, person } = senderOf(names, message)
            const words = [
              message.form,
              ...(message.precedence === 'routine' ? [] : [message.precedence]),
              ...(message.handling.tlp === 'AMBER' ? [] : [`TLP:${message.handling.tlp}`]),
              ...markWords(message),
            ]
            const text = `${messageReference(message.index)}  ${time(message.at)}  ${isolated(organization)}, ${isolated(person)}  [${words.join(', ')}]  ${subjectOf(message)}`
            const look = message.precedence === 'urgent' ? 'urgent' : undefined
            terminal.result({ ...message, from: { organization, person } }, () => [painted(look, harmlessLine(text))])
          })
        }
        atEnd(session.events.on('message', show))
        try {
          await Promise.race([ended, interrupted])
        } catch (error) {
          await line
          if (!(error instanceof Interrupted)) throw error
        }
        await leaveReading(followed, device)

        async function newNames(before: Names): Promise<Names> {
          try {
            const members = await client.operations.members(session.operation)
            const organizations = await client.operations.organizations(session.operation)
            return {
              people: { ...before.people, ...Object.fromEntries(members.map((one) => [one.person, one.name])) },
              organizations: {
                ...before.organizations,
                ...Object.fromEntries(organizations.map((one) => [one.organization, one.name])),
              },
            }
          } catch {
            // The id stands in for a name that cannot be fetched now.
            return before
          }
        }
      }),
    )
}

function endedWords(name: string): string {
  return `You are out of ${isolated(name)} now, or asleep there: ask a coordinator or your contact point why. Earlier messages stay in this store.`
}
