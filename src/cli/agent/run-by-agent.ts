import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { Interrupted } from '../asking.ts'
import { invocation } from '../invocation.ts'
import { readFrames, sendFrame, type AgentFrame, type AgentStatus, type OutputFacts } from './frames.ts'
import { agentPlace, canHoldAgent, isOwnPlace, type AgentPlace } from './place.ts'
import { programStamp } from './program-stamp.ts'

/** What a command tells the agent of its environment. */
const told =
  /^(CORDON_\w+|HOME|LANG|LC_\w+|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|DISPLAY|WAYLAND_DISPLAY|SSH_CONNECTION)$/

const failed = 1

/**
 * Lets the agent of a store run the command of this process. Answers its exit code; undefined where
 * no agent of this program holds the store.
 */
export async function runByAgent(store: string): Promise<number | undefined> {
  const { words } = invocation()
  const reached = await reachAgent(store)
  if (reached === undefined) return undefined
  if ('fault' in reached) return refuse(words, reached.fault)
  const { socket, secret } = reached
  const exitCode = await run(socket, secret, words)
  if (exitCode !== 'PROGRAM') return exitCode
  // The program was changed meanwhile: its agent ends, and the command goes on without it.
  await lockAgent(store)
  return undefined
}

/**
 * Locks the store of an agent. Resolves once the agent has ended; answers whether there was one.
 */
export async function lockAgent(store: string): Promise<boolean> {
  const reached = await reachAgent(store)
  if (reached === undefined || 'fault' in reached) return false
  const { socket, secret } = reached
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  sendFrame(socket, { type: 'lock', secret })
  socket.resume()
  await ended
  return true
}

/** What the agent of a store says of itself; undefined where there is none. */
export async function agentStatus(store: string): Promise<AgentStatus | undefined> {
  const reached = await reachAgent(store)
  if (reached === undefined || 'fault' in reached) return undefined
  const { socket, secret } = reached
  const answer = new Promise<AgentStatus | undefined>((resolve) => {
    readFrames<AgentFrame>(socket, (frame) => {
      if (frame.type === 'status') resolve(frame)
      socket.destroy()
    })
    socket.once('close', () => resolve(undefined))
  })
  sendFrame(socket, { type: 'status', secret })
  return answer
}

type Reached = { readonly socket: Socket; readonly secret: string } | { readonly fault: string }

async function reachAgent(store: string): Promise<Reached | undefined> {
  if (!canHoldAgent(store)) return undefined
  const place = agentPlace(store)
  const own = isOwnPlace(place)
  if (own === undefined) return undefined
  if (!own)
    return {
      fault: `${place.directory} belongs to another user, or others may use it: nothing was sent there. Remove it, and try again.`,
    }
  try {
    const secret = readFileSync(place.secret, 'utf8')
    return { socket: await connected(place), secret }
  } catch (error) {
    // An agent that was killed leaves its folder; the next one takes its place.
    if (['ENOENT', 'ECONNREFUSED'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

function connected({ socket: path }: AgentPlace): Promise<Socket> {
  const socket = connect(path)
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      // The end of a connection is told by 'close'.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

/** Sends a command line, and passes on what it says, asks and reads, until it has ended. */
function run(socket: Socket, secret: string, words: readonly string[]): Promise<number | 'PROGRAM'> {
  const { out, notes, input, ask, onStop, environment, directory, interactive } = invocation()
  return new Promise((resolve) => {
    let ended = false
    const end = (exitCode: number | 'PROGRAM') => {
      if (ended) return
      ended = true
      socket.destroy()
      resolve(exitCode)
    }
    readFrames<AgentFrame>(socket, (frame) => {
      switch (frame.type) {
        case 'out':
          return void out.write(frame.text)
        case 'notes':
          return void notes.write(frame.text)
        case 'ask':
          return void ask(frame.question, frame.how).then(
            (text) => sendFrame(socket, { type: 'answer', text }),
            (error: unknown) => {
              if (!(error instanceof Interrupted)) throw error
              sendFrame(socket, { type: 'answer', text: null })
            },
          )
        case 'read':
          return passOn(input(), socket)
        case 'ended':
          return end(frame.exitCode)
        case 'refused':
          return end(frame.reason === 'PROGRAM' ? 'PROGRAM' : refuse(words, 'The agent refuses this user.'))
        case 'status':
          return
      }
    })
    socket.once('close', () => {
      if (!ended) end(refuse(words, 'The agent ended before the command did: see what was done before you repeat it.'))
    })
    onStop(() => sendFrame(socket, { type: 'stop' }))
    sendFrame(socket, {
      type: 'run',
      secret,
      program: programStamp(),
      words,
      environment: environmentToTell(environment),
      directory,
      interactive,
      out: factsOf(out),
      notes: factsOf(notes),
    })
  })
}

function passOn(input: NodeJS.ReadableStream, socket: Socket): void {
  input.on('data', (bytes: Buffer) => sendFrame(socket, { type: 'input', bytes: bytes.toString('base64') }))
  input.once('end', () => sendFrame(socket, { type: 'input', bytes: null }))
}

const factsOf = ({ isTTY, columns }: { isTTY: boolean; columns: number | undefined }): OutputFacts => ({
  isTTY,
  columns: columns ?? null,
})

function environmentToTell(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const pairs = Object.entries(environment)
  return Object.fromEntries(
    pairs.filter((pair): pair is [string, string] => pair[1] !== undefined && told.test(pair[0])),
  )
}

/** Says why the command fails, as `cordon` does. Answers its exit code. */
function refuse(words: readonly string[], message: string): number {
  const { out, notes } = invocation()
  if (words.includes('--json')) out.write(`${JSON.stringify({ error: { code: 'AGENT', message } })}\n`)
  notes.write(`${message}\n`)
  return failed
}
