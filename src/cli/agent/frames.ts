import type { Socket } from 'node:net'
import type { HowToAsk } from '../asking.ts'

/** What a command sends to the agent, one JSON document a line. */
export type CallerFrame =
  | ({ readonly type: 'run' } & RunRequest)
  | { readonly type: 'status'; readonly secret: string }
  | { readonly type: 'lock'; readonly secret: string }
  /** Bytes of standard input, base64; null at its end. */
  | { readonly type: 'input'; readonly bytes: string | null }
  /** What the person answered; null where the person pressed Ctrl-C. */
  | { readonly type: 'answer'; readonly text: string | null }
  | { readonly type: 'stop' }

/** A command line that the agent runs. */
export interface RunRequest {
  readonly secret: string
  /** The program that sends this; see `programStamp`. */
  readonly program: string
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
  readonly interactive: boolean
  readonly out: OutputFacts
  readonly notes: OutputFacts
}

export interface OutputFacts {
  readonly isTTY: boolean
  readonly columns: number | null
}

/** What the agent sends to a command. */
export type AgentFrame =
  | { readonly type: 'out' | 'notes'; readonly text: string }
  | { readonly type: 'ask'; readonly question: string; readonly how: HowToAsk }
  /** The command reads standard input. */
  | { readonly type: 'read' }
  | { readonly type: 'ended'; readonly exitCode: number }
  | ({ readonly type: 'status' } & AgentStatus)
  /** The agent is of another program, or does not know the secret. */
  | { readonly type: 'refused'; readonly reason: 'PROGRAM' | 'SECRET' }

export interface AgentStatus {
  readonly pid: number
  /** When the store was unlocked, and when it is locked unless a command is run until then. */
  readonly since: string
  readonly locksAt: string
  /** Operations that the agent follows. */
  readonly operations: number
  /** Why it could not follow them at its last attempt; null where it could. */
  readonly fault: string | null
  /** Commands that run now. */
  readonly running: number
}

const longestLineCharacters = 16 * 1024 * 1024

/**
 * Calls `take` with each frame of a socket, in their order. A line that is no frame, or that has no
 * end, ends the connection.
 */
export function readFrames<Frame>(socket: Socket, take: (frame: Frame) => void): void {
  let begun = ''
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    const lines = (begun + text).split('\n')
    begun = lines.pop() ?? ''
    if (begun.length > longestLineCharacters) socket.destroy()
    for (const line of lines) {
      const frame = frameOf(line)
      if (frame === undefined) return void socket.destroy()
      take(frame as Frame)
    }
  })
}

export function sendFrame(socket: Socket, frame: CallerFrame | AgentFrame): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(frame)}\n`)
}

function frameOf(line: string): object | undefined {
  try {
    const frame: unknown = JSON.parse(line)
    return typeof frame === 'object' && frame !== null ? frame : undefined
  } catch {
    return undefined
  }
}
