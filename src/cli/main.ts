#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }
import { runByAgent } from './agent/run-by-agent.ts'
import { namesAgentsCommand, storeNamed } from './agent/words.ts'
import { invocation } from './invocation.ts'
import { storePath } from './store-path.ts'

runInLittleMemory()
const { words, out } = invocation()
// A reader such as `head` may close the pipe early.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
process.exitCode = (await quick()) ?? (await whole())
// The work that the SDK would still repeat in the background is kept in the store.
process.exit()

/** What needs no code but that of this file, and what an agent does with the code that it has. */
async function quick(): Promise<number | undefined> {
  if (words.length === 1 && ['--version', '-v'].includes(words[0] ?? '')) {
    out.write(`${manifest.version}\n`)
    return 0
  }
  return namesAgentsCommand(words) ? runByAgent(storePath(storeNamed(words))) : undefined
}

async function whole(): Promise<number> {
  // Beside the program, where only users may write who may also change the program. The default of
  // Node is the directory for temporary files, where another user of this machine could place
  // compiled code.
  enableCompileCache(fileURLToPath(new URL('../../dist/compiled', import.meta.url)))
  const { cordon } = await import('./program.ts')
  return cordon(words)
}

/**
 * Restarts `cordon verify` with options for little memory. It reads everything once and keeps
 * little, but V8 collects garbage late and malloc keeps an arena for each thread; both can only be
 * changed at the start of a process.
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
