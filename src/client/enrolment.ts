import {
  ProtocolError,
  base64url,
  deriveInvitationKeys,
  generateDeviceSecrets,
  issueCertificate,
  newId,
  openDevice,
  parseInvitation,
  parseLogKeys,
  parseSetUp,
  signEnrolment,
  signRootStatement,
  timestamp,
  type DeviceId,
  type DeviceSecrets,
  type InvitationString,
  type OrganizationId,
  type PersonId,
} from '../protocol/index.ts'
import { requireOtherPassphrase, type Account } from './account.ts'
import { requirePinned, type Pins } from './certificates.ts'
import { askPasskey, type Authenticator } from './factors.ts'
import type { Platform } from './platform.ts'
import { isProblem, refuse } from './problem.ts'
import { makeSignInKey, publicPartOf, signInKeyName, type SignInKey } from './service-key.ts'
import type { ClientStore } from './store.ts'
import { Transport } from './transport.ts'

export interface ServerFacts {
  readonly version: string
  readonly root: string | null
  readonly directory: string
  readonly logHost: string
  readonly logKeys: readonly string[]
}

export interface EnrolmentDeps {
  readonly store: ClientStore
  readonly platform: Platform
}

const yearMs = 365 * 24 * 3600_000

/** The validity of a new certificate: one year from `now`. */
export function certificateTimes(now: Date): { issuedAt: string; expiresAt: string } {
  return { issuedAt: timestamp(now), expiresAt: timestamp(new Date(now.getTime() + yearMs)) }
}

export interface InitializationRequest {
  readonly server: string
  /** The string that the service printed at its first start. */
  readonly setupString: string
  readonly organization: { readonly name: string; readonly country?: string }
  readonly person: { readonly name: string }
  readonly passphrase: string
  /**
   * Keeps the secrets before the service gets them: once the service has accepted the root, no
   * other root can be made.
   */
  readonly keep?: (secrets: RootSecrets) => Promise<void>
}

/**
 * The private keys of the root and of its successor. They are kept offline, apart from each other
 * and from every store.
 */
export interface RootSecrets {
  readonly root: DeviceSecrets
  readonly successor: DeviceSecrets
}

/**
 * Makes the root, its successor and the first administrator on a service that has no root. This
 * device becomes the administrator's. Throws SET_UP_DONE, SET_UP_SECRET and PASSPHRASE_WEAK of the
 * service; the store then stays empty.
 */
export async function initialize(
  { store, platform }: EnrolmentDeps,
  input: InitializationRequest,
): Promise<RootSecrets> {
  await requireEmpty(store)
  await requireOtherPassphrase(store, input.passphrase)
  const { random } = platform
  const transport = new Transport(input.server, platform, store)
  const facts = await transport.open<ServerFacts>('GET', '/v1/server')
  const [root, successor, own] = await Promise.all([1, 2, 3].map(() => generateDeviceSecrets()))
  if (!root || !successor || !own) throw new Error('three devices were made')
  const [rootDevice, device] = await Promise.all([openDevice(root), openDevice(own)])
  const at = transport.now()
  const organization = newId<OrganizationId>(at, random)
  const person = newId<PersonId>(at, random)
  const certified = { person, organization, tier: 'administrator' as const, ...certificateTimes(at) }
  // The root lies in a safe and vouches for longer than one year.
  const rootTimes = { expiresAt: timestamp(new Date(at.getTime() + 20 * yearMs)) }
  const request = { invitation: newId<PersonId>(at, random), person, organization, tier: 'administrator' as const }
  const { statement } = await signEnrolment(device, random(32), request)
  const { kty, crv, x } = successor.sign
  const pins: Pins = { root: rootDevice.id, logKeys: facts.logKeys, logHost: facts.logHost }
  const account: Account = { server: transport.server, person, organization, pins, enrolled: true }
  await input.keep?.({ root, successor })
  await store.write([
    { name: 'device', value: own },
    { name: 'account', value: account },
  ])
  try {
    await transport.open('POST', '/v1/setup', {
      secret: parseSetUp(input.setupString).secret,
      organization: { id: organization, ...input.organization },
      rootCertificate: await issueCertificate(rootDevice, { keys: rootDevice.keys, ...certified, ...rootTimes }),
      rootStatement: await signRootStatement(rootDevice, { kty, crv, x }, timestamp(at)),
      person: { id: person, name: input.person.name },
      enrolment: statement,
      certificate: await issueCertificate(rootDevice, { keys: device.keys, ...certified }),
      passphrase: input.passphrase,
    })
  } catch (error) {
    await store.write([{ name: 'device' }, { name: 'account' }])
    throw error
  }
  return { root, successor }
}

export interface EnrolmentRequest {
  /** The whole string that the inviter handed over. */
  readonly invitation: string
  /**
   * A new passphrase; for a further device the passphrase that the person has, unless
   * `authenticator` is given. A service account has none and makes a key instead.
   */
  readonly passphrase?: string
  readonly authenticator?: Authenticator
}

export interface EnrolmentResult {
  readonly person: string
  readonly organization: string
  readonly name: string
  /** The inviter, who certifies the device; undefined where an earlier answer was lost. */
  readonly inviter?: { readonly name: string; readonly organization: string }
}

/**
 * Enrols this device with an invitation: makes its keys, pins the root that the invitation names
 * and the keys of the log, and asks for a certificate. A service account also makes the key with
 * which it signs in. Throws INVITATION_DAMAGED, PIN_CHANGED, ALREADY_ENROLLED; INVITATION_INVALID,
 * SIGN_IN_REFUSED (for a further device the person proves who they are) and PASSPHRASE_WEAK of the
 * service.
 */
export async function enrol({ store, platform }: EnrolmentDeps, input: EnrolmentRequest): Promise<EnrolmentResult> {
  const invitation = readInvitation(input.invitation)
  const { passphrase, authenticator } = input
  if (passphrase !== undefined) await requireOtherPassphrase(store, passphrase)
  const transport = new Transport(invitation.server, platform, store)
  const begun = (await store.get('account')) as Account | undefined
  if (begun && (begun.enrolled || begun.invitation !== invitation.invitation)) await requireEmpty(store)
  const pins = await pinsOf(transport, invitation.root)
  const secrets = begun ? ((await store.get('device')) as DeviceSecrets) : await generateDeviceSecrets()
  const { person, organization, tier } = invitation
  const account: Account = {
    server: transport.server,
    person,
    organization,
    pins,
    invitation: invitation.invitation,
    enrolled: false,
  }
  // Kept before the request: a lost answer must not lose the keys that the service has accepted.
  await store.write([
    { name: 'device', value: secrets },
    { name: 'account', value: account },
  ])
  const device = await openDevice(secrets)
  const { authenticate, certify } = await deriveInvitationKeys(invitation.secret)
  const request = { invitation: invitation.invitation, person, organization, tier }
  try {
    const answer = await transport.open<EnrolmentResult>(
      'POST',
      '/v1/enrolments',
      {
        invitation: invitation.invitation,
        authenticate: base64url(authenticate),
        ...(await signEnrolment(device, certify, request)),
        ...(invitation.tier === 'service'
          ? { signInKey: publicPartOf(await signInKeyOf(store)) }
          : authenticator
            ? await askPasskey(transport, authenticator)
            : { passphrase }),
      },
      // Not repeated: after a lost answer the invitation is used, and a second request would look
      // like a refusal.
      false,
    )
    await store.write([{ name: 'account', value: { ...account, enrolled: true } }])
    return answer
  } catch (error) {
    // The service may have accepted an earlier request whose answer was lost. Signing in shows
    // whether it has.
    if (begun && isProblem(error, 'INVITATION_INVALID')) return { person, organization, name: '' }
    if (!begun && !isProblem(error, 'NETWORK'))
      await store.write([{ name: 'device' }, { name: 'account' }, { name: signInKeyName }])
    throw error
  }
}

/**
 * The key with which a service account signs in. Makes the key where the store has none, and keeps
 * it before the service gets its public part.
 */
async function signInKeyOf(store: ClientStore): Promise<SignInKey> {
  const kept = (await store.get(signInKeyName)) as SignInKey | undefined
  const key = kept ?? (await makeSignInKey())
  if (!kept) await store.write([{ name: signInKeyName, value: key }])
  return key
}

function readInvitation(text: string): InvitationString {
  try {
    return parseInvitation(text)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw refuse('INVITATION_DAMAGED', cause.message, undefined, cause)
  }
}

/**
 * The pins for this service. Throws PIN_CHANGED where its root is not the one that the invitation
 * names.
 */
async function pinsOf(transport: Transport, root: DeviceId): Promise<Pins> {
  const facts = await transport.open<ServerFacts>('GET', '/v1/server')
  const { logKeys, logHost } = facts
  const pins = { root, logKeys, logHost }
  requirePinned(pins, facts)
  await parseLogKeys(logKeys)
  return pins
}

async function requireEmpty(store: ClientStore): Promise<void> {
  if ((await store.get('account')) !== undefined)
    throw refuse('ALREADY_ENROLLED', 'A device was enrolled in this store before.')
}
