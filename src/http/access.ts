import type { FastifyRequest } from 'fastify'
import type { ProblemCode } from '../errors.ts'

/** A request as the access of a route sees it. */
export type IncomingRequest = FastifyRequest

/**
 * Who may call a route. The route declares it, and the server executes it at each request before it
 * reads anything of the body. A handler gets its caller from `of` alone, which answers only for
 * requests that this very access let in.
 */
export interface Access<A> {
  /**
   * The name of the access in pages: a permission inside an operation, or a word for routes
   * outside.
   */
  readonly name: string
  /** The codes of all Problems that `recognise` and `entitle` throw. */
  readonly refusals: readonly ProblemCode[]
  /** Recognises the caller. Throws UNAUTHENTICATED, SESSION_ENDED or DEVICE_NOT_CERTIFIED. */
  recognise(request: FastifyRequest): Promise<void>
  /**
   * Checks what the caller may do. Throws NOT_FOUND, FORBIDDEN or OPERATION_STATE. An act on a log
   * is decided once more under the lock of the log.
   */
  entitle(request: FastifyRequest): Promise<void>
  of(request: FastifyRequest): A
}

const made = new WeakSet<object>()

export function isAccess(value: unknown): value is Access<unknown> {
  return typeof value === 'object' && value !== null && made.has(value)
}

/**
 * Makes an access from its parts. `entitle` may answer undefined for a request whose shape cannot
 * be right: the schema of the route refuses such a request, so that no handler is reached.
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

/** An access for every caller, known or not. */
export const everybody: Access<null> = makeAccess(
  'public',
  [],
  () => Promise.resolve(null),
  () => Promise.resolve(null),
)
