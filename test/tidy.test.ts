// What this holds: docstrings stand where a reader looks, comments are narrow, "Bites" lines name
// guards that exist, no two files of src/ export one name, and lint refuses dead exports, circles
// and long functions.
// What makes it fail: a comment that was moved away from its declaration, a renamed guard, a rule
// that was taken out of .oxlintrc.json or package.json.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { repository } from './support/architecture.ts'
import { temporaryDirectory } from './support/server.ts'
import { findUntidy, readTexts } from './support/tidy.ts'

t.test('the sources and tests are tidy', async (t) => {
  const texts = await readTexts()
  t.ok(texts.size > 400)
  t.same(
    findUntidy(texts).map(({ file, line, sentence }) => `${file}:${String(line)} ${sentence}`),
    [],
  )
})

t.test('each rule bites, and what it allows it does not refuse', (t) => {
  const guard = 'export function judgeOf(): void {}\n'
  const untidy: [string, string][] = [
    [`// ${'many words '.repeat(9)}\n`, 'wider than 100'],
    [`/** ${'many words '.repeat(9)} */\nconst a = 1\n`, 'wider than 100'],
    ['const a = 1\n/** Says nothing of b. */\n\nconst b = 2\n', 'stands above nothing'],
    ['const a = 1\n/** One. */\n/** Two. */\nconst b = 2\n', 'stands above nothing'],
    ['// Bites: `judgedOf` in the service.\n', 'no source has the name judgedOf'],
    ['// Bites: whatever\n// judgedOf does.\n', 'no source has the name judgedOf'],
    ["await session.events.once('message', ({ id }) => id === sent)\n", 'may have arrived already'],
  ]
  for (const [text, sentence] of untidy) {
    const found = findUntidy(
      new Map([
        ['src/guard.ts', guard],
        ['test/x.test.ts', text],
      ]),
    )
    t.match(found, [{ file: 'test/x.test.ts', sentence: new RegExp(sentence) }], text)
  }
  const twice = new Map([
    ['src/guard.ts', guard],
    ['src/log/judge.ts', guard],
    ['test/judge.ts', guard],
  ])
  t.match(findUntidy(twice), [
    { file: 'src/log/judge.ts', sentence: 'judgeOf is also the name of an export of src/guard.ts' },
  ])
  t.equal(findUntidy(twice).length, 1)
  const tidy = [
    '/** Of the file. */\n\nconst a = 1\n',
    "import { a } from './a.ts'\n\n/** Of a. */\nconst a = 1\n",
    '// Bites: `judgeOf` in src/guard.ts.\n',
    `// https://example.org/${'x'.repeat(100)}\n`.replace('// ', '//'),
  ]
  for (const text of tidy)
    t.same(
      findUntidy(
        new Map([
          ['src/guard.ts', guard],
          ['test/x.test.ts', text],
        ]),
      ),
      [],
      text,
    )
  t.end()
})

/** What a command of this repository's packages prints of a small project that has its settings. */
function judgedBy(command: string, directory: string, ...args: string[]): Promise<string> {
  const program = join(repository, 'node_modules/.bin', command)
  // tap has each Node process below a test load its hooks, which oxlint cannot.
  const plain = ['-c', 'unset NODE_OPTIONS; exec "$@"', 'sh', program, ...args]
  return new Promise((resolve) => {
    execFile('/bin/sh', plain, { cwd: directory }, (_, out, err) => resolve(`${out}${err}`))
  })
}

t.test('lint refuses a circle, a long function and a dead export', async (t) => {
  const directory = temporaryDirectory(t)
  mkdirSync(join(directory, 'src'))
  cpSync(join(repository, '.oxlintrc.json'), join(directory, '.oxlintrc.json'))
  symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'))
  const { knip, scripts } = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as {
    knip: { entry: string[] }
    scripts: { lint: string }
  }
  t.match(scripts.lint, /oxlint .*--deny-warnings.* && knip && /)
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name: 'planted', type: 'module', knip }))
  const long = Array.from({ length: 71 }, (_, n) => `  console.log(${String(n)})`).join('\n')
  const files = {
    'main.ts': "import { a } from './a.ts'\nimport { long } from './long.ts'\na()\nlong()\n",
    'a.ts': "import { b } from './b.ts'\nexport const a = () => b\n",
    'b.ts': "import { a } from './a.ts'\nexport const b = () => a\nexport const nobodyAsks = 1\n",
    'long.ts': `export function long() {\n${long}\n}\n`,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, 'src', name), text)
  const linted = await judgedBy('oxlint', directory, 'src')
  t.match(linted, /import\(no-cycle\)/)
  t.match(linted, /max-lines-per-function\): The function `long` has too many lines \(73\)/)
  t.match(await judgedBy('knip', directory), /nobodyAsks/)
})
