import { Argument, type Command } from 'commander'
import { organizationKinds, type OrganizationKind } from '../../access.ts'
import { choose, shortId } from '../choice.ts'
import { agreed, type ConfirmationOptions } from '../confirmation.ts'
import { asMember, onStore, withProof, type DeviceOptions, type ProofOptions } from '../device.ts'
import { readPlace } from '../organization.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { counted } from '../words.ts'

interface AddOptions extends DeviceOptions {
  readonly country?: string
  readonly region?: string
}

export function addOrganization(organization: Command): void {
  onStore(
    organization
      .command('add')
      .description('Register an organization')
      .addArgument(new Argument('<kind>', 'what it is').choices(Object.keys(organizationKinds)))
      .argument('<name>', 'its name')
      .option('--country <code>', 'code of its place (ISO 3166-1 alpha-2, XK, XX, XZ), for an administration')
      .option('--region <region>', 'the region it belongs to'),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ cordon organization add administration 'Kenya Revenue Authority' --country KE --region 'East and Southern Africa'
  $ cordon organization add rilo 'RILO ESA'`,
    )
    .action((kind: OrganizationKind, name: string, options: AddOptions) => {
      const { region } = options
      const country = readPlace(options.country)
      return asMember(options, async ({ client, terminal }) => {
        const input = {
          kind,
          name,
          ...(country === undefined ? {} : { country }),
          ...(region === undefined ? {} : { region }),
        }
        const id = await client.directory.registerOrganization(input, (similar) => {
          for (const one of similar)
            terminal.note(
              `Its name looks like that of ${isolated(one.name)} (${one.organization}). If that is not meant, end it: cordon organization end ${id}`,
            )
        })
        terminal.result({ organization: id, kind, name }, () => [`Registered: ${isolated(name)}, with the id ${id}.`])
      })
    })

  withProof(
    onStore(
      organization
        .command('end')
        .description('An organization leaves, and its people with it')
        .argument('<organization>', 'name, beginning of the name, or id')
        .requiredOption('--reason <text>', 'why; the log records it')
        .option('--yes', 'do not ask'),
    ),
  )
    .addHelpText(
      'after',
      `
Its people leave every operation at once and their sessions end; their messages stay. There is no way back.

Example:
  $ cordon organization end 'Kenya Revenue Authority' --reason 'Left the programme'`,
    )
    .action((word: string, options: DeviceOptions & ConfirmationOptions & ProofOptions & { reason: string }) =>
      asMember(options, async (device) => {
        const { client, terminal } = device
        const all = (await client.directory.organizations()).map((one) => ({ ...one, id: one.organization }))
        const { id, name, ended } = choose('organization', word, all)
        if (ended)
          return terminal.result({ organization: id, people: 0 }, () => [`${isolated(name)} has left already.`])
        const { people, devices, operations } = await client.directory.atStakeIn(id)
        const who = people.length === 0 ? 'without people' : people.map((one) => isolated(one.name)).join(', ')
        const what = `${isolated(name)} will leave for good, with ${counted(people.length, 'person', 'people')} (${who}) and ${counted(devices, 'device')}, out of ${counted(operations, 'operation')} at once. There is no way back.`
        if (!(await agreed(terminal, options, what, 'Go on?')))
          return terminal.result({ organization: id, ended: false }, () => ['Nothing was done.'])
        const gone = await client.directory.endOrganization(id, options.reason)
        return terminal.result({ organization: id, ended: true, people: gone }, () => [
          `${isolated(name)} has left, with ${counted(gone, 'person', 'people')}.`,
        ])
      }),
    )

  onStore(organization.command('list').description('List all organizations'))
    .addHelpText('after', '\nExample:\n  $ cordon organization list')
    .action((options: DeviceOptions) =>
      asMember(options, async ({ client, terminal }) => {
        const organizations = await client.directory.organizations()
        const rows = organizations.map(({ name, kind, country, region, ended, organization: id }) => [
          name,
          kind,
          country ?? '',
          region ?? '',
          ended ? 'has left' : '',
          shortId(id),
        ])
        terminal.result({ organizations }, () => table(['name', 'kind', 'country', 'region', '', 'id'], rows))
      }),
    )
}
