import { Argument, type Command } from 'commander'
import { organizationKinds, type OrganizationKind } from '../../access.ts'
import { choose } from '../choice.ts'
import { asMember, asProven, onStore, orPasskey, type DeviceOptions, type ProofOptions } from '../device.ts'
import { table } from '../terminal.ts'

interface Add extends DeviceOptions {
  readonly country?: string
  readonly region?: string
}

export function addOrganization(program: Command): void {
  const organization = program.command('organization').description('Organizations of the service (administrators)')

  onStore(
    organization
      .command('add')
      .description('Register an organization')
      .addArgument(new Argument('<kind>', 'what it is').choices(Object.keys(organizationKinds)))
      .argument('<name>', 'its name')
      .option('--country <code>', 'ISO 3166-1 alpha-2 code, for an administration')
      .option('--region <region>', 'the region it belongs to'),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ cordon organization add administration 'Kenya Revenue Authority' --country KE --region 'East and Southern Africa'
  $ cordon organization add rilo 'RILO ESA'`,
    )
    .action((kind: OrganizationKind, name: string, options: Add) =>
      asMember(options, async ({ client, terminal }) => {
        const { country, region } = options
        const id = await client.directory.registerOrganization({
          kind,
          name,
          ...(country === undefined ? {} : { country: country.toUpperCase() }),
          ...(region === undefined ? {} : { region }),
        })
        terminal.result({ organization: id, kind, name }, () => [`Registered: ${name}, with the id ${id}.`])
      }),
    )

  orPasskey(
    onStore(
      organization
        .command('end')
        .description('An organization leaves, and its people with it')
        .argument('<organization>', 'name, beginning of the name, or id')
        .requiredOption('--reason <text>', 'why; it is entered in the log')
        .option('--code <code>', 'of your authenticator app, where the service asks for one'),
    ),
  )
    .addHelpText(
      'after',
      `
Its people are out of every operation at once and their sessions end; what they posted stays. There is no way back.

Example:
  $ cordon organization end 'Kenya Revenue Authority' --reason 'Left the programme'`,
    )
    .action((word: string, options: DeviceOptions & ProofOptions & { reason: string }) =>
      asMember(options, async (device) => {
        const { client, terminal } = device
        const all = (await client.directory.organizations()).map((one) => ({ ...one, id: one.organization }))
        const { id, name } = choose('organization', word, all)
        const people = await asProven(device, options, () => client.directory.endOrganization(id, options.reason))
        terminal.result({ organization: id, people }, () => [`${name} has left, with ${String(people)} people.`])
      }),
    )

  onStore(organization.command('list').description('List all organizations'))
    .addHelpText('after', '\nExample:\n  $ cordon organization list')
    .action((options: DeviceOptions) =>
      asMember(options, async ({ client, terminal }) => {
        const organizations = await client.directory.organizations()
        const rows = organizations.map(({ name, kind, country, region, organization: id }) => [
          name,
          kind,
          country ?? '',
          region ?? '',
          id,
        ])
        terminal.result({ organizations }, () => table(['name', 'kind', 'country', 'region', 'id'], rows))
      }),
    )
}
