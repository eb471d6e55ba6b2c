import { problems } from './problem-catalogue.ts'

export type ProblemCode = keyof typeof problems

/**
 * What a Problem may carry besides its code: a specific sentence, a cause for the service log
 * (which is never sent), and further members.
 */
export interface ProblemDetails {
  readonly detail?: string
  readonly cause?: unknown
  readonly [member: string]: unknown
}

/**
 * A refusal with a stable code. An error that is thrown and is no Problem counts as a bug and is
 * answered with INTERNAL.
 */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly status: number
  readonly detail: string | undefined
  readonly extra: Readonly<Record<string, unknown>>

  constructor(code: ProblemCode, details: ProblemDetails = {}) {
    const { detail, cause, ...extra } = details
    super(detail ?? problems[code].title, cause === undefined ? undefined : { cause })
    this.name = 'Problem'
    this.code = code
    this.status = problems[code].status
    this.detail = detail
    this.extra = extra
  }
}

/** The members of an RFC 9457 problem; `code` and `advice` are extensions of this service. */
export interface ProblemBody {
  type: string
  title: string
  status: number
  code: ProblemCode
  detail?: string
  advice: string
  [member: string]: unknown
}

/**
 * Makes the body of a refusal, application/problem+json (RFC 9457, section 3.1). The body of
 * NOT_FOUND never carries anything specific: a body that differed would tell what exists.
 */
export function toProblemJson(problem: Problem): ProblemBody {
  const { status, title, advice } = problems[problem.code]
  const type = `urn:cordon:problem:${problem.code.toLowerCase().replaceAll('_', '-')}`
  if (problem.code === 'NOT_FOUND') return { type, title, status, code: problem.code, advice }
  return {
    ...problem.extra,
    type,
    title,
    status,
    code: problem.code,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    advice,
  }
}
