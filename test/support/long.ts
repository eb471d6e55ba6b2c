import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

// npm run test:long -- NAME: one test file with its counts whole, in at most 40 minutes.
const [name] = process.argv.slice(2)
const long = readdirSync('test').filter(
  (file) => file.endsWith('.test.ts') && readFileSync(`test/${file}`, 'utf8').includes('howMany('),
)
const file = `test/${name ?? ''}.test.ts`
if (name === undefined || !existsSync(file)) {
  process.stderr.write(`Name one of: ${long.map((each) => each.replace('.test.ts', '')).join(', ')}\n`)
  process.exit(2)
}
const { status } = spawnSync('tap', ['--disable-coverage', '--timeout=2400', file], {
  stdio: 'inherit',
  env: { ...process.env, CORDON_TEST_COUNTS: 'whole' },
})
process.exit(status ?? 1)
