// What this holds: in a real browser, over https, the printed address adds a passkey and signs in;
// and what somebody else puts into such an address is neither shown nor run nor sent anywhere but
// to the machine that the browser runs on. What makes it fail: the page's script or its headers.
// Without Chromium (Debian: apt-get install chromium) test/journeys/passphrase-to-passkey.test.ts
// does the same by hand.
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setDefaultCACertificates } from 'node:tls'
import t from 'tap'
import { operationOn } from './support/actors.ts'
import { selfSigned } from './support/certificate.ts'
import { Chromium, findChromium, type Tab } from './support/chromium.ts'
import { freePort, joinWithDesk, temporary } from './support/command.ts'
import { readAddress, runWithBrowser } from './support/page-browser.ts'
import { startServer } from './support/server.ts'

type Owner = Parameters<typeof startServer>[0]

const program = findChromium()
const skip = program === undefined ? 'Chromium is not installed (Debian: apt-get install chromium)' : false

/**
 * A service under https and a name, as browsers want it for passkeys, and a browser that trusts its
 * certificate.
 */
async function stage(owner: Owner) {
  const { certificate, key } = selfSigned('localhost')
  const directory = temporary(owner)
  const tls = { certificateFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') }
  writeFileSync(tls.certificateFile, certificate)
  writeFileSync(tls.keyFile, key, { mode: 0o600 })
  setDefaultCACertificates([certificate])
  const port = await freePort()
  const server = await startServer(owner, { port, publicUrl: `https://localhost:${String(port)}`, tls })
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })
  const pin = createHash('sha256').update(spki).digest('base64')
  const chromium = await Chromium.start(owner, program ?? '', [`--ignore-certificate-errors-spki-list=${pin}`])
  return { server, directory, chromium, trusting: { NODE_EXTRA_CA_CERTS: tls.certificateFile } }
}

/**
 * Somebody at the browser: opens the address, reads the page, presses its button, and waits for
 * what the command shows.
 */
async function follow(tab: Tab, address: string): Promise<{ page: string; shown: string }> {
  await tab.open(address)
  await tab.until(`document.querySelector('#go')?.checkVisibility()`)
  const page = await tab.text()
  await tab.press('#go')
  await tab.until(`location.origin === '${new URL(readAddress(address).action).origin}'`)
  return { page, shown: await tab.text() }
}

t.test('INV-100: Chromium adds a passkey for the command and signs in with it', { skip }, async (t) => {
  const { server, directory, chromium, trusting } = await stage(t)
  const kenya = await joinWithDesk(t, directory, await operationOn(t, server), { name: 'Kenya', country: 'KE' })
  const tab = await chromium.newTab()
  const seen: { page: string; shown: string }[] = []
  const command = (...args: string[]) =>
    runWithBrowser(kenya, args, async (address) => seen.push(await follow(tab, address)), trusting)

  const added = await command('factors', 'passkey', 'add', 'Laptop')
  t.match(added, { code: 0, json: { name: 'Laptop' } }, added.stderr)
  t.match(seen.at(-1)?.page, new RegExp(`${new URL(server.url).host}[^]*Add a passkey to your account`))
  t.match(seen.at(-1)?.shown, /You may close this window/)
  t.match(await tab.passkeys(), [{ rpId: 'localhost' }])
  const signedIn = await command('sign-in', '--passkey')
  t.match(signedIn, { code: 0, json: { certified: true } }, signedIn.stderr)
  t.match(seen.at(-1)?.page, /Sign in with your passkey/)

  const again = await command('factors', 'passkey', 'add', 'The same laptop')
  t.match(again, { code: 1, json: { error: { message: /a passkey of yours for this service already/ } } })
  t.match(seen.at(-1)?.shown, /Nothing was done/)
  await tab.knowsItsUser(false)
  const stranger = await command('sign-in', '--passkey')
  t.match(stranger, { code: 1, json: { error: { message: /it was cancelled there/ } } }, 'somebody else’s finger')
})

/** Counts what is sent to it. */
async function listener(owner: Owner, host = '127.0.0.1', page = ''): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = []
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`)
    response.writeHead(200, { 'content-type': 'text/html' }).end(page)
  }).listen(0, host)
  await once(server, 'listening')
  owner.teardown(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, asked }
}

const encode = (options: unknown) => Buffer.from(JSON.stringify(options)).toString('base64url')

t.test('INV-103: nothing of an address that an attacker made is shown, run, or sent elsewhere', { skip }, async (t) => {
  const { server, chromium } = await stage(t)
  const tab = await chromium.newTab()
  const markup = '"><img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>'
  const question = { challenge: 'AAAA', rpId: 'localhost', userVerification: 'required' }
  const making = (more: object = {}) => ({
    challenge: 'AAAA',
    rp: { id: 'localhost', name: markup },
    user: { id: 'AAAA', name: markup, displayName: markup },
    pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
    ...more,
  })
  const usual = { do: 'get', port: '40000', state: 'A'.repeat(43), options: encode(question) }
  const address = (given: Record<string, string>) => `${server.url}/passkey#${new URLSearchParams(given).toString()}`
  const show = async (given: Record<string, string>) => {
    await tab.open('about:blank')
    await tab.open(address(given))
    await tab.until(`document.querySelector('#service')?.textContent === location.host`)
    return tab.text()
  }

  const bad: [string, Record<string, string>][] = [
    ['another act', { do: 'constructor' }],
    ['no act', { do: markup }],
    ['a port below', { port: '443' }],
    ['a port above', { port: '65536' }],
    ['a port that is an address', { port: '40000@attacker.example' }],
    ['a port with a path', { port: '4000/x' }],
    ['a port in another writing', { port: '4e4' }],
    ['no state', { state: '' }],
    ['a state that is markup', { state: markup }],
    ['options that are none', { options: 'AAAA' }],
    ['options that are nothing', { options: encode(null) }],
    ['options for a parent of the name', { options: encode({ ...question, rpId: 'host' }) }],
    ['options for another service', { options: encode({ ...question, rpId: 'bank.example' }) }],
    ['options without a service', { options: encode({ challenge: 'AAAA' }) }],
    ['options of the other act', { do: 'create' }],
    [
      'a passkey for another service',
      { do: 'create', options: encode(making({ rp: { id: 'a.localhost', name: '' } })) },
    ],
  ]
  for (const [what, given] of bad) {
    const text = await show({ ...usual, ...given })
    t.match(text, /This address is not whole/, what)
    t.equal(await tab.value(`document.querySelector('#go').checkVisibility()`), false, `${what}: nothing to press`)
  }
  const text = await show({ ...usual, do: 'create', options: encode(making()), extra: markup })
  t.match(text, /Add a passkey to your account/)
  t.notMatch(text, /onerror|pwned/)
  t.equal(await tab.value('document.images.length + document.scripts.length'), 1, 'its own script alone')
  t.equal(await tab.value('globalThis.pwned === undefined'), true)
  t.equal(await tab.value('location.hash'), '', 'the question is no longer in the address')

  // Whatever ran in the page could post to this machine alone.
  const [home, away] = [await listener(t), await listener(t, '127.0.0.2')]
  const posts = (url: string) =>
    tab.value(
      `(() => { const f = document.createElement('form'); f.method = 'post'; f.action = '${url}'; document.body.append(f); f.submit() })()`,
    )
  await posts(`http://127.0.0.2:${String(away.port)}/`)
  await posts(`http://localhost:${String(home.port)}/`)
  await posts(`${server.url}/v1/passkeys/questions`)
  const fetching = tab.value(`fetch('http://127.0.0.1:${String(home.port)}/', { mode: 'no-cors' })`)
  await t.rejects(fetching, 'and asks nobody by itself')
  await posts(`http://127.0.0.1:${String(home.port)}/`)
  await tab.until(`location.port === '${String(home.port)}'`)
  t.strictSame([away.asked, home.asked.filter((one) => one.startsWith('POST'))], [[], ['POST /']])
})

t.test('INV-103: the page stands in no frame, and does nothing before its button is pressed', { skip }, async (t) => {
  const { server, chromium } = await stage(t)
  const tab = await chromium.newTab()
  const question = { challenge: 'AAAA', rpId: 'localhost', userVerification: 'required' }
  const { port, asked } = await listener(t)
  const task = { do: 'get', port: String(port), state: 'A'.repeat(43), options: encode(question) }
  const address = `${server.url}/passkey#${new URLSearchParams(task).toString()}`
  const around = await listener(
    t,
    '127.0.0.1',
    `<iframe src="${address.replaceAll('&', '&amp;')}" allow="publickey-credentials-get *"></iframe>`,
  )
  await tab.open(`http://127.0.0.1:${String(around.port)}/`)
  await tab.until('frames.length === 1 && document.readyState === "complete"')
  const [frame, ...more] = await chromium.frames()
  t.same(more, [])
  t.equal(await frame?.value('location.protocol'), 'chrome-error:', 'an error is shown in its place')

  await tab.open(address)
  await tab.until(`document.querySelector('#go')?.checkVisibility()`)
  await tab.value(`new Promise((resolve) => setTimeout(resolve, 300))`)
  t.strictSame(asked, [])
  t.match(await tab.text(), /You did not start this yourself\? Then close this page, and nothing happens\./)
})
