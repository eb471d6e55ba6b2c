import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { MemoryStore, isProblem, type Change } from '../src/client/index.ts'
import { FileStore } from '../src/client/node/index.ts'

const words = 'the passphrase of this store'
const needle = 'needle-in-the-store'

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

function pathFor(owner: { teardown(clean: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'cordon-store-'))
  owner.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'store')
}

async function stored(path: string, changes: readonly (readonly Change[])[]): Promise<void> {
  const store = await FileStore.open(path, words)
  for (const change of changes) await store.write(change)
  await store.close()
}

t.test('what was written is there again, in the order of the names, for its owner only', async (t) => {
  const path = pathFor(t)
  await stored(path, [
    [
      { name: 'b/2', value: { needle } },
      { name: 'b/1', value: [1, 'two', null] },
    ],
    [{ name: 'a', value: 'gone' }],
    [{ name: 'a' }],
  ])
  const store = await FileStore.open(path, words)
  t.same(await store.list('b/'), [
    ['b/1', [1, 'two', null]],
    ['b/2', { needle }],
  ])
  t.equal(await store.get('a'), undefined)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.notOk(readFileSync(path).includes(needle), 'nothing lies in the clear')
  t.notOk(readFileSync(path).includes('b/2'), 'nor do the names')
  await store.close()
})

t.test('a wrong passphrase, a weak one, and the one to sign in with', async (t) => {
  const path = pathFor(t)
  t.equal(await code(FileStore.open(path, 'too short')), 'STORE_PASSPHRASE_WEAK')
  for (const few of ['😀'.repeat(8), 'e\u0301'.repeat(8), '\u3000'.repeat(20), '\u200b'.repeat(20)])
    t.equal(await code(FileStore.open(path, few)), 'STORE_PASSPHRASE_WEAK', 'characters are counted, and shown ones')
  await stored(path, [[{ name: 'a', value: 1 }]])
  t.equal(await code(FileStore.open(path, `${words} `)), 'STORE_PASSPHRASE')
  const store = await FileStore.open(path, words)
  t.equal(await store.isOwnPassphrase(words), true)
  t.equal(await store.isOwnPassphrase('another passphrase of mine'), false)
  await store.close()
})

t.test('one process at a time; a lock whose process is dead is no lock', async (t) => {
  const path = pathFor(t)
  const store = await FileStore.open(path, words)
  t.equal(await code(FileStore.open(path, words)), 'STORE_IN_USE')
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  await store.close()
  t.equal(await code(store.write([{ name: 'a', value: 1 }])), 'CLOSED')
  writeFileSync(`${path}.lock`, `${String(other.pid)} `)
  t.equal(await code(FileStore.open(path, words)), 'STORE_IN_USE')
  const gone = new Promise((resolve) => other.once('exit', resolve))
  other.kill()
  await gone
  await (await FileStore.open(path, words)).close()
  writeFileSync(`${path}.lock`, `${String(process.ppid)} 12345`)
  await (await FileStore.open(path, words)).close()
  t.same(readdirSync(join(path, '..')), ['store'], 'nothing is left beside it')
})

t.test('what a kill left of the last record is dropped, at every place it can end', async (t) => {
  const path = pathFor(t)
  await stored(path, [[{ name: 'a', value: 1 }]])
  const whole = readFileSync(path)
  await stored(path, [[{ name: 'b', value: 'x'.repeat(40) }]])
  const longer = readFileSync(path)
  const cuts = [1, 4, 30, longer.length - whole.length - 1]
  for (const cut of cuts) {
    writeFileSync(path, longer.subarray(0, whole.length + cut))
    const store = await FileStore.open(path, words)
    t.equal(await store.get('a'), 1)
    t.equal(await store.get('b'), undefined)
    await store.write([{ name: 'c', value: cut }])
    await store.close()
  }
  const again = await FileStore.open(path, words)
  t.equal(await again.get('c'), cuts.at(-1), 'and it can be written again')
  await again.close()
})

t.test('a record that was changed, moved or taken out is found', async (t) => {
  const path = pathFor(t)
  await stored(path, [[{ name: 'a', value: 1 }], [{ name: 'b', value: 2 }], [{ name: 'c', value: 3 }]])
  const file = readFileSync(path)
  const starts: number[] = []
  for (let at = file.indexOf(0x0a) + 1; at < file.length; at += 4 + file.readUInt32BE(at)) starts.push(at)
  const part = (n: number) => file.subarray(starts[n], starts[n + 1])
  const head = file.subarray(0, starts[0])
  const flipped = Buffer.from(file)
  flipped[(starts[1] ?? 0) + 20] = (flipped[(starts[1] ?? 0) + 20] ?? 0) ^ 1
  const altered: [string, Buffer][] = [
    ['changed', flipped],
    ['exchanged', Buffer.concat([head, part(0), part(2), part(1), part(3)])],
    ['taken out', Buffer.concat([head, part(0), part(2), part(3)])],
    ['repeated', Buffer.concat([head, part(0), part(1), part(1), part(2), part(3)])],
    ['not a store', Buffer.from('hello\n')],
    ['empty', Buffer.alloc(0)],
    ['other parameters', Buffer.from(file.toString('latin1').replace('"m":65536', '"m":64'), 'latin1')],
  ]
  for (const [what, bytes] of altered) {
    writeFileSync(path, bytes)
    t.equal(await code(FileStore.open(path, words)), 'STORE_DAMAGED', what)
  }
})

t.test('many who write at once share records, and all of it is there', async (t) => {
  const path = pathFor(t)
  const store = await FileStore.open(path, words)
  await Promise.all(Array.from({ length: 500 }, (_, n) => store.write([{ name: `n/${String(n)}`, value: n }])))
  const size = statSync(path).size
  t.ok(size < 40_000, 'five hundred writes are not five hundred records')
  await store.close()
  const again = await FileStore.open(path, words)
  t.equal((await again.list('n/')).length, 500)
  await again.close()
})

t.test('a file that is mostly past is written anew, smaller, with all that still holds', async (t) => {
  const path = pathFor(t)
  const store = await FileStore.open(path, words)
  await store.write([{ name: 'kept', value: needle }])
  let largest = 0
  for (let n = 0; n < 60; n++) {
    await store.write([{ name: 'large', value: `${String(n)}${'x'.repeat(150_000)}` }])
    largest = Math.max(largest, statSync(path).size)
  }
  t.ok(largest < 6_000_000)
  await store.close()
  const again = await FileStore.open(path, words)
  t.equal(await again.get('kept'), needle)
  t.match(await again.get('large'), /^59x/)
  await again.close()
})

t.test('INV-30: a process that is killed while it writes loses nothing that it was promised', async (t) => {
  const path = pathFor(t)
  const script = `
    import { FileStore } from ${JSON.stringify(new URL('../src/client/node/index.ts', import.meta.url).href)}
    const store = await FileStore.open(${JSON.stringify(path)}, ${JSON.stringify(words)})
    for (let n = 0; ; n++) {
      await Promise.all([1, 2, 3].map((part) => store.write([{ name: 'n/' + n + '/' + part, value: 'y'.repeat(500) }])))
      process.stdout.write(n + '\\n')
    }`
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env })
  let promised = -1
  child.stdout.on('data', (data: Buffer) => {
    promised = Number(data.toString().trim().split('\n').at(-1))
    if (promised > 20) child.kill('SIGKILL')
  })
  await new Promise((resolve) => child.once('exit', resolve))
  t.ok(promised > 20)
  const store = await FileStore.open(path, words)
  for (let n = 0; n <= promised; n++) {
    const parts = await store.list(`n/${String(n)}/`)
    if (parts.length !== 3) t.fail(`write ${String(n)} was promised and is not there`)
  }
  await store.close()
})

t.test('a store in memory keeps keys as they are', async (t) => {
  const store = new MemoryStore()
  t.equal(store.holdsKeys, true)
  await store.write([{ name: 'a', value: 1 }])
  t.same(await store.list(''), [['a', 1]])
  await store.close()
  t.same(await store.list(''), [])
})
