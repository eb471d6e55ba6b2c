import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { Interrupted, type HowToAsk } from '../asking.ts'
import type { HeldDevice, Invocation, Output } from '../invocation.ts'
import { sendFrame, type CallerFrame, type OutputFacts, type RunRequest } from './frames.ts'

/** A command line of another process, which the agent runs with the store that it holds. */
export class RemoteInvocation implements Invocation {
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
  readonly out: Output
  readonly notes: Output
  readonly interactive: boolean
  readonly held: HeldDevice
  exitCode: number | undefined
  readonly #socket: Socket
  readonly #stops: (() => void)[] = []
  #stopped = false
  #answer: PromiseWithResolvers<string> | undefined
  #input: Readable | undefined

  constructor(request: RunRequest, socket: Socket, held: HeldDevice) {
    this.words = request.words
    this.environment = request.environment
    this.directory = request.directory
    this.interactive = request.interactive
    this.held = held
    this.#socket = socket
    this.out = this.#output('out', request.out)
    this.notes = this.#output('notes', request.notes)
  }

  #output(type: 'out' | 'notes', { isTTY, columns }: OutputFacts): Output {
    const write = (text: string) => sendFrame(this.#socket, { type, text })
    return { isTTY, columns: columns ?? undefined, write }
  }

  readonly input = (): Readable => {
    if (this.#input === undefined) {
      this.#input = new Readable({ read: () => {} })
      sendFrame(this.#socket, { type: 'read' })
    }
    return this.#input
  }

  readonly ask = async (question: string, how: HowToAsk): Promise<string> => {
    if (this.#stopped) throw new Interrupted()
    this.#answer = Promise.withResolvers()
    sendFrame(this.#socket, { type: 'ask', question, how })
    return this.#answer.promise
  }

  readonly onStop = (stop: () => void): void => {
    if (this.#stopped) stop()
    else this.#stops.push(stop)
  }

  /** Takes what the command's process sends while the command runs. */
  take(frame: CallerFrame): void {
    if (frame.type === 'stop') this.stop()
    else if (frame.type === 'input') this.#input?.push(frame.bytes === null ? null : Buffer.from(frame.bytes, 'base64'))
    else if (frame.type === 'answer') this.#answered(frame.text)
  }

  #answered(text: string | null): void {
    if (text === null) this.#answer?.reject(new Interrupted())
    else this.#answer?.resolve(text)
  }

  /** The person pressed Ctrl-C, the command's process ended, or the agent ends. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    for (const stop of this.#stops) stop()
    this.#answer?.reject(new Interrupted())
    this.#input?.destroy(new Interrupted())
  }
}
