import { AsyncLocalStorage } from 'node:async_hooks'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { Cordon } from '../client/index.ts'
import type { FileStore } from '../client/node/index.ts'
import { askOnTerminal, type HowToAsk } from './asking.ts'

/** A stream for the output of a command. */
export interface Output {
  readonly isTTY: boolean
  /** The width of the terminal in columns; undefined where there is no terminal. */
  readonly columns: number | undefined
  write(text: string): unknown
}

/** A store that the agent holds open, and the client of that store. */
export interface HeldDevice {
  readonly path: string
  readonly store: FileStore
  readonly client: Cordon
}

/**
 * One run of a command: its words, where its input comes from, and where its output goes. The agent
 * runs commands of several processes at once, and each has an invocation of its own.
 */
export interface Invocation {
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The directory at which relative paths begin. */
  readonly directory: string
  /** What the command reads from standard input. */
  readonly input: () => Readable
  readonly out: Output
  readonly notes: Output
  /** Whether a person at a terminal can be asked. */
  readonly interactive: boolean
  /** Asks the person. Rejects with Interrupted. */
  readonly ask: (question: string, how: HowToAsk) => Promise<string>
  /** Calls a function once the person presses Ctrl-C, or the process is asked to end. */
  readonly onStop: (stop: () => void) => void
  /** The device, where the agent runs this command. */
  readonly held?: HeldDevice
  /** What the command ends with although it did its work; undefined for success. */
  exitCode: number | undefined
}

const running = new AsyncLocalStorage<Invocation>()
const own = ofProcess()

/** The invocation that the running code belongs to. */
export function invocation(): Invocation {
  return running.getStore() ?? own
}

/** Runs work that belongs to an invocation. */
export function runAs<T>(one: Invocation, work: () => T): T {
  return running.run(one, work)
}

/** The path of a file that the person named, from the directory where the person is. */
export function pathFromHere(name: string): string {
  return resolve(invocation().directory, name)
}

function ofProcess(): Invocation {
  const { stdin, stdout, stderr } = process
  return {
    words: process.argv.slice(2),
    environment: process.env,
    directory: process.cwd(),
    input: () => stdin,
    out: outputTo(stdout),
    notes: outputTo(stderr),
    interactive: stdin.isTTY && stderr.isTTY,
    ask: askOnTerminal,
    onStop: (stop) => {
      process.once('SIGINT', stop)
      process.once('SIGTERM', stop)
    },
    exitCode: undefined,
  }
}

function outputTo(stream: NodeJS.WriteStream): Output {
  return {
    isTTY: stream.isTTY,
    get columns() {
      return stream.isTTY ? stream.columns : undefined
    },
    write: (text) => stream.write(text),
  }
}
