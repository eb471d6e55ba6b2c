import {
  ProtocolError,
  digestOf,
  type Certificate,
  type DeviceId,
  type EntryFrame,
  type Leaf,
} from '../protocol/index.ts'
import type { SessionContext } from './session-context.ts'
import type { Ledger } from './ledger.ts'
import { isProblem } from './problem.ts'

/** The devices among the senders of these messages that the directory log does not hold. */
export async function hiddenSenders(
  { ledger, transparency, alarm }: Pick<SessionContext, 'ledger' | 'transparency' | 'alarm'>,
  partial: boolean,
  over: () => boolean,
  group: readonly [Leaf, EntryFrame][],
): Promise<ReadonlySet<DeviceId>> {
  const devices = new Set<DeviceId>()
  const certificates = new Map<string, Certificate>()
  for (const [{ actor }, { chain }] of group) {
    if (!('device' in actor)) continue
    const device = actor.device as DeviceId
    devices.add(device)
    const certificate = (partial && (await shownSigner(ledger(), chain))) || ledger().view.devices.get(device)
    if (certificate) certificates.set(certificate.hash, certificate)
  }
  // The others who may send are asked for too, so that the first message of each costs no request.
  const others = partial ? [] : ledger().view.devices.values()
  const proving = transparency.unprovenOnceReached([...certificates.values()], over, others)
  return (await orAlarm(alarm, proving)) ?? devices
}

/**
 * Looks for the devices of all members in the directory log before the first of them sends a
 * message, so that no message waits for it. What is not found there is refused with its messages.
 */
export async function proveMembers({
  ledger,
  transparency,
  alarm,
}: Pick<SessionContext, 'ledger' | 'transparency' | 'alarm'>): Promise<void> {
  await orAlarm(alarm, transparency.unproven([...ledger().view.devices.values()]))
}

/**
 * The devices that were not found; undefined, after an alarm, where the directory log is altered.
 */
async function orAlarm(
  alarm: SessionContext['alarm'],
  proving: Promise<DeviceId[]>,
): Promise<ReadonlySet<DeviceId> | undefined> {
  try {
    return new Set(await proving)
  } catch (error) {
    if (!isProblem(error, 'DIRECTORY_ALTERED')) throw error
    alarm({ code: 'LOG_ALTERED', reason: error.code, detail: error.detail })
    return undefined
  }
}

/** The certificate of the signer that the service sends with a message to a partial view. */
async function shownSigner(ledger: Ledger, chain: readonly string[] | undefined): Promise<Certificate | undefined> {
  const [own] = chain ?? []
  if (chain === undefined || own === undefined) return undefined
  try {
    await ledger.learn(chain)
  } catch (error) {
    // A chain that does not hold is refused later, together with its message.
    if (!(error instanceof ProtocolError)) throw error
  }
  return ledger.signer(await digestOf(own))
}
