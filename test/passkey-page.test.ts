// What this holds: the page on which a browser answers for the command is served with nothing in it
// that runs or shows what an address says, in no frame, and may hand a form to the loopback alone;
// and nobody who makes such an address can have it replace somebody's passkey. What makes it fail:
// a script in the page, a wider form-action, markup from text, a user handle that others know.
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Cordon } from '../src/client/index.ts'
import { openFactorKey } from '../src/identity/index.ts'
import { administratorOf, partyOf } from './support/actors.ts'
import { repository } from './support/architecture.ts'
import { SoftwareAuthenticator } from './support/authenticator.ts'
import { loadPage } from './support/page-browser.ts'
import { startServer, temporaryDirectory } from './support/server.ts'

const server = startServer(t)

t.test('INV-100: the page hands forms to the loopback alone, stands in no frame and is kept nowhere', async (t) => {
  const { url } = await server
  const { page, text } = await loadPage(`${url}/passkey#do=get`)
  const policy = (page.headers.get('content-security-policy') ?? '').split(';')
  t.strictSame(policy.toSorted(), [
    "base-uri 'none'",
    "default-src 'none'",
    'form-action http://127.0.0.1:*',
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "script-src 'self'",
    "style-src 'self'",
    "trusted-types 'none'",
  ])
  const expected = {
    'content-type': 'text/html; charset=utf-8',
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  }
  for (const [name, value] of Object.entries(expected)) t.equal(page.headers.get(name), value, name)
  for (const inline of [/<script(?![^>]*\ssrc=)/i, /<style/i, /\son\w+=/i, /\sstyle=/i, /javascript:/i])
    t.notMatch(text, inline)
  const part = await fetch(`${url}/passkey.js`)
  t.match(part.headers.get('content-security-policy'), /default-src 'none'/, 'its parts are no pages')
  t.equal((await fetch(`${url}/passkey`, { method: 'POST' })).status, 405, 'nothing is sent to the service')
})

t.test('INV-100: the script makes no markup from text and asks nobody but the browser', async (t) => {
  const script = await readFile(join(repository, 'src/identity/passkey-page/passkey.js'), 'utf8')
  const ways = /innerHTML|outerHTML|insertAdjacent|document\.write|setAttribute|srcdoc|\beval\b|new Function|import\(/
  t.notMatch(script, ways)
  t.notMatch(script, /fetch|XMLHttpRequest|sendBeacon|WebSocket|EventSource|postMessage|window\.open|opener/)
  t.strictSame(script.match(/https?:[^'`\s]*/g), ['http://127.0.0.1:${port}/'], 'one address, and not its host')
})

t.test('INV-104: by what authenticators know a person nobody else can have a passkey made', async (t) => {
  const first = await server
  const administrator = await administratorOf(t, first)
  const [one, other] = await Promise.all(
    ['One', 'Other'].map((name) => partyOf(t, administrator, { kind: 'partner', name })),
  )
  if (!one || !other) throw new Error('two people came')
  const handleOf = async ({ transport }: Cordon) => {
    const { user } = await transport.request<{ user: { id: string } }>('POST', '/v1/passkeys/invitations', {})
    return user.id
  }
  const handle = await handleOf(one.client)
  t.match(handle, /^[A-Za-z0-9_-]{43}$/)
  t.equal(await handleOf(one.client), handle, 'a new passkey takes the place of one that is no longer known')
  t.not(await handleOf(other.client), handle)
  const another = openFactorKey(join(temporaryDirectory(t), 'factor.key'), false)
  t.not(Buffer.from(another.handle(one.client.person)).toString('base64url'), handle, 'it takes the key to tell it')

  const authenticator = new SoftwareAuthenticator(first.url)
  await one.client.factors.addPasskey('Key', authenticator)
  const renamed = {
    create: () => Promise.reject(new Error('not asked for')),
    get: async (options: object) => {
      const answer = (await authenticator.get(options)) as { response: object }
      const userHandle = Buffer.from(one.client.person).toString('base64url')
      return { ...answer, response: { ...answer.response, userHandle } }
    },
  }
  await t.rejects(one.client.signIn({ authenticator: renamed }), { code: 'SIGN_IN_REFUSED' })
  await one.client.signIn({ authenticator })
  const directory = temporaryDirectory(t)
  for (const name of ['log.key', 'token.key']) await copyFile(join(first.directory, name), join(directory, name))
  await t.rejects(startServer(t, { database: first.database, directory }), /factors is missing/, 'no other key is made')
})
