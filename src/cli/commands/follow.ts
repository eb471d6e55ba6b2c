import type { Command } from 'commander'
import { asMember } from '../device.ts'
import { inOperation, leavePlace, openPlace, senderOf, type Names, type PlaceOptions } from '../place.ts'
import { Interrupted, harmlessLine } from '../terminal.ts'
import { subjectOf } from '../threads.ts'
import { markWords, timesIn } from '../wording.ts'

export function addFollow(program: Command): void {
  inOperation(program.command('follow').description('Show messages as they come, one line each, until Ctrl-C'))
    .addHelpText(
      'after',
      `
With --json one JSON document a line. Meanwhile newcomers who wait for you are certified and get the keys that they may have.

Example:
  $ cordon follow --operation HORIZON`,
    )
    .action((options: PlaceOptions) =>
      asMember({ ...options, endsItself: true }, async (device) => {
        const { client, terminal, interrupted } = device
        const place = await Promise.race([openPlace(device, options.operation), interrupted])
        const { session, facts } = place
        let { names } = place
        const time = timesIn(facts.timeZone)
        terminal.note(`Following ${facts.name} (${facts.reference}); times in ${facts.timeZone}. Ctrl-C ends it.`)
        const ended = new Promise<string>((resolve) => session.events.on('ended', ({ reason }) => resolve(reason)))
        session.events.on('disconnected', ({ final }) =>
          terminal.note(
            final ? `Not connected any more: ${final.detail} ${final.advice}` : 'The connection is gone; trying again…',
          ),
        )
        session.events.on('caught-up', () => terminal.note('Connected again, and caught up.'))
        let line = Promise.resolve()
        session.events.on('message', (message) => {
          // In order, also where a name has to be asked for.
          line = line.then(async () => {
            if (names.people[message.person] === undefined) names = await newNames(names)
            const { organization, person } = senderOf(names, message)
            const words = [
              message.form,
              ...(message.precedence === 'routine' ? [] : [message.precedence]),
              ...markWords(message),
            ]
            const text = `${String(message.index)}  ${time(message.at)}  ${organization}, ${person}  [${words.join(', ')}]  ${subjectOf(message)}`
            terminal.result({ ...message, from: { organization, person } }, () => [harmlessLine(text)])
          })
        })
        try {
          const reason = await Promise.race([ended, interrupted])
          terminal.note(`You do not follow this operation any more (${reason}).`)
        } catch (error) {
          if (!(error instanceof Interrupted)) throw error
        }
        await line
        if (session.status !== 'ended') await leavePlace(place)

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
            // The id stands in for a name that cannot be had now.
            return before
          }
        }
      }),
    )
}
