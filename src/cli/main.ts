#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

runInLittleMemory()
// Beside the program, where only those may write who may change the program itself. Node by itself
// would take the directory for temporary files, in which another person of this machine could lay
// compiled code of their own.
enableCompileCache(fileURLToPath(new URL('../../dist/compiled', import.meta.url)))
const { cordon } = await import('./program.ts')
process.exitCode = await cordon(process.argv.slice(2))
// What the SDK would still repeat in the background is kept in the store, and no reason to stay.
process.exit()

/**
 * Verifying reads everything once and keeps little of it. V8 by itself lets what is already
 * forgotten fill a quarter of a gigabyte before it is collected, and malloc keeps an arena for each
 * thread; both can be told otherwise at the start of a process alone.
 */
function runInLittleMemory(): void {
  const little = ['--max-semi-space-size=2', '--max-old-space-size=192']
  const told = little.every((flag) => process.execArgv.includes(flag))
  if (process.argv[2] !== 'verify' || told || process.execve === undefined) return
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...little, ...process.argv.slice(1)], {
    ...process.env,
    MALLOC_ARENA_MAX: '1',
  })
}
