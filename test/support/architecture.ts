import { readFile, readdir } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { dirname, join, posix, relative } from 'node:path'

/** Something in src/ that the house does not allow. */
export interface Breach {
  readonly file: string
  readonly line: number
  readonly sentence: string
}

/** Sources by their path below src/. */
export type Sources = ReadonlyMap<string, string>

const shared = ['protocol', 'forms', 'access']
const ladder = [
  'main',
  'server',
  'housekeeping',
  'verification',
  'live',
  'reports',
  'casework',
  'messages',
  'operations',
  'identity',
  'log',
]
const refusals = ['errors', 'problem-catalogue']
const floor = ['http', 'db', 'access', ...refusals]

/** What each part of src/ may import. */
const mayImport: ReadonlyMap<string, readonly string[]> = new Map([
  ...ladder.map((rung, index): [string, string[]] => [rung, [...ladder.slice(index + 1), ...floor, ...shared]]),
  ['http', ['access', ...refusals, ...shared]],
  ['db', ['access', ...refusals, ...shared]],
  ['errors', ['problem-catalogue']],
  ['problem-catalogue', []],
  ['access', []],
  ['config', ['variable-names']],
  ['variable-names', []],
  ['protocol', ['access']],
  ['forms', ['protocol', 'access']],
  // Makes dist/ of the others, and is no part of it.
  ['build', []],
  ['client', shared],
  // Beside the SDK: the service it starts, its configuration, the migrations and the log's
  // verifier.
  ['cli', ['client', 'main', 'config', 'variable-names', 'log', 'db', ...refusals, ...shared]],
])
const mayReadConfiguration = ['main', 'cli']

/** Packages of the parts that run in a browser. */
const portablePackages: ReadonlyMap<string, readonly string[]> = new Map([
  ['access', []],
  ['protocol', ['jose', 'hpke', 'typebox', 'uuid']],
  ['forms', ['ajv', 'ajv-formats', 'typebox']],
  ['client', ['fflate', 'hpke', 'jose', 'read-excel-file', 'typebox', 'uuid']],
])

const forbiddenNames = ['utils', 'util', 'common', 'lib', 'helpers', 'helper', 'types', 'services', 'models', 'misc']
const longest = 500

const builtins = new Set(builtinModules)

/** The name of the part a file belongs to: its folder, or the file itself right below src/. */
function partOf(file: string): string {
  const [first = ''] = file.split('/')
  return first.replace(/\.ts$/, '')
}

function isBelow(file: string, folder: string): boolean {
  return file.startsWith(`${folder}/`)
}

// Comments are blanked, lines kept, so that a rule that is mentioned is not a rule that is broken.
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|\s)\/\/[^\n]*/g, (comment) => comment.replace(/[^\n]/g, ' '))
}

interface Import {
  readonly line: number
  readonly target: string
  readonly typesOnly: boolean
  readonly names: string
}

const fromPattern = /^[ \t]*(import|export)(\s+type)?\b([^;'"`]*?)\bfrom\s+['"]([^'"]+)['"]/gm
const barePattern = /^[ \t]*import\s+['"]([^'"]+)['"]/gm
const dynamicPattern = /\bimport\(\s*['"]([^'"]+)['"]|\brequire\(\s*['"]([^'"]+)['"]/g

function importsOf(code: string): Import[] {
  const lineAt = (index: number) => code.slice(0, index).split('\n').length
  const found: Import[] = []
  for (const match of code.matchAll(fromPattern)) {
    const [whole, , type, names = '', target = ''] = match
    const inline =
      names.includes('{') &&
      names
        .replace(/[{}\s]/g, '')
        .split(',')
        .every((name) => name === '' || /^type[A-Z]/.test(name))
    // The line of the module's name, where an import over several lines ends.
    found.push({ line: lineAt(match.index + whole.length), target, typesOnly: type !== undefined || inline, names })
  }
  for (const match of code.matchAll(barePattern)) {
    found.push({ line: lineAt(match.index + match[0].length), target: match[1] ?? '', typesOnly: false, names: '' })
  }
  for (const match of code.matchAll(dynamicPattern)) {
    found.push({ line: lineAt(match.index), target: match[1] ?? match[2] ?? '', typesOnly: false, names: '' })
  }
  return found
}

function packageOf(target: string): string {
  return target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Everything in `sources` that breaks the ladder or the rules beside it, by file and line. */
export function findBreaches(sources: Sources): Breach[] {
  const breaches: Breach[] = []
  for (const [file, text] of sources) {
    const code = withoutComments(text)
    const say = (line: number, sentence: string) => breaches.push({ file, line, sentence })
    checkNames(file, text, say)
    for (const found of importsOf(code)) {
      if (found.target.startsWith('.')) checkOwnImport(file, found, sources, say)
      else checkPackage(file, found, say)
    }
    checkLines(file, code, say)
  }
  breaches.push(...findSharedTables(sources))
  return breaches.sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line)
}

type Say = (line: number, sentence: string) => void

function checkNames(file: string, text: string, say: Say): void {
  if (!mayImport.has(partOf(file))) say(1, `src/${partOf(file)} is no part of the house`)
  for (const name of file.replace(/\.ts$/, '').split('/')) {
    if (forbiddenNames.includes(name)) say(1, `"${name}" says nothing; name the concept`)
  }
  const lines = text.split('\n').length - 1
  if (lines > longest) say(longest, `has ${lines} lines, more than ${longest}`)
}

function checkOwnImport(file: string, found: Import, sources: Sources, say: Say): void {
  const target = posix.join(posix.dirname(file), found.target)
  if (!found.target.endsWith('.ts') && !found.target.endsWith('.json'))
    say(found.line, `${found.target} is imported without .ts`)
  if (target.startsWith('..')) {
    if (!target.startsWith('../package.json')) say(found.line, `${found.target} lies outside src/`)
    return
  }
  if (!sources.has(target) && target.endsWith('.ts')) say(found.line, `${found.target} does not exist`)
  const from = partOf(file)
  const to = partOf(target)
  if (from === to) return
  const allowed = to === 'config' ? mayReadConfiguration.includes(from) : (mayImport.get(from) ?? []).includes(to)
  if (!allowed) say(found.line, `${from} must not import ${to}`)
  if (target.includes('/') && target !== `${to}/index.ts` && !isBelow(target, 'client/node')) {
    say(found.line, `${target} is imported past ${to}/index.ts`)
  }
  if (isBelow(target, 'client/node') && from !== 'cli') say(found.line, `only cli may import client/node`)
}

function checkPackage(file: string, found: Import, say: Say): void {
  const part = partOf(file)
  const name = packageOf(found.target)
  const isNode = found.target.startsWith('node:') || builtins.has(found.target)
  if (builtins.has(found.target) && !found.target.startsWith('node:'))
    say(found.line, `${found.target} is imported without node:`)
  const portable = portablePackages.get(part)
  if (portable !== undefined && !isBelow(file, 'client/node')) {
    if (isNode) say(found.line, `${part} runs in a browser and must not import ${found.target}`)
    else if (!portable.includes(name)) say(found.line, `${part} must not import the package ${name}`)
  }
  if (name === 'esbuild' && part !== 'build') say(found.line, 'esbuild makes dist/ and belongs in build.ts alone')
  if (name === 'kysely' || name === 'pg' || name.startsWith('kysely-') || name.startsWith('pg-')) {
    const allowed = part === 'log' || part === 'db' || /^[a-z]+\/([a-z-]+\/)?store\.ts$/.test(file)
    if (!allowed) say(found.line, `${name} belongs in a store`)
  }
  if (name === 'fastify' || name.startsWith('@fastify/')) {
    const allowed = part === 'live' || part === 'http' || file === 'server.ts' || file.endsWith('/routes.ts')
    if (!allowed) say(found.line, `${name} belongs in routes, live, http or server.ts`)
  }
}

const ambient: readonly { pattern: RegExp; name: string; allowed: (file: string) => boolean }[] = [
  { pattern: /\bDate\.now\b/, name: 'Date.now', allowed: isRoot },
  { pattern: /\bnew Date\b(?!\s*\(\s*[^\s)])/, name: 'new Date()', allowed: isRoot },
  { pattern: /(?<![.\w] *)\bDate\(\)/, name: 'Date()', allowed: () => false },
  { pattern: /\bMath\.random\b/, name: 'Math.random', allowed: isRoot },
  {
    pattern: /\bprocess\.env\b|\bprocess\[['"]env|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/,
    name: 'process.env',
    allowed: (file) => file === 'config.ts' || isBelow(file, 'cli'),
  },
]

function isRoot(file: string): boolean {
  return file === 'main.ts' || file === 'config.ts' || isBelow(file, 'cli')
}

function checkLines(file: string, code: string, say: Say): void {
  const portable = portablePackages.has(partOf(file)) && !isBelow(file, 'client/node')
  for (const [index, line] of code.split('\n').entries()) {
    for (const { pattern, name, allowed } of ambient) {
      if (pattern.test(line) && !allowed(file)) say(index + 1, `${name} is ambient; let it be passed in`)
    }
    if (/^\s*export\s*\*/.test(line)) say(index + 1, 'export * hides what is offered; name it')
    if (/^\s*export\s+default\b/.test(line)) say(index + 1, 'export default gives no name')
    if (portable && /(?<![\w.'"`])(Buffer|process)\s*[.[(]/.test(line))
      say(index + 1, 'Buffer and process do not exist in a browser')
  }
}

/**
 * Two parts that name one table. `reports` may read what figures are computed from, in the one
 * query that does.
 */
function findSharedTables(sources: Sources): Breach[] {
  const schema = sources.get('db/tables.ts') ?? ''
  const tables = [...(/interface DB \{([^}]*)\}/.exec(schema)?.[1] ?? '').matchAll(/^\s*(\w+):/gm)].map(
    (match) => match[1] ?? '',
  )
  const owners = new Map<string, Map<string, { file: string; line: number }>>()
  for (const [file, text] of sources) {
    const part = partOf(file)
    if (part === 'db' || part === 'reports') continue
    for (const [index, line] of withoutComments(text).split('\n').entries()) {
      for (const table of tables) {
        const named = new RegExp(
          `\\b(?:selectFrom|insertInto|updateTable|deleteFrom|innerJoin|leftJoin|rightJoin|fullJoin|crossJoin|sql\\.table)\\(\\s*\\[?['"\`]${table}(?:['"\`]| as )|\\b(?:FROM|JOIN|INTO|UPDATE)\\s+${table}\\b`,
        )
        if (!named.test(line)) continue
        const users = owners.get(table) ?? new Map<string, { file: string; line: number }>()
        owners.set(table, users)
        if (!users.has(part)) users.set(part, { file, line: index + 1 })
      }
    }
  }
  return [...owners].flatMap(([table, users]) =>
    users.size < 2
      ? []
      : [...users.values()].map((place) => ({
          ...place,
          sentence: `the table ${table} is named in ${[...users.keys()].join(' and ')}; ask its owner`,
        })),
  )
}

/** Reads src/ of this repository. */
export async function readSources(): Promise<Sources> {
  const root = join(import.meta.dirname, '../../src')
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  const read = files.map(async (entry): Promise<[string, string]> => {
    const path = join(entry.parentPath, entry.name)
    return [relative(root, path).replaceAll('\\', '/'), await readFile(path, 'utf8')]
  })
  return new Map((await Promise.all(read)).sort(([a], [b]) => a.localeCompare(b)))
}

export function nameBreach({ file, line, sentence }: Breach): string {
  return `src/${file}:${line} ${sentence}`
}

export const repository = dirname(dirname(import.meta.dirname))
