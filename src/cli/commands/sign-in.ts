import type { Command } from 'commander'
import { isProblem } from '../../client/index.ts'
import {
  askSignIn,
  asMember,
  onDevice,
  onStore,
  orPasskey,
  passkeysOf,
  tellCertified,
  withCode,
  type CommandDevice,
  type DeviceOptions,
  type ProofOptions,
} from '../device.ts'
import { leaveOperation, openOperation } from '../followed-operation.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { choose, shortId } from '../choice.ts'
import { waiting } from './enrol.ts'

export function addSignIn(command: Command): void {
  orPasskey(onStore(command))
    .option('--code <code>', 'code of your authenticator app, or a recovery code, where you have a second factor')
    .addHelpText(
      'after',
      `
Certifies the newcomers that wait for you, and gives newcomers of your operations the keys that they may have. With --passkey it prints an address of the
service to open in a browser on this machine, and waits for its answer.

Examples:
  $ cordon sign-in
  $ cordon sign-in --passkey`,
    )
    .action((options: DeviceOptions & ProofOptions) =>
      onDevice(options, async (device) => {
        const { client, store, terminal } = device
        const me = await signIn(device, options)
        if (me.tier !== null) {
          tellCertified(me.certified, terminal)
          for (const { operation, name } of await client.operations.list()) await visit(device, operation, name)
        }
        const { person, name, organization, organizationName, tier } = me
        const certified = tier !== null
        const inviter = await store.get('inviter')
        terminal.result({ person, name, organization, device: me.device, tier, certified }, () => [
          `Signed in: ${isolated(name)} (${isolated(organizationName)}).`,
          ...(certified ? [] : [waiting(inviter)]),
          ...endingSoon(client.self.certificate),
          ...(me.renewalsDue === 0
            ? []
            : [
                `Certificates of your people that end soon or have ended: ${String(me.renewalsDue)}. See them: cordon renew`,
              ]),
        ])
      }),
    )
}

const noticedWithinMs = 60 * 24 * 3600_000

/**
 * A line about a certificate that ends within 60 days: an ended certificate locks the device out.
 */
function endingSoon(certificate: { readonly expiresAt: string } | undefined): string[] {
  if (certificate === undefined) return []
  const end = new Date(certificate.expiresAt)
  if (end.getTime() - Date.now() > noticedWithinMs) return []
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' }).format(end)
  return [`The certificate of this device ends on ${day}: let your contact point, or an administrator, renew it.`]
}

async function signIn(device: CommandDevice, { code, passkey }: ProofOptions) {
  const { client, terminal } = device
  if (client.isService) return client.signInService()
  if (passkey === true) return client.signIn({ authenticator: passkeysOf(device) })
  const passphrase = await askSignIn(terminal)
  return withCode(terminal, code, { passphrase }, (evidence) => client.signIn(evidence))
}

/**
 * Catches up with an operation. A person who sleeps there, or was removed this moment, is signed in
 * all the same.
 */
async function visit(device: CommandDevice, operation: string, name: string): Promise<void> {
  try {
    await leaveOperation(await openOperation(device, operation))
  } catch (error) {
    if (!isProblem(error, 'FORBIDDEN', 'NOT_FOUND', 'OPERATION_ENDED')) throw error
    device.terminal.note(`${isolated(name)}: ${error.detail}`)
  }
}

export function addSignOut(command: Command): void {
  onStore(command)
    .addHelpText('after', '\nExample:\n  $ cordon sign-out')
    .action((options: DeviceOptions) =>
      onDevice(options, async ({ client, terminal }) => {
        await client.signOut()
        terminal.result({ signedIn: false }, () => ['Signed out.'])
      }),
    )
}

export function addSessions(command: Command): void {
  const sessions = onStore(command)
    .option('--end <id>', 'end this session; the end of its id as it is listed')
    .option('--end-others', 'end all other sessions')
    .addHelpText(
      'after',
      '\nExamples:\n  $ cordon sessions\n  $ cordon sessions --end 4c7d91e2\n  $ cordon sessions --end-others',
    )
  sessions.action((options: DeviceOptions & { end?: string; endOthers?: true }) =>
    asMember(options, async ({ client, terminal }) => {
      if (options.endOthers === true) {
        await client.endOtherSessions()
        return terminal.result({ ended: 'others' }, () => ['Your other sessions have ended.'])
      }
      const all = await client.sessions()
      const named = all.map((one) => ({ ...one, id: one.session, name: one.session }))
      if (options.end !== undefined) {
        const { id } = choose('session', options.end, named)
        await client.endSession(id)
        return terminal.result({ ended: id }, () => [`Ended: ${shortId(id)}.`])
      }
      const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
      const rows = all.map(({ session, device, startedAt, lastRefreshedAt, address, agent, current }) => [
        shortId(session),
        shortId(device),
        format.format(new Date(startedAt)),
        format.format(new Date(lastRefreshedAt)),
        address,
        agent.slice(0, 40),
        current ? 'this one' : '',
      ])
      return terminal.result({ sessions: all }, () =>
        table(['session', 'device', 'since', 'last used', 'from', 'with', ''], rows),
      )
    }),
  )
}
