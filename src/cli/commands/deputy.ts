import type { Command } from 'commander'
import type { DutyRoster } from '../../client/index.ts'
import { choose } from '../choice.ts'
import { asMember, onStore } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { organizationMeant, type OrganizationOptions } from '../organization.ts'
import { isolated } from '../terminal.ts'
import { instantIn, sayPeriod } from '../zones.ts'

interface Options extends OrganizationOptions {
  readonly for?: string
  readonly from?: string
  readonly until?: string
  readonly reason?: string
  readonly back?: true
}

export function addDeputy(person: Command): void {
  onStore(
    person
      .command('deputy')
      .description('Let another contact point stand in for you, or take that back')
      .argument('[deputy]', 'the deputy: name, beginning of the name, or id')
      .option('--for <person>', 'the contact point who is away, if not yourself')
      .option('--from <time>', 'a day or a time, on the clocks here; now if not given')
      .option('--until <time>', 'a day, to its end, or a time; until it is taken back if not given')
      .option('--reason <text>', 'why; the log records it')
      .option('--back', 'be on duty again')
      .option('--organization <organization>', 'of another organization (administrators)'),
  )
    .addHelpText(
      'after',
      `
A new deputy replaces the deputy before. A deputy who goes away, sleeps or leaves stands in no more: then all other contact points do.

Examples:
  $ cordon person deputy 'Peter Kariuki' --from 2026-12-21 --until 2027-01-03 --reason 'Annual leave'
  $ cordon person deputy 'Peter Kariuki' --for 'Wanjiru Kamau' --reason 'Fell ill'
  $ cordon person deputy --back`,
    )
    .action((word: string | undefined, options: Options) => {
      if ((word === undefined) === (options.back === undefined))
        throw new CommandFailure('Name the deputy, or give --back.', exitCodes.usage)
      const { reason, from, until } = options
      if (word !== undefined && reason === undefined)
        throw new CommandFailure('Give the reason with --reason; the log records it.', exitCodes.usage)
      const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
      const period = {
        ...(from === undefined ? {} : { from: new Date(instantIn(timeZone, from, '--from')) }),
        ...(until === undefined ? {} : { until: new Date(instantIn(timeZone, until, '--until', true)) }),
      }
      return asMember(options, async (device) => {
        const { client, terminal } = device
        const organization = await organizationMeant(device, options)
        const people = (await client.directory.people(organization)).map((one) => ({ ...one, id: one.person }))
        const away = choose('person', options.for ?? client.person, people)
        if (word === undefined || reason === undefined) {
          await client.directory.takeBackDuty(away.id)
          return terminal.result({ person: away.id, deputy: null }, () => [`${isolated(away.name)} is on duty again.`])
        }
        const deputy = choose('person', word, people)
        if ((from ?? until) !== undefined)
          terminal.note(sayPeriod(timeZone, period.from?.toISOString(), period.until?.toISOString()))
        await client.directory.handOverDuty(away.id, { deputy: deputy.id, ...period, reason })
        const begins = period.from?.toISOString()
        const words = periodWords(begins, period.until?.toISOString() ?? null)
        return terminal.result({ person: away.id, deputy: deputy.id, ...period }, () => [
          `${isolated(deputy.name)} stands in for ${isolated(away.name)}, ${words}.`,
        ])
      })
    })
}

/**
 * The duty of a contact point in words: on duty, for which others, or away and who stands in until
 * when. Empty for any other person.
 */
export function dutyWords({ onDuty, handOvers }: DutyRoster, person: string): string {
  const present = onDuty.find((one) => one.person === person)
  const away = handOvers.find((one) => one.person === person)
  const also = present?.standsInFor.map(({ name }) => isolated(name)).join(', ') ?? ''
  const words = present === undefined ? [] : [also === '' ? 'on duty' : `on duty, also for ${also}`]
  if (away) {
    const standIn = onDuty.find(({ standsInFor }) => standsInFor.some((one) => one.person === person))
    const who = present ? away.deputy.name : standIn?.name
    const standing = who === undefined ? 'all others stand in' : `${isolated(who)} stands in`
    words.push(`away ${periodWords(present && away.from, away.until)}: ${standing}`)
  }
  return words.join('; ')
}

function periodWords(from: string | undefined, until: string | null): string {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  const time = (at: string) => format.format(new Date(at))
  const ends = until === null ? 'until it is taken back' : `until ${time(until)}`
  return from === undefined ? ends : `from ${time(from)} ${ends}`
}
