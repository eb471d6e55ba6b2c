import { Problem, type ProblemCode } from '../errors.ts'
import { makeAccess, type Access, type IncomingRequest } from '../http/index.ts'
import { isAdministrator, type SignedInCaller } from './deps.ts'
import type { ProofOf, SessionService } from './sessions.ts'

/** A caller on a certified device. */
export interface CertifiedCaller extends SignedInCaller {
  readonly tier: string
}

/** A caller who acts for the platform: the device's certificate has the tier administrator. */
export interface Administrator extends CertifiedCaller {
  readonly tier: 'administrator'
}

/** Who may call the routes that lie outside operations. */
export interface Accesses {
  /** For every session that has not ended, also of a device that waits for its certificate. */
  readonly signedIn: Access<SignedInCaller>
  readonly administrator: Access<Administrator>
  /**
   * For rights that a higher rung decides: `entitle` answers what a certified caller may do, and
   * `refusals` are the codes that it throws.
   */
  certified<A>(
    name: string,
    entitle: (actor: CertifiedCaller, request: IncomingRequest) => Promise<A | undefined>,
    refusals?: readonly ProblemCode[],
  ): Access<A>
}

/** The codes that the recognition of a session throws. */
const ofSessions = ['UNAUTHENTICATED', 'SESSION_ENDED', 'ADDRESS_REFUSED'] as const
const ofDevices = [...ofSessions, 'DEVICE_NOT_CERTIFIED'] as const

export function accessesOf(sessions: SessionService): Accesses {
  const recognise = async (request: IncomingRequest): Promise<SignedInCaller> =>
    (request.actor = await sessions.recognise({ ...proofOf(request), authorization: header(request, 'authorization') }))
  const recogniseCertified = async (request: IncomingRequest): Promise<CertifiedCaller> => {
    const actor = await recognise(request)
    if (!isCertified(actor)) throw new Problem('DEVICE_NOT_CERTIFIED')
    return actor
  }
  return {
    signedIn: makeAccess('signed-in', ofSessions, recognise, (actor) => Promise.resolve(actor)),
    administrator: makeAccess('administrator', [...ofDevices, 'ADMINISTRATOR_ONLY'], recogniseCertified, (actor) =>
      Promise.resolve(requireAdministrator(actor)),
    ),
    certified: (name, entitle, refusals = ['NOT_FOUND', 'FORBIDDEN']) =>
      makeAccess(name, [...ofDevices, ...refusals], recogniseCertified, entitle),
  }
}

function isCertified(actor: SignedInCaller): actor is CertifiedCaller {
  return actor.tier !== null
}

function requireAdministrator(actor: CertifiedCaller): Administrator {
  if (!isAdministrator(actor)) throw new Problem('ADMINISTRATOR_ONLY')
  return actor
}

/** Answers the address of a request without its query, as proofs name it. */
export function pathOf(request: IncomingRequest): string {
  return request.url.split('?', 1)[0] ?? ''
}

export function header(request: IncomingRequest, name: 'dpop' | 'authorization' | 'origin'): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

export function proofOf(request: IncomingRequest): ProofOf {
  return {
    method: request.method,
    path: pathOf(request),
    proof: header(request, 'dpop'),
    source: { address: request.ip, agent: request.headers['user-agent']?.slice(0, 200) ?? '' },
  }
}
