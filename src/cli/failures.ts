import { CommanderError } from 'commander'
import { ConfigurationFault } from '../config.ts'
import { Problem, problems } from '../errors.ts'
import { harmless } from './terminal.ts'

/** 0 done, 1 refused or failed, 2 used wrongly. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const

/** What a command cannot do, in a sentence that says what to do instead. */
export class CommandFailure extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message)
    this.name = 'CommandFailure'
    this.exitCode = exitCode
  }
}

interface Told {
  readonly code: string
  readonly lines: readonly string[]
  readonly exitCode: number
}

/** Every way in which a command ends badly, as lines for a person and a code for a machine. */
export function explain(error: unknown): Told {
  if (error instanceof CommanderError)
    return { code: error.code, lines: [], exitCode: error.exitCode === 0 ? exitCodes.done : exitCodes.usage }
  if (error instanceof CommandFailure) return { code: 'COMMAND', lines: [error.message], exitCode: error.exitCode }
  if (error instanceof ConfigurationFault) {
    return {
      code: 'CONFIGURATION',
      lines: ['The configuration has faults:', ...error.faults.map((fault) => `  ${fault}`)],
      exitCode: exitCodes.failed,
    }
  }
  if (error instanceof Problem) {
    const { title, advice } = problems[error.code]
    return {
      code: error.code,
      lines: [`${title}${error.detail === undefined ? '' : `: ${error.detail}`}.`, advice],
      exitCode: exitCodes.failed,
    }
  }
  const { code, message, advice, detail, syscall, address, port } = error as Record<string, unknown>
  if (code === 'EADDRINUSE' && syscall === 'listen') {
    return {
      code,
      lines: [
        `The port ${String(port)} of ${String(address)} is in use: set PORT to another one, or stop what listens there.`,
      ],
      exitCode: exitCodes.failed,
    }
  }
  if (typeof code === 'string' && typeof message === 'string') {
    const lines = [message, detail, advice].filter((line): line is string => typeof line === 'string' && line !== '')
    return { code, lines: [...new Set(lines)].map(harmless), exitCode: exitCodes.failed }
  }
  return {
    code: 'INTERNAL',
    lines: [`Cordon failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`],
    exitCode: exitCodes.failed,
  }
}
