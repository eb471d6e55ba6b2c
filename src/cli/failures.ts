import { CommanderError } from 'commander'
import { ConfigurationFault } from '../config.ts'
import { Problem } from '../errors.ts'
import { problems } from '../problem-catalogue.ts'
import { Interrupted } from './asking.ts'
import { invocation } from './invocation.ts'
import { NotWhole, harmless } from './terminal.ts'

/**
 * 0: done. 1: refused or failed. 2: used wrongly. 130: interrupted by Ctrl-C, as shells have it.
 */
export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Lets the command fail once it has ended: its output lacks something. */
export function failAtEnd(): void {
  invocation().exitCode = exitCodes.failed
}

/** A failure of a command, with a sentence that says what to do. */
export class CommandFailure extends Error {
  readonly exitCode: number
  /** Further members of the error in the JSON output. */
  readonly extra: Readonly<Record<string, unknown>>

  constructor(message: string, exitCode: number = exitCodes.failed, extra: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.name = 'CommandFailure'
    this.exitCode = exitCode
    this.extra = extra
  }
}

interface Explanation {
  readonly code: string
  readonly lines: readonly string[]
  readonly exitCode: number
  readonly extra?: Readonly<Record<string, unknown>>
}

/** The command that follows the advice of a refusal. */
const commands: Readonly<Record<string, string>> = {
  NOT_SIGNED_IN: 'cordon sign-in',
  SESSION_ENDED: 'cordon sign-in',
  UNAUTHENTICATED: 'cordon sign-in',
  NOT_ENROLLED: 'cordon enrol INVITATION',
}

/** Explains an error: lines for a person, a code for a program, and the exit code. */
export function explain(error: unknown): Explanation {
  const exitCode = exitCodes.failed
  if (error instanceof CommanderError)
    return { code: error.code, lines: [], exitCode: error.exitCode === 0 ? exitCodes.done : exitCodes.usage }
  if (error instanceof Interrupted)
    return { code: 'INTERRUPTED', lines: ['Interrupted.'], exitCode: exitCodes.interrupted }
  if (error instanceof NotWhole) return { code: 'COMMAND', lines: [error.message], exitCode }
  if (error instanceof CommandFailure)
    return { code: 'COMMAND', lines: [harmless(error.message)], exitCode: error.exitCode, extra: error.extra }
  if (error instanceof ConfigurationFault) {
    const lines = ['The configuration has faults:', ...error.faults.map((fault) => `  ${fault}`)]
    return { code: 'CONFIGURATION', lines, exitCode, extra: { faults: error.faults } }
  }
  if (error instanceof Problem) {
    const { title, advice } = problems[error.code]
    const detail = error.detail === undefined ? '' : `: ${error.detail}`
    return { code: error.code, lines: [`${title}${detail}.`, advice], exitCode }
  }
  return explainSystem(error) ?? explainCoded(error) ?? { code: 'INTERNAL', lines: [internal(error)], exitCode }
}

function internal(error: unknown): string {
  return harmless(`Cordon failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
}

/**
 * Explains an error of the operating system, with the file or the port; undefined for other errors.
 */
function explainSystem(error: unknown): Explanation | undefined {
  const { code, syscall, address, port, path } = error as Record<string, unknown>
  if (typeof code !== 'string' || typeof syscall !== 'string') return undefined
  const told = (line: string): Explanation => ({ code, lines: [harmless(line)], exitCode: exitCodes.failed })
  if (code === 'EADDRINUSE')
    return told(
      `The port ${String(port)} of ${String(address)} is in use: choose another port (PORT of a service, --listen of a witness), or stop the program that listens there.`,
    )
  if (syscall === 'listen')
    return told(
      `Nothing can listen on ${String(address)}:${String(port)} (${code}): correct HOST and PORT of a service, or --listen of a witness.`,
    )
  const advice: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file or directory: check the path',
    EACCES: 'you have no right to it: check the owner and the rights of the file',
    EEXIST: 'it exists already: name another file',
    EISDIR: 'it is a directory: name a file',
    ENOTDIR: 'a part of the path is no directory: check it',
    ENOSPC: 'the disk is full: make room, then try again',
    EROFS: 'the disk cannot be written: name another place',
  }
  const what = advice[code]
  // To open a directory succeeds, and to read it fails without its path.
  if (code === 'EISDIR' && path === undefined) return told('What is named is a directory and no file: name a file.')
  return what === undefined || typeof path !== 'string' ? undefined : told(`${path}: ${what}.`)
}

/**
 * Explains a refusal of the service, the SDK or the protocol: what happened, and what to do.
 * Undefined for other errors.
 */
function explainCoded(error: unknown): Explanation | undefined {
  const { code, message, advice, detail, extra } = error as Record<string, unknown>
  if (typeof code !== 'string' || typeof message !== 'string') return undefined
  const command = commands[code]
  const said = [
    message,
    detail,
    ...lackedIn(extra),
    advice,
    ...faultsIn(extra),
    command === undefined ? '' : `  ${command}`,
  ]
  const lines = said.filter((line): line is string => typeof line === 'string' && line !== '')
  const beside = typeof extra === 'object' && extra !== null ? (extra as Record<string, unknown>) : {}
  return { code, lines: [...new Set(lines)].map(harmless), exitCode: exitCodes.failed, extra: beside }
}

/** What a role does not permit, in words: of `seizure.report`, to report a seizure. */
function lackedIn(extra: unknown): string[] {
  const { permission } = (extra ?? {}) as { permission?: unknown }
  if (typeof permission !== 'string') return []
  const [thing = '', act = ''] = permission.split('.')
  const what = thing.endsWith('s') ? thing : `${/^[aeio]/.test(thing) ? 'an' : 'a'} ${thing}`
  const words = act.startsWith('change-') ? `change the ${act.slice('change-'.length)} of ${what}` : `${act} ${what}`
  return [`It lacks the right to ${words} (${permission}).`]
}

function faultsIn(extra: unknown): string[] {
  const { faults } = (extra ?? {}) as { faults?: unknown }
  if (!Array.isArray(faults)) return []
  return faults.map((fault: Record<string, unknown>) => {
    const words = [fault['pointer'], fault['reason'], fault['advice']]
    return `  ${words.filter((word) => typeof word === 'string' && word !== '').join(': ')}`
  })
}
