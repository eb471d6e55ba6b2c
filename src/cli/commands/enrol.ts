import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Me } from '../../client/index.ts'
import { parseInvitation } from '../../protocol/index.ts'
import { askSignIn, onDevice, onStore, storePath, withCode, type Device, type DeviceOptions } from '../device.ts'

interface Options extends DeviceOptions {
  /** False with --no-wait. */
  readonly wait: boolean
  readonly code?: string
}

const askEvery = 2_000

export function addEnrol(program: Command): void {
  onStore(
    program
      .command('enrol')
      .description('Enrol this device with an invitation, and sign in')
      .argument('<invitation>', 'the whole string that you were given')
      .option('--no-wait', 'do not wait until the device is certified'),
  )
    .option('--code <code>', 'of your authenticator app, for a further device of somebody who has one')
    .addHelpText(
      'after',
      `
Makes the keys of this device and keeps them in a new encrypted store. Until whoever invited you has certified it, the device can sign in
and opens nothing. With the invitation of a service account it also makes the key that the program signs in with, and asks for no passphrase
but that of the store.

Example:
  $ cordon enrol 'cordon-invitation:…'`,
    )
    .action((invitation: string, options: Options) =>
      onDevice({ ...options, make: true }, async (device) => {
        const { client, store, terminal } = device
        const passphrase = isForService(invitation) ? undefined : await askSignIn(terminal, true)
        const { inviter } = await client.enrol({ invitation, ...(passphrase === undefined ? {} : { passphrase }) })
        if (inviter) await store.write([{ name: 'inviter', value: inviter }])
        let me: Me = await (passphrase === undefined
          ? client.signInService()
          : withCode(terminal, options.code, { passphrase }, (evidence) => client.signIn(evidence)))
        const path = storePath(options)
        terminal.note(`Enrolled: ${me.name} (${me.organizationName}). The keys of this device are in ${path}.`)
        if (me.tier === null && options.wait) me = await untilCertified(device)
        const { person, organization, tier } = me
        terminal.result({ person, organization, device: me.device, certified: tier !== null, store: path }, () => [
          me.tier === null ? waiting(inviter) : 'This device is certified, and you are signed in.',
        ])
      }),
    )
}

/** A service account makes a key to sign in with; a damaged invitation is refused where it is used. */
function isForService(invitation: string): boolean {
  try {
    return parseInvitation(invitation).tier === 'service'
  } catch {
    return false
  }
}

async function untilCertified({ client, store, terminal }: Device): Promise<Me> {
  terminal.note(`${waiting(await store.get('inviter'))} Ctrl-C ends the waiting; the enrolment holds.`)
  for (;;) {
    await sleep(askEvery)
    const me = await client.me()
    if (me.tier !== null) return me
  }
}

/** For whom a newcomer waits. */
export function waiting(inviter: unknown): string {
  const { name, organization } = (inviter ?? {}) as { name?: string; organization?: string }
  const who = name === undefined ? 'whoever invited you' : `${name} (${organization ?? ''})`
  return `This device waits to be certified: ${who} has to use cordon once, on any device.`
}
