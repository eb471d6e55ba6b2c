import { readdirSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'
import argon2 from 'argon2'
import type { Argon2Answer, Argon2Request } from './argon2-process.ts'

// The program that an Argon2Process runs. It ends with the server that made it, not at a signal
// that a terminal sends to both.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.once('disconnect', () => process.exit())

const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority
const priority = Math.min(getPriority() + PRIORITY_BELOW_NORMAL, PRIORITY_LOW)
setPriority(priority)
if (process.platform === 'linux')
  // On Linux a priority belongs to one thread (setpriority(2)): later threads inherit it from this
  // thread, earlier threads are set one by one.
  for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), priority)

const perform = (request: Argon2Request): Promise<string | boolean> =>
  request.act === 'hash' ? argon2.hash(...request.given) : argon2.verify(...request.given)

process.on('message', (message) => {
  const request = message as Argon2Request
  const answer = (answer: Argon2Answer) => process.send?.(answer)
  perform(request).then(
    (value) => answer({ id: request.id, value }),
    (error: Error) => answer({ id: request.id, error: error.message }),
  )
})
