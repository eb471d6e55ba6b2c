import { Argument, type Command } from 'commander'
import { organizationKinds, type OrganizationKind } from '../../access.ts'
import { asMember, onStore, type DeviceOptions } from '../device.ts'
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
