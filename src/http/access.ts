import type { FastifyRequest } from 'fastify'
import type { ProblemCode } from '../errors.ts'

/** A request as whoever decides about it sees it. */
export type IncomingRequest = FastifyRequest

/**
 * Who may call a route. Declared by the route, executed at each request before anything of its body
 * is read, and the only source of whom its handler gets: `of` answers it for requests that this
 * very access let in, and for no other.
 */
export interface Access<A> {
  /** How pages name it: a permission inside an operation, or a word for what lies outside. */
  readonly name: string
  /** Codes of all that `recognise` and `entitle` throw. */
  readonly refusals: readonly ProblemCode[]
  /** Throws UNAUTHENTICATED, SESSION_ENDED or DEVICE_NOT_CERTIFIED. */
  recognise(request: FastifyRequest): Promise<void>
  /**
   * Throws NOT_FOUND, FORBIDDEN or OPERATION_STATE. What depends on a log is decided once more
   * under its lock.
   */
  entitle(request: FastifyRequest): Promise<void>
  of(request: FastifyRequest): A
}

const made = new WeakSet<object>()

export function isAccess(value: unknown): value is Access<unknown> {
  return typeof value === 'object' && value !== null && made.has(value)
}

/**
 * `entitle` may leave out who asks for what cannot be: the shape of the request refuses it then,
 * and no handler is reached.
 */
export function makeAccess<P, A>(
  name: string,
  refusals: readonly ProblemCode[],
  recognise: (request: FastifyRequest) => Promise<P>,
  entitle: (who: P, request: FastifyRequest) => Promise<A | undefined>,
): Access<A> {
  const recognised = new WeakMap<FastifyRequest, { readonly who: P }>()
  const entitled = new WeakMap<FastifyRequest, { readonly who: A }>()
  const access: Access<A> = {
    name,
    refusals,
    async recognise(request) {
      recognised.set(request, { who: await recognise(request) })
    },
    async entitle(request) {
      const known = recognised.get(request)
      const who = known && (await entitle(known.who, request))
      if (who !== undefined) entitled.set(request, { who })
    },
    of(request) {
      const letIn = entitled.get(request)
      if (letIn === undefined) throw new Error(`${name} did not let this request in`)
      return letIn.who
    },
  }
  made.add(access)
  return access
}

/** Nobody has to be known. */
export const everybody: Access<null> = makeAccess(
  'public',
  [],
  () => Promise.resolve(null),
  () => Promise.resolve(null),
)
