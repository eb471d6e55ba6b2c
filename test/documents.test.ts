import { readFile, readdir, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { describeAccess, describeForms, describeProblems, describeUnits } from '../docs/pages.ts'
import { describeSettings } from '../src/config.ts'
import { problems } from '../src/problem-catalogue.ts'
import { closeCodes } from '../src/protocol/index.ts'
import { repository } from './support/architecture.ts'

async function pages(): Promise<Map<string, string>> {
  const below = (await readdir(join(repository, 'docs'), { recursive: true })).map((name) => join('docs', name))
  const files = [...below, 'README.md', 'SECURITY.md', 'CONTRIBUTING.md'].filter((name) => name.endsWith('.md'))
  return new Map(
    await Promise.all(
      files.map(async (file): Promise<[string, string]> => [file, await readFile(join(repository, file), 'utf8')]),
    ),
  )
}

const source = (file: string) => readFile(join(repository, 'src', file), 'utf8')
const literals = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, literal = '']) => literal)

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

t.test('every file that a page names exists', async (t) => {
  for (const [page, text] of await pages()) {
    const links = literals(text, /\]\(([^)#:]+)(?:#[^)]*)?\)/g).map((link) => join(dirname(page), link))
    const named = literals(text, /`((?:src|test|docs|migrations)\/[\w./-]+)`/g)
    for (const path of [...links, ...named]) {
      t.ok(await exists(join(repository, path)), `${page} names ${relative('.', path)}`)
    }
  }
})

t.test('each decision has a number of its own, and stands in the index with its title', async (t) => {
  const folder = join(repository, 'docs/decisions')
  const files = (await readdir(folder)).filter((name) => name !== 'README.md')
  const index = await readFile(join(folder, 'README.md'), 'utf8')
  t.equal(new Set(files.map((name) => name.slice(0, 4))).size, files.length, 'no number twice')
  for (const name of files) {
    const [first = ''] = (await readFile(join(folder, name), 'utf8')).split('\n')
    t.ok(index.includes(`[${first.replace(/^# /, '')}](${name})`), name)
  }
})

t.test('each step of the walk of a message is a function of the file that it names', async (t) => {
  const page = await readFile(join(repository, 'docs/architecture.md'), 'utf8')
  const steps = [...page.matchAll(/^\d+\. `([\w.#]+)` in `([\w/-]+\.ts)`/gm)]
  t.ok(steps.length >= 20)
  for (const [, name = '', file = ''] of steps) {
    const text = await source(file)
    const [holder = '', method] = name.split('.')
    const defined = method === undefined ? `function ${holder}\\b` : `class ${holder}\\b[^]*\\n  (async )?${method}\\(`
    t.ok(new RegExp(defined).test(text), `${name} in ${file}`)
  }
})

t.test('what is written from the source is in step; npm run docs writes it', async (t) => {
  const written = {
    'access.md': describeAccess(),
    'problems.md': describeProblems(),
    'forms.json': describeForms(),
    'units.md': describeUnits(),
  }
  for (const [name, text] of Object.entries(written)) {
    t.equal(await readFile(join(repository, 'docs', name), 'utf8'), text, name)
  }
})

t.test('every code of a refusal that a page names is in the catalogue', async (t) => {
  const settings = literals(describeSettings(), /`([A-Z]+(?:_[A-Z]+)+)`/g)
  const files = (await readdir(join(repository, 'src/protocol'))).filter((file) => file.endsWith('.ts'))
  const protocol = (await Promise.all(files.map((file) => source(`protocol/${file}`)))).join('\n')
  for (const [page, text] of await pages()) {
    for (const code of literals(text, /`([A-Z]+(?:_[A-Z]+)+)`/g)) {
      const known = Object.hasOwn(problems, code) || protocol.includes(`'${code}'`)
      if (!settings.includes(code)) t.ok(known, `${page} names ${code}`)
    }
  }
})

t.test('the protocol’s page has every type, frame, kind of statement, close code and address', async (t) => {
  const page = await readFile(join(repository, 'docs/protocol.md'), 'utf8')
  const statements = literals(await source('protocol/jws.ts'), /\| '(cordon-[a-z-]+\+jws)'/g)
  const sealed = literals(await source('protocol/hpke.ts'), /'(cordon-[a-z-]+\+jwe)'/g)
  t.ok(statements.length >= 8 && sealed.length >= 3)
  for (const typ of [...statements, ...sealed]) t.ok(page.includes(`\`${typ}\``), typ)
  const frames = await source('protocol/frames.ts')
  const types = [...literals(frames, /type\('([a-z-]+)'\)/g), ...literals(frames, /readonly type: '([a-z-]+)'/g)]
  t.ok(types.length > 15)
  for (const type of types) t.match(page, new RegExp(`\`${type}[ \`]`), type)
  const acts = literals(await source('protocol/members.ts'), /act\('([a-z-]+)'\)/g)
  t.ok(acts.length >= 10)
  for (const act of acts) t.ok(page.includes(`\`${act}\``) || page.includes(`\`${act} `), act)
  for (const code of Object.values(closeCodes)) t.ok(page.includes(String(code)), String(code))
  for (const folder of ['identity', 'operations', 'messages', 'reports', 'log', 'live']) {
    const routes = literals(await source(`${folder}/routes.ts`), /'(\/v1\/[^']+)'/g)
    t.not(routes.length, 0, folder)
    for (const route of routes) {
      const words = route.split('/').filter((word) => word !== '' && word !== 'v1' && !word.startsWith(':'))
      t.ok(
        words.every((word) => page.includes(word)),
        route,
      )
    }
  }
})
