// What this holds: no secret of anybody is in the database, in the log of the service at its most
// talkative, in a checkpoint, or in any answer, frame or header but the one that must carry it to
// its owner. Needles are planted in a whole run through the SDK.
// What makes it fail: storing a token or a ticket unhashed, logging a request, naming a received
// value in a problem.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import t from 'tap'
import { Cordon, MemoryStore, webPlatform, type ClientStore, type Platform, type Socket } from '../src/client/index.ts'
import { FileStore } from '../src/client/node/index.ts'
import { deriveInvitationKeys, parseInvitation, parseSetUp, type DeviceSecrets } from '../src/protocol/index.ts'
import { opened, systemClock } from './support/actors.ts'
import { checkLog } from './support/check-log.ts'
import { admin } from './support/database.ts'
import { decoded, formsOf, found, needle, searchDatabase, type Needle } from './support/needles.ts'
import { mailSink } from './support/notice-duties.ts'
import { startServer } from './support/server.ts'
import { ask } from './support/wire.ts'

interface Heard {
  readonly who: string
  /** Method and path, or the type of a frame. */
  readonly what: string
  /** Headers and body, or the frame. */
  readonly text: string
}

/** The real platform, which writes down everything that comes from the service. */
function recording(who: string, heard: Heard[]): Platform {
  return webPlatform(systemClock, {
    async fetch(url, init) {
      const response = await fetch(url, init)
      const text = await response.clone().text()
      const headers = JSON.stringify([...response.headers])
      heard.push({ who, what: `${init.method} ${new URL(url).pathname}`, text: `${headers}\n${text}` })
      return response
    },
    WebSocket: function (url: string, protocols: string[]) {
      const socket = new WebSocket(url, protocols)
      socket.addEventListener('open', () => heard.push({ who, what: 'open', text: socket.protocol }))
      socket.addEventListener('message', ({ data }) => heard.push({ who, what: 'frame', text: String(data) }))
      socket.addEventListener('close', ({ reason }) => heard.push({ who, what: 'close', text: reason }))
      return socket as Socket
    } as unknown as Platform['WebSocket'],
  })
}

const plant = (name: string) => `${name} ${randomBytes(12).toString('hex')}`

t.test('INV-24: needles of every kind of secret turn up nowhere', async (t) => {
  const logged: Buffer[] = []
  const logTo = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(Buffer.from(chunk))
      done()
    },
  })
  const sink = mailSink()
  const server = await startServer(t, { logLevel: 'trace', logTo, notices: sink })
  const heard: Heard[] = []
  const needles: Needle[] = []
  const plantText = (name: string) => {
    const value = plant(name)
    needles.push(needle(name, value))
    return value
  }
  const directory = await mkdtemp(join(tmpdir(), 'cordon-secrets-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const client = async (who: string, store: ClientStore) => {
    const made = new Cordon({ store, platform: recording(who, heard) })
    t.teardown(() => made.close())
    return made
  }
  const passphrases = {
    administrator: plantText('passphrase of the administrator'),
    ncp: plantText('passphrase of an NCP'),
  }
  const storePassphrase = plantText('passphrase of a store')

  const setupString = (await server.setUpString()) ?? ''
  needles.push(needle('set-up secret', Buffer.from(parseSetUp(setupString).secret, 'base64url')))
  const stores = {
    administrator: new MemoryStore(),
    ncp: await FileStore.open(join(directory, 'store'), storePassphrase),
  }
  const administrator = await client('administrator', stores.administrator)
  const root = await administrator.initialize({
    server: server.url,
    setupString,
    organization: { name: 'Secretariat' },
    person: { name: 'Administrator' },
    passphrase: passphrases.administrator,
  })
  await administrator.signIn({ passphrase: passphrases.administrator })
  const kenya = await administrator.directory.registerOrganization({
    kind: 'administration',
    name: 'Kenya',
    country: 'KE',
  })
  const { text: invitation } = await administrator.directory.invite({
    person: { name: 'NCP' },
    organization: kenya,
    tier: 'ncp',
  })
  const { secret } = parseInvitation(invitation)
  const derived = await deriveInvitationKeys(secret)
  needles.push(
    needle('invitation secret', secret),
    needle('certifying key', derived.certify),
    needle('authenticating key', derived.authenticate),
  )
  const ncp = await client('ncp', stores.ncp)
  await ncp.enrol({ invitation, passphrase: passphrases.ncp })
  await administrator.directory.certifyWaiting()
  await ncp.signIn({ passphrase: passphrases.ncp })

  const operation = await administrator.operations.create({
    name: 'Operation',
    reference: 'S-1',
    timeZone: 'Africa/Nairobi',
    coordinators: [{ person: ncp.person, organization: kenya }],
  })
  const session = await ncp.follow(operation)
  for (const state of ['rehearsal', 'active'] as const) await ncp.operations.advance(operation, state)
  const body = plantText('body')
  const subject = plantText('subject')
  const narrative = plantText('narrative')
  const posted = await session.post({ form: 'text', subject, fields: { text: body } })
  await session.post({
    form: 'seizure',
    fields: { country: 'KE', date: '2026-11-20', narrative, people: [{ role: 'driver', name: plantText('a name') }] },
  })
  t.equal((await opened(ncp, operation, posted.message)).fields['text'], body, 'and the reader has it')

  // An address for notices, whose code went to it; one that waits for its code; and one that was
  // refused.
  const plantAddress = (name: string, domain: string) => `${name}.${randomBytes(12).toString('hex')}@${domain}`
  const address = plantAddress('address', 'b.example')
  const waiting = plantAddress('waiting', 'b.example')
  const refused = plantAddress('refused', 'localhost')
  await t.rejects(ncp.notices.setAddress(refused))
  await ncp.notices.setAddress(address)
  await server.identity.outbox.deliver()
  const code = /\b\d{8}\b/.exec(sink.texts.at(-1) ?? '')?.[0] ?? ''
  await ncp.notices.confirm(code)
  await ncp.notices.setAddress(waiting)
  t.match(await ncp.notices.show(), { address: { address }, waiting: { address: waiting } })
  needles.push(needle('address that was refused', refused))
  const addresses = [needle('address for notices', address), needle('address that waits', waiting)]

  // What is refused is not repeated to whoever sent it, nor to the log.
  const bad = plantText('passphrase that was refused')
  for (const [path, sent] of [
    ['/v1/sessions', { proof: 'x.y.z', passphrase: bad }],
    ['/v1/sessions', { proof: 'x.y.z', passphrase: { $ne: bad } }],
    ['/v1/sessions', { proof: 'x.y.z', [bad.slice(-24)]: bad }],
    ['/v1/tokens', { refreshToken: bad }],
    ['/v1/enrolments', { passphrase: bad }],
  ] as const) {
    const answer = await ask(server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `DPoP ${bad}`, dpop: bad, cookie: bad },
      body: JSON.stringify(sent),
    })
    t.ok(answer.status >= 400)
    heard.push({ who: 'somebody', what: `refused ${path}`, text: answer.text })
  }
  const query = await ask(`${server.url}/v1/server?token=${encodeURIComponent(bad)}`, {})
  heard.push({ who: 'somebody', what: 'refused query', text: query.text })

  // Everything that the devices keep for themselves.
  const kept = { administrator: await stores.administrator.list(''), ncp: await stores.ncp.list('') }
  const secretsOf = (name: string, { sign, seal }: DeviceSecrets) =>
    needles.push(
      needle(`${name}: signing key`, Buffer.from(sign.d, 'base64url')),
      needle(`${name}: sealing key`, Buffer.from(seal.priv, 'base64url')),
    )
  secretsOf('root', root.root)
  secretsOf('successor', root.successor)
  const tokens = new Map<string, Needle[]>()
  for (const [who, values] of Object.entries(kept)) {
    const value = (name: string) => values.find(([one]) => one === name)?.[1] as never
    secretsOf(who, value('device'))
    const { accessToken, refreshToken, key } = value('session') as {
      accessToken: string
      refreshToken: string
      key: { jwk?: { d?: string } }
    }
    tokens.set(who, [needle(`access token of ${who}`, accessToken), needle(`refresh token of ${who}`, refreshToken)])
    if (key.jwk?.d !== undefined) needles.push(needle(`session key of ${who}`, Buffer.from(key.jwk.d, 'base64url')))
  }
  const named = kept.ncp.filter(([name]) => name.includes('/key/'))
  for (const [name, value] of named)
    for (const key of JSON.stringify(value).match(/[A-Za-z0-9_-]{43}/g) ?? [])
      needles.push(needle(`epoch key ${name}`, Buffer.from(key, 'base64url')))
  t.ok(named.length > 0, 'the key of an epoch is among what is searched for')
  const pem = await readFile(join(server.directory, 'log.key'), 'utf8')
  needles.push(needle('log key', Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64').subarray(-32)))
  const { d } = JSON.parse(await readFile(join(server.directory, 'token.key'), 'utf8')) as { d: string }
  needles.push(needle('token key', Buffer.from(d, 'base64url')))
  const tickets = heard.flatMap(({ what, text }) =>
    what === 'POST /v1/live-tickets'
      ? [(JSON.parse(text.slice(text.indexOf('\n') + 1)) as { ticket: string }).ticket]
      : [],
  )
  t.ok(tickets.length > 0)
  const own = [...tokens.values()].flat()
  for (const ticket of tickets) own.push(needle('ticket', ticket))

  await server.consultation.flush()
  await server.refusals.flush()
  await checkLog(server)

  const all = [...needles, ...own, ...addresses]
  t.ok(all.length > 25)
  const { hits, searched } = await searchDatabase(server.database.superUrl, all)
  t.same(hits, [], `none of ${all.length} needles in ${searched} values of the database`)
  t.ok(searched > 500)

  const log = Buffer.concat(logged).toString('latin1')
  t.ok(log.length > 1_000, 'the service wrote a log')
  t.same(found(all, log), [], 'none in the log of the service')
  for (const file of await readdir(join(server.directory, 'checkpoints')))
    t.same(
      found(all, await readFile(join(server.directory, 'checkpoints', file), 'latin1')),
      [],
      'none in a checkpoint',
    )

  t.ok(heard.length > 40)
  for (const { who, what, text } of heard) {
    const raw = Buffer.from(text, 'utf8').toString('latin1')
    const everything = [raw, ...decoded(raw)].join('\n')
    t.same(found(needles, everything), [], `none in what ${who} heard: ${what}`)
    if (who !== 'ncp' || what !== 'GET /v1/notices/address')
      t.same(found(addresses, everything), [], `no address but in what its owner asked for: ${who} heard ${what}`)
    const carries = found(own, everything)
    const allowed =
      what === 'POST /v1/sessions' || what === 'POST /v1/tokens'
        ? (tokens.get(who) ?? []).map(({ name }) => name)
        : what === 'POST /v1/live-tickets'
          ? ['ticket']
          : []
    t.same(
      carries.filter((name) => !allowed.includes(name)),
      [],
      `no token but its owner’s in: ${what}`,
    )
  }
  const stored = await readFile(join(directory, 'store'), 'latin1').catch(async () => {
    const files = await readdir(join(directory, 'store'))
    return (await Promise.all(files.map((file) => readFile(join(directory, 'store', file), 'latin1')))).join('\n')
  })
  t.same(found(all, stored), [], 'none in the encrypted store of a device')
})

t.test('the search finds what it is meant to find', async (t) => {
  const server = await startServer(t)
  const secret = needle('planted', randomBytes(24))
  for (const [n, form] of formsOf(secret).entries()) {
    if (n === 0) continue
    const text = `before${form}after`
    t.same(found([secret], text), ['planted'], `form ${n}`)
  }
  await admin(server.database.superUrl, async (client) => {
    await client.query('SET session_replication_role = replica')
    const plantIn = async (value: string | Buffer, type: 'text' | 'bytea') => {
      await client.query(`CREATE TABLE planted (value ${type})`)
      await client.query('INSERT INTO planted VALUES ($1)', [value])
      const { hits } = await searchDatabase(server.database.superUrl, [secret])
      await client.query('DROP TABLE planted')
      return hits
    }
    t.same(await plantIn(secret.bytes, 'bytea'), ['planted in planted.value'])
    t.same(await plantIn(`{"a":"${secret.bytes.toString('base64')}"}`, 'text'), ['planted in planted.value'])
    const inside = Buffer.from(JSON.stringify({ a: secret.bytes.toString('base64url') })).toString('base64url')
    t.ok((await plantIn(`x.${inside}.y`, 'text')).length > 0, 'inside a statement')
    t.same(await plantIn('nothing', 'text'), [])
  })
})
