import type { Command } from 'commander'
import { isProblem, type Cordon, type DueCertificate } from '../../client/index.ts'
import { openDevice, type DeviceSecrets } from '../../protocol/index.ts'
import { choose, shortId } from '../choice.ts'
import { asMember, onStore, type CommandDevice, type DeviceOptions } from '../device.ts'
import { CommandFailure, exitCodes, failAtEnd } from '../failures.ts'
import { asContactPoint } from '../organization.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { readTextFile } from '../text-input.ts'

interface Options extends DeviceOptions {
  readonly all?: true
  readonly rootFile?: string
}

export function addRenew(command: Command): void {
  onStore(
    command
      .argument('[people...]', 'name, beginning of the name, or id')
      .option('--all', 'all certificates that are listed')
      .option('--root-file <file>', 'renew this very device, an administrator’s, with the secret key of the root'),
  )
    .addHelpText(
      'after',
      `
Without people it lists the certificates that end within 60 days or have ended: a device with an ended certificate is locked out. A renewal answers
for a person for another year: make sure that the person still works for you, and retire or suspend a person who does not. A device keeps its
keys; nothing is lost, and no person has to enrol again. You cannot renew your own certificate.

Examples:
  $ cordon renew
  $ cordon renew 'Amina Otieno' 'Somchai'
  $ cordon renew --all
  $ cordon renew --root-file /media/safe-1/root.json`,
    )
    .action((people: string[], options: Options) => {
      requireOneChoice(people, options)
      return asMember(options, async (device) => {
        if (options.rootFile !== undefined) return renewOwn(device, options.rootFile)
        const { client, terminal } = device
        const due = await asContactPoint(client.renewals.due())
        if (people.length === 0 && options.all !== true) return terminal.result({ due }, () => listOf(due))
        return renewAll(device, options.all === true ? due : people.flatMap((word) => ofPerson(due, word)))
      })
    })
}

function requireOneChoice(people: readonly string[], { all, rootFile }: Options): void {
  const choices = [people.length > 0, all === true, rootFile !== undefined]
  if (choices.filter(Boolean).length > 1)
    throw new CommandFailure('Name people, or give --all, or give --root-file: one of the three.', exitCodes.usage)
}

async function renewOwn({ client, terminal }: CommandDevice, file: string): Promise<void> {
  if (client.self.certificate?.tier !== 'administrator')
    throw new CommandFailure(
      'The root renews administrators alone, and this device is not an administrator’s: let a contact point of your organization, or an administrator, renew it (cordon renew).',
    )
  const { expiresAt } = await client.renewals.renewOwn(await readSecrets(file))
  await client.me()
  terminal.result({ device: client.device, expiresAt }, () => [
    `The certificate of this device is renewed until ${dayOf(expiresAt)}. Put the key of the root back into its safe.`,
  ])
}

async function renewAll({ client, terminal }: CommandDevice, chosen: readonly DueCertificate[]): Promise<void> {
  const renewed: { device: string; person: string; expiresAt: string }[] = []
  const refused: { device: string; person: string; why: string }[] = []
  const progress = terminal.progress('Renewing', chosen.length)
  try {
    for (const [n, one] of chosen.entries()) {
      const outcome = await renewOne(client, one)
      if ('why' in outcome) refused.push(outcome)
      else renewed.push(outcome)
      progress.advance(n + 1)
    }
  } finally {
    progress.stop()
  }
  const nameOf = new Map(chosen.map(({ device, person }) => [device, isolated(person.name)]))
  terminal.result({ renewed, refused }, () => [
    ...(chosen.length === 0 ? ['Nothing is due.'] : []),
    ...renewed.map(({ device, expiresAt }) => `Renewed: ${nameOf.get(device) ?? ''}, until ${dayOf(expiresAt)}.`),
    ...refused.map(({ device, why }) => `Not renewed: ${nameOf.get(device) ?? ''}. ${why}`),
  ])
  if (refused.length > 0) failAtEnd()
}

type Outcome = { device: string; person: string } & ({ expiresAt: string } | { why: string })

/**
 * Renews one certificate. Answers a refusal instead of throwing it, so that the others are renewed
 * all the same.
 */
async function renewOne(client: Cordon, due: DueCertificate): Promise<Outcome> {
  const { device, person } = due
  try {
    return { device, person: person.id, ...(await client.renewals.renew(due)) }
  } catch (error) {
    if (!isRefusal(error)) throw error
    return { device, person: person.id, why: error.message }
  }
}

function isRefusal(error: unknown): error is Error {
  return isProblem(error, 'CERTIFICATE_REFUSED', 'CERTIFICATE_INVALID', 'DEVICE_HIDDEN', 'NOT_FOUND')
}

function ofPerson(due: readonly DueCertificate[], word: string): DueCertificate[] {
  const people = new Map(due.map(({ person }) => [person.id, person]))
  const noPerson = `No person whose certificate is due is called ${JSON.stringify(word)}`
  const { id } = choose('person whose certificate is due', word, [...people.values()], noPerson)
  return due.filter(({ person }) => person.id === id)
}

function listOf(due: readonly DueCertificate[]): string[] {
  if (due.length === 0) return ['No certificate ends within 60 days.']
  return table(
    ['name', 'organization', 'tier', 'device', 'ends'],
    due.map(({ person, organization, tier, device, expiresAt, expired }) => [
      person.name,
      organization.name,
      tier,
      shortId(device),
      expired ? `${dayOf(expiresAt)} (ended)` : dayOf(expiresAt),
    ]),
  )
}

const dayOf = (at: string) => new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' }).format(new Date(at))

async function readSecrets(file: string): Promise<DeviceSecrets> {
  const text = await readTextFile(file)
  try {
    const secrets = JSON.parse(text) as DeviceSecrets
    await openDevice(secrets)
    return secrets
  } catch {
    throw new CommandFailure(
      `The key of the root cannot be read from ${file}: it is not the file that cordon init wrote.`,
      exitCodes.usage,
    )
  }
}
