import { CommandFailure } from './failures.ts'

/**
 * Resolves once a signal has stopped the service cleanly. A second signal ends the process at once.
 * Rejects with CommandFailure.
 */
export function stopOnSignal(stop: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false
    const end = (signal: NodeJS.Signals) => {
      if (stopping) {
        process.stderr.write('Ended at once.\n')
        process.exit(1)
      }
      stopping = true
      process.stderr.write(`Stopping (${signal})…\n`)
      stop().then(resolve, (error: unknown) => reject(new CommandFailure(`Stopping failed: ${String(error)}`)))
    }
    process.on('SIGTERM', end)
    process.on('SIGINT', end)
  })
}
