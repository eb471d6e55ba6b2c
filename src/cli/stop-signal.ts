import { CommandFailure } from './failures.ts'

// Ctrl-C below `npm start` reaches this process twice: from the terminal, and from npm, which
// passes on what it got itself.
const onePressMs = 1_000

/**
 * Resolves once a signal has stopped the service cleanly. A further signal, a second or more later,
 * ends the process at once. Rejects with CommandFailure.
 */
export function stopOnSignal(stop: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let stoppingSince: number | undefined
    const end = (signal: NodeJS.Signals) => {
      const now = performance.now()
      if (stoppingSince !== undefined) {
        if (now - stoppingSince < onePressMs) return
        process.stderr.write('Ended at once.\n')
        process.exit(1)
      }
      stoppingSince = now
      process.stderr.write(`Stopping (${signal})…\n`)
      stop().then(resolve, (error: unknown) => reject(new CommandFailure(`Stopping failed: ${String(error)}`)))
    }
    process.on('SIGTERM', end)
    process.on('SIGINT', end)
  })
}
