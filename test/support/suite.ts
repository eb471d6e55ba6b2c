import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

// npm test: all test files, and beside them, since both wait a third of the time, lint and types.
// npm run test:quick: what needs neither people nor commands, and nothing else.

/**
 * Pure rules, the toy log and the wire: what an editor of `src/protocol`, `src/forms`, `src/log` or
 * of a route asks first.
 */
const quick = [
  'access-tables',
  'architecture',
  'attacks-on-sign-in',
  'checkpoint',
  'configuration',
  'decimals',
  'documents',
  'forms',
  'generator',
  'import-mapping',
  'invariants',
  'log-appending',
  'log-entries',
  'log-proofs',
  'log-rights',
  'log-verification',
  'refusals',
  'rule-book',
  'sdk-connection',
  'tiles',
  'totals',
  'tree',
  'vectors',
]

/** What a script says once it has ended, in one piece: the tests speak meanwhile. */
async function told(script: string): Promise<{ script: string; code: number; said: string }> {
  const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await once(child, 'close')) as [number | null]
  return { script, code: code ?? 1, said: (await said).join('') }
}

async function tap(...files: string[]): Promise<number> {
  const child = spawn('tap', files, { stdio: 'inherit' })
  const [code] = (await once(child, 'close')) as [number | null]
  return code ?? 1
}

if (process.argv.includes('quick')) {
  process.exitCode = await tap(...quick.map((name) => `test/${name}.test.ts`))
} else {
  const checks = [told('lint'), told('types')]
  const tested = await tap()
  const wrong = (await Promise.all(checks)).filter(({ code }) => code !== 0)
  for (const { script, said } of wrong) process.stderr.write(`\nnpm run ${script} failed:\n${said}`)
  process.exitCode = tested === 0 ? (wrong[0]?.code ?? 0) : tested
}
