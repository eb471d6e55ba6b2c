import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Argon2 } from './passphrase.ts'

export type Argon2Work =
  | { readonly act: 'hash'; readonly given: Parameters<Argon2['hash']> }
  | { readonly act: 'verify'; readonly given: Parameters<Argon2['verify']> }

export type Argon2Request = Argon2Work & { readonly id: number }
export type Argon2Answer = { readonly id: number } & ({ readonly value: string | boolean } | { readonly error: string })

interface PendingWork extends PromiseWithResolvers<never> {
  readonly work: Argon2Work
  sent: number
}

/** A work is given to a second process where the first one ended over it. */
const mostProcessesPerWork = 2

/**
 * Runs argon2 in a process of its own with a lower priority: a crowd that signs in takes the
 * processor time that nothing else needs. The process is made with the first work, made again if it
 * ends, and learns nothing of the service but the passphrases themselves, through a pipe.
 */
export class Argon2Process implements Argon2 {
  readonly #atOnce: number
  readonly #onError: (what: string, error: unknown) => void
  readonly #pending = new Map<number, PendingWork>()
  #child: ChildProcess | undefined
  #last = 0

  constructor(atOnce: number, onError: (what: string, error: unknown) => void) {
    this.#atOnce = atOnce
    this.#onError = onError
  }

  hash(...given: Parameters<Argon2['hash']>): Promise<string> {
    return this.#do({ act: 'hash', given })
  }

  verify(...given: Parameters<Argon2['verify']>): Promise<boolean> {
    return this.#do({ act: 'verify', given })
  }

  /** Ends the process once the work that was given to it is done. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#pending.values()].map(({ promise }) => promise))
    const child = this.#child
    if (!child) return
    this.#child = undefined
    const ended = once(child, 'exit')
    child.disconnect()
    await ended
  }

  #do<T extends string | boolean>(work: Argon2Work): Promise<T> {
    const id = ++this.#last
    const pending: PendingWork = { ...Promise.withResolvers<never>(), work, sent: 0 }
    this.#pending.set(id, pending)
    this.#send(id)
    return pending.promise
  }

  #send(id: number): void {
    const pending = this.#pending.get(id)
    if (!pending) return
    pending.sent++
    try {
      this.#child ??= this.#start()
      // A process that does not take a message has ended; the event of its end says so.
      this.#child.send({ id, ...pending.work } satisfies Argon2Request, () => {})
    } catch (error) {
      this.#pending.delete(id)
      pending.reject(error)
    }
  }

  #start(): ChildProcess {
    // The program lies beside this file, and is of its kind: a source, or a file that was made from
    // it.
    const file = fileURLToPath(new URL(`./argon2-work${extname(import.meta.url)}`, import.meta.url))
    const child = fork(file, {
      env: { UV_THREADPOOL_SIZE: String(this.#atOnce) },
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.on('message', (answer) => this.#settle(answer as Argon2Answer))
    child.once('error', (error) => this.#ended(child, error))
    child.once('exit', (code, signal) => this.#ended(child, new Error(`ended with ${String(signal ?? code)}`)))
    return child
  }

  #settle(answer: Argon2Answer): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if ('error' in answer) pending?.reject(new Error(answer.error))
    else pending?.resolve(answer.value as never)
  }

  #ended(child: ChildProcess, why: Error): void {
    if (child !== this.#child) return
    this.#child = undefined
    this.#onError('the process that checks passphrases ended, and is made again', why)
    for (const [id, pending] of this.#pending) {
      if (pending.sent < mostProcessesPerWork) this.#send(id)
      else {
        this.#pending.delete(id)
        pending.reject(why)
      }
    }
  }
}
