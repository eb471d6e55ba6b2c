// What this holds: a command that waits for a browser takes one answer, the first that brings the
// state it printed, by a form to its own address; whatever else comes changes nothing. What makes
// it fail: a state that is not compared, a Host that is not, a second answer.
import { once } from 'node:events'
import { request, type OutgoingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { inBrowser } from '../src/cli/passkey/browser.ts'
import { Loopback, type BrowserAnswer } from '../src/cli/passkey/loopback.ts'
import type { Cordon } from '../src/client/index.ts'
import { signSignIn, timestamp, type PersonId } from '../src/protocol/index.ts'
import { partyOf } from './support/actors.ts'
import { SoftwareAuthenticator } from './support/authenticator.ts'
import { Desk, ended, freePort, joinWithDesk, temporary } from './support/command.ts'
import { browse, post, printedAddress, readAddress, runWithBrowser } from './support/page-browser.ts'
import type { startServer } from './support/server.ts'
import { usualOperation } from './support/usual-operation.ts'

type Owner = Parameters<typeof startServer>[0]

async function opened(owner: Owner): Promise<Loopback> {
  const loopback = await Loopback.open()
  owner.teardown(async () => loopback.close())
  return loopback
}

const actionOf = ({ port }: Loopback) => `http://127.0.0.1:${String(port)}/`
const form = 'application/x-www-form-urlencoded'

/**
 * A request exactly as it is given, and the status of its answer; 0 where the connection ends
 * without one.
 */
function raw(
  loopback: Loopback,
  {
    method = 'POST',
    path = '/',
    headers = {},
    body = '',
  }: Partial<Record<'method' | 'path' | 'body', string>> & {
    headers?: OutgoingHttpHeaders
  },
): Promise<number> {
  return new Promise((resolve) => {
    const options = {
      host: '127.0.0.1',
      port: loopback.port,
      method,
      path,
      headers: { 'content-type': form, ...headers },
    }
    const asking = request(options, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asking.on('error', () => resolve(0))
    asking.end(body)
  })
}

const outcome = (loopback: Loopback): Promise<BrowserAnswer | 'waiting'> =>
  Promise.race([loopback.handed, sleep(50, 'waiting' as const)])

t.test(
  'INV-101: what does not bring the state, in the form and under the address that were printed, changes nothing',
  async (t) => {
    const loopback = await opened(t)
    const { state, port } = loopback
    const other = await opened(t)
    t.match(state, /^[A-Za-z0-9_-]{43}$/)
    const answer = JSON.stringify({ id: 'of an attacker' })
    const fields = (given: Record<string, string>) => new URLSearchParams(given).toString()
    const right = fields({ state, answer })
    const wrong: [string, Parameters<typeof raw>[1], number][] = [
      ['no state', { body: fields({ answer }) }, 403],
      ['an empty state', { body: fields({ state: '', answer }) }, 403],
      ['the state of another command', { body: fields({ state: other.state, answer }) }, 403],
      ['a state that is longer', { body: fields({ state: `${state}A`, answer }) }, 403],
      ['a state whose end is another', { body: fields({ state: `${state.slice(0, -2)}__`, answer }) }, 403],
      ['the state in the address', { path: `/?${right}`, body: fields({ answer }) }, 404],
      ['another path', { path: '/answer', body: right }, 404],
      ['a link', { method: 'GET', path: '/' }, 405],
      ['a preflight', { method: 'OPTIONS' }, 405],
      ['another method', { method: 'PUT', body: right }, 405],
      ['JSON', { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ state, answer }) }, 415],
      ['text, which other pages send unasked', { headers: { 'content-type': 'text/plain' }, body: right }, 415],
      ['a name that DNS leads here', { headers: { host: `attacker.example:${String(port)}` }, body: right }, 421],
      ['localhost', { headers: { host: `localhost:${String(port)}` }, body: right }, 421],
      ['no port', { headers: { host: '127.0.0.1' }, body: right }, 421],
      ['the port of another', { headers: { host: `127.0.0.1:${String(other.port)}` }, body: right }, 421],
      ['an answer that is none', { body: fields({ state, answer: 'null' }) }, 400],
      ['an answer that is no JSON', { body: fields({ state, answer: '{' }) }, 400],
      ['neither answer nor error', { body: fields({ state }) }, 400],
      ['too much', { body: fields({ state, answer: `"${'a'.repeat(140_000)}"` }) }, 413],
    ]
    for (const [what, given, status] of wrong) t.equal(await raw(loopback, given), status, what)
    const endless = await raw(loopback, { headers: { 'transfer-encoding': 'chunked' }, body: 'a'.repeat(300_000) })
    t.ok([0, 413].includes(endless), 'too much without saying how much')
    t.equal(await outcome(loopback), 'waiting')
    t.equal(await raw(loopback, { body: fields({ state, answer: '{"id":"mine"}' }) }), 200)
    t.strictSame(await loopback.handed, { answer: { id: 'mine' } })
    t.equal(await outcome(other), 'waiting')
  },
)

t.test(
  'INV-101: of many answers that bring the state one is taken, and what is shown holds nothing of it',
  async (t) => {
    const loopback = await opened(t)
    const { state } = loopback
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        post(actionOf(loopback), { state, answer: JSON.stringify({ n, text: '<script>alert(1)</script>' }) }),
      ),
    )
    const taken = answers.findIndex(({ status }) => status === 200)
    t.strictSame(
      answers.map(({ status }) => status),
      answers.map((_, n) => (n === taken ? 200 : 409)),
    )
    t.match(await loopback.handed, { answer: { n: taken } })
    const shown = answers[taken]
    t.notMatch(await shown?.text(), /alert|<script/)
    t.match(
      shown?.headers.get('content-security-policy'),
      /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    )
    t.equal(shown?.headers.get('access-control-allow-origin'), null)
    t.equal((await post(actionOf(loopback), { state, answer: '{}' })).status, 409, 'nor later')
  },
)

t.test('INV-101: it listens on this machine alone, and who holds a connection holds nothing up', async (t) => {
  const loopback = await opened(t)
  const idle = connect(loopback.port, '127.0.0.1')
  await once(idle, 'connect')
  idle.write('POST / HTTP/1.1\r\nHost: ')
  const elsewhere = connect(loopback.port, '127.0.0.2')
  const [refused] = (await once(elsewhere, 'error')) as [NodeJS.ErrnoException]
  t.equal(refused.code, 'ECONNREFUSED', 'on this address alone')
  const broken = request({
    host: '127.0.0.1',
    port: loopback.port,
    method: 'POST',
    headers: { 'content-type': form, 'content-length': 100 },
  })
  broken.on('error', () => {})
  broken.write('state=')
  await sleep(50)
  broken.destroy()
  t.equal(await outcome(loopback), 'waiting', 'who breaks off ends nothing')
  t.equal((await post(actionOf(loopback), { state: loopback.state, error: 'Not<b>AllowedError' })).status, 200)
  t.strictSame(await loopback.handed, { refused: 'Error' })
  idle.on('error', () => {})
  const gone = once(idle, 'close')
  loopback.close()
  await gone
})

const device = (notes: string[] = [], interrupted = new Promise<never>(() => {})) =>
  ({ terminal: { note: (line: string) => void notes.push(line) }, interrupted }) as unknown as Parameters<
    typeof inBrowser
  >[0]

t.test('an answer that does not come is said, and so is an address that browsers have no passkeys for', async (t) => {
  const notes: string[] = []
  const impatient = inBrowser(device(notes), () => 'https://cordon.example', 30)
  await t.rejects(impatient.get({}), { message: /No answer came from the browser in time/ })
  const { action } = readAddress(/https:\S+/.exec(notes.join('\n'))?.[0] ?? '')
  await t.rejects(fetch(action), 'nobody listens any more')
  for (const server of [
    'http://127.0.0.1:7300',
    'https://192.0.2.1',
    'https://[2001:db8::1]',
    'http://cordon.example',
  ]) {
    const said: string[] = []
    await t.rejects(inBrowser(device(said), () => server).create({}), { message: /with a name and https/ }, server)
    t.strictSame(said, [], 'nothing is printed')
  }
})

t.test('with the command', async (t) => {
  const port = await freePort()
  const scene = await usualOperation(t, { port, publicUrl: `http://localhost:${String(port)}` })
  const { server } = scene
  const kenya = await joinWithDesk(t, temporary(t), scene, { name: 'Kenya', country: 'KE' })
  const authenticator = new SoftwareAuthenticator(server.url)
  const add = ['factors', 'passkey', 'add']

  t.test('INV-101: wrong posts are refused while it waits, and the right one is still taken', async (t) => {
    const added = await runWithBrowser(kenya, [...add, 'Key'], async (address) => {
      const { action, state } = readAddress(address)
      t.equal((await post(action, { state: 'A'.repeat(43), answer: '{}' })).status, 403)
      t.equal((await fetch(action)).status, 405)
      await browse(address, authenticator)
      await t.rejects(post(action, { state, answer: '{}' }), 'then nobody listens')
    })
    t.match(added, { code: 0, json: { name: 'Key' } }, added.stderr)
  })

  t.test('an answer of before, and one to a question for somebody else, are refused by the service', async (t) => {
    let answered: object = {}
    const keeping = {
      create: () => Promise.reject(new Error('NotAllowedError')),
      get: async (options: object) => (answered = await authenticator.get(options)),
    }
    const signedIn = await runWithBrowser(kenya, ['sign-in', '--passkey'], (address) => browse(address, keeping))
    t.equal(signedIn.code, 0, signedIn.stderr)
    const replaying = { ...keeping, get: async () => answered }
    const replayed = await runWithBrowser(kenya, ['sign-in', '--passkey'], (address) => browse(address, replaying))
    t.match(replayed, { code: 1, json: { error: { code: 'SIGN_IN_REFUSED' } } })

    const { client: other } = await partyOf(t, scene.administrator, { kind: 'partner', name: 'Another' })
    const strange = { ...keeping, create: async () => authenticator.create(await questionFor(other)) }
    const foreign = await runWithBrowser(kenya, [...add, 'Foreign'], (address) => browse(address, strange))
    t.match(foreign, { code: 1, json: { error: { code: 'PASSKEY_INVALID' } } })
    const elsewhere = new SoftwareAuthenticator('http://localhost:1')
    const claimed = await runWithBrowser(kenya, [...add, 'Elsewhere'], (address) => browse(address, elsewhere))
    t.match(claimed, { code: 1, json: { error: { code: 'PASSKEY_INVALID' } } }, 'made in the page of another origin')
    t.match((await kenya.must<{ passkeys: object[] }>('factors')).passkeys, { length: 1 })
  })

  t.test('what the browser refuses with is said in a sentence', async (t) => {
    const says: [string, RegExp][] = [
      ['NotAllowedError', /it was cancelled there, or no answer came in time/],
      ['InvalidStateError', /a passkey of yours for this service already/],
      ['SomethingNewError', /it failed \(SomethingNewError\)/],
      ['\u001b[31m<b>', /it failed \(Error\)/],
    ]
    for (const [name, sentence] of says) {
      const failing = { create: () => Promise.reject(new Error(name)), get: () => Promise.reject(new Error(name)) }
      const done = await runWithBrowser(kenya, [...add, 'Never'], (address) => browse(address, failing))
      t.match(done, { code: 1, json: { error: { code: 'COMMAND', message: sentence } } }, name)
    }
  })

  t.test(
    'who reads the address and answers first adds a passkey, which signs in nobody without a device',
    async (t) => {
      const { client: thief } = await partyOf(t, scene.administrator, { kind: 'partner', name: 'Thief' })
      const thiefs = new SoftwareAuthenticator(server.url)
      const added = await runWithBrowser(kenya, [...add, 'As if mine'], (address) => browse(address, thiefs))
      t.match(added, { code: 0, json: { name: 'As if mine' } })
      const { person } = await kenya.must<{ person: PersonId }>('sign-in')
      const signIn = thief.transport.signIn(async (thumbprint) => ({
        proof: await signSignIn(thief.self.device, person, thumbprint, timestamp(server.clock.now())),
        passkey: await thiefs.get(await thief.transport.open('POST', '/v1/passkeys/questions', {})),
      }))
      await t.rejects(signIn, { code: 'SIGN_IN_REFUSED' })
      t.match((await kenya.run(['factors'])).stdout, /passkey "As if mine" .*not used yet/, 'and its owner sees it')
    },
  )

  t.test('whoever has no passkey begins with a passphrase', async (t) => {
    const person = { name: 'Newcomer' }
    const { text } = await scene.administrator.directory.invite({
      person,
      organization: scene.secretariat,
      tier: 'ncp',
    })
    const newcomer = new Desk(t, temporary(t), 'newcomer')
    const begun = await runWithBrowser(newcomer, ['enrol', text, '--passkey'], (address) =>
      browse(address, authenticator),
    )
    t.match(begun, { code: 1, json: { error: { message: /A new person begins with a passphrase/ } } }, begun.stderr)
    t.match(await newcomer.must('enrol', text, '--no-wait'), { certified: false }, 'and the invitation still holds')
  })

  t.test('Ctrl-C ends it, and nobody listens after', async (t) => {
    const child = kenya.start([...add, 'Interrupted'])
    const done = ended(child)
    const { action } = readAddress(await printedAddress(child))
    child.kill('SIGINT')
    t.match(await done, { code: 130, stderr: /Interrupted\./ })
    await t.rejects(fetch(action))
    t.equal((await kenya.run(['sign-in', '--passkey', '--code', '123456'])).code, 2, 'a passkey needs no code')
  })
})

/** What the service asks a passkey for this person to be made with. */
async function questionFor(client: Cordon): Promise<object> {
  return client.transport.request<object>('POST', '/v1/passkeys/invitations', {})
}
