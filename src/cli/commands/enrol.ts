import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { isProblem, type EnrolmentRequest, type EnrolmentResult, type Me } from '../../client/index.ts'
import { parseInvitation } from '../../protocol/index.ts'
import {
  askNewSignIn,
  onDevice,
  onStore,
  orPasskey,
  withCode,
  type CommandDevice,
  type DeviceOptions,
  type ProofOptions,
} from '../device.ts'
import { CommandFailure } from '../failures.ts'
import { secretString } from '../secret-string.ts'
import { storePath } from '../store-path.ts'
import { isolated } from '../terminal.ts'
import { inBrowser } from '../passkey/browser.ts'

interface Options extends DeviceOptions, ProofOptions {
  /** False with --no-wait. */
  readonly wait: boolean
}

/** The credential with which the person signs in; empty for a service account. */
type Credential = Pick<EnrolmentRequest, 'passphrase' | 'authenticator'>

const askEveryMs = 2_000

export function addEnrol(command: Command): void {
  orPasskey(
    onStore(
      command
        .argument(
          '[invitation]',
          'the whole string that you were given; asked for if not given, read from standard input with -',
        )
        .option('--no-wait', 'do not wait until the device is certified'),
    ),
  )
    .option('--code <code>', 'code of your authenticator app, for a further device of a person with that factor')
    .addHelpText(
      'after',
      `
Makes the keys of this device and keeps them in a new encrypted store. Until the person who invited you has certified it, the device can sign in
and opens nothing. With the invitation of a service account it also makes the key that the program signs in with, and asks for no passphrase
but that of the store.

The invitation is a secret: as an argument it stays in the history of your shell.

Examples:
  $ cordon enrol                        (asks for the invitation)
  $ cordon enrol --passkey              (a further device of a person with a passkey)
  $ cordon enrol - < invitation.txt`,
    )
    .action((given: string | undefined, options: Options) =>
      onDevice({ ...options, make: true }, async (device) => {
        const { store, terminal } = device
        const invitation = await secretString(terminal, given, 'The invitation')
        const credential = await credentialFor(device, invitation, options)
        const { inviter } = await enrol(device, invitation, credential)
        if (inviter) await store.write([{ name: 'inviter', value: inviter }])
        let me = await signIn(device, credential, options)
        const path = storePath(options)
        terminal.note(
          `Enrolled: ${isolated(me.name)} (${isolated(me.organizationName)}). The keys of this device are in ${path}.`,
        )
        if (me.tier === null && options.wait) me = await untilCertified(device)
        const { person, organization, tier } = me
        terminal.result({ person, organization, device: me.device, certified: tier !== null, store: path }, () => [
          me.tier === null
            ? waiting(inviter)
            : 'This device is certified, and you are signed in. What waits for you: cordon read',
        ])
      }),
    )
}

async function credentialFor(device: CommandDevice, invitation: string, { passkey }: Options): Promise<Credential> {
  if (isForService(invitation)) return {}
  if (passkey === true) return { authenticator: inBrowser(device, () => parseInvitation(invitation).server) }
  return { passphrase: await askNewSignIn(device) }
}

async function enrol({ client }: CommandDevice, invitation: string, credential: Credential): Promise<EnrolmentResult> {
  try {
    return await client.enrol({ invitation, ...credential })
  } catch (error) {
    if (credential.authenticator && isProblem(error, 'PASSPHRASE_WEAK'))
      throw new CommandFailure(
        'A new person begins with a passphrase: enrol without --passkey, then add a passkey (cordon factors passkey add).',
      )
    throw error
  }
}

function signIn(
  { client, terminal }: CommandDevice,
  { passphrase, authenticator }: Credential,
  { code }: Options,
): Promise<Me> {
  if (authenticator) return client.signIn({ authenticator })
  if (passphrase === undefined) return client.signInService()
  return withCode(terminal, code, { passphrase }, (evidence) => client.signIn(evidence))
}

/**
 * Whether an invitation is for a service account. A damaged invitation is refused later, where it
 * is used.
 */
function isForService(invitation: string): boolean {
  try {
    return parseInvitation(invitation).tier === 'service'
  } catch {
    return false
  }
}

async function untilCertified({ client, store, terminal }: CommandDevice): Promise<Me> {
  terminal.note(`${waiting(await store.get('inviter'))} Ctrl-C ends the waiting; the enrolment holds.`)
  for (;;) {
    await sleep(askEveryMs)
    const me = await client.me()
    if (me.tier !== null) return me
  }
}

/** Says who has to certify this device. */
export function waiting(inviter: unknown): string {
  const { name, organization } = (inviter ?? {}) as { name?: string; organization?: string }
  const who = name === undefined ? 'the person who invited you' : `${isolated(name)} (${isolated(organization ?? '')})`
  return `This device waits to be certified: ${who} has to use cordon once, on any device.`
}
