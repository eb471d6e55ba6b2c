import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose'
import type { Cordon } from '../../src/client/index.ts'
import * as protocol from '../../src/protocol/index.ts'
import type { Tier } from '../../src/protocol/index.ts'
import type { TestServer } from './server.ts'

/**
 * People who speak to the service without the SDK, which would refuse to say most of what the tests
 * here say: each request is written by hand, and may be wrong in one place.
 */
export interface Answer {
  readonly status: number
  /** The whole body as it came. */
  readonly text: string
  // The shape is what the test asserts.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any
  readonly headers: Headers
}

export const passphrase = 'nine quiet herons under the bridge'
const day = 24 * 3600_000
export const random = (length: number) => new Uint8Array(randomBytes(length))
export const freshId = <T extends string = string>() => protocol.newId<T>(new Date(), random)
export const now = () => new Date().toISOString()
export const inDays = (days: number) => new Date(Date.now() + days * day).toISOString()

/** What is known of an answer's code: its own for problems, otherwise its status. */
export const codeOf = ({ status, body }: Answer): string =>
  status < 400 ? String(status) : `${status} ${(body as { code?: string } | undefined)?.code ?? ''}`

export class WireActor {
  readonly name: string
  server: TestServer
  person = freshId()
  organization = ''
  device!: protocol.Device
  secrets!: protocol.DeviceSecrets
  certificate = ''
  crt = ''
  session = ''
  accessToken = ''
  refreshToken = ''
  /** Of the session; changed by tests that present somebody else's proof. */
  key!: CryptoKey
  jwk!: JWK
  thumbprint = ''
  /** Of a service account: what it signs in with. */
  ownKey!: CryptoKey
  ownJwk!: protocol.SignJwk

  constructor(server: TestServer, name: string) {
    this.server = server
    this.name = name
  }

  async prepare(): Promise<this> {
    const pair = await generateKeyPair('Ed25519', { extractable: true })
    this.key = pair.privateKey
    this.jwk = await exportJWK(pair.publicKey)
    this.thumbprint = await calculateJwkThumbprint(this.jwk)
    this.secrets = await protocol.generateDeviceSecrets()
    this.device = await protocol.openDevice(this.secrets)
    return this
  }

  async prepareService(): Promise<void> {
    const pair = await generateKeyPair('Ed25519', { extractable: true })
    this.ownKey = pair.privateKey
    const { x = '' } = await exportJWK(pair.publicKey)
    this.ownJwk = { kty: 'OKP', crv: 'Ed25519', x }
  }

  /**
   * A client assertion (RFC 7523), right in everything but what is changed; a claim that is
   * undefined is left out.
   */
  assertion(change: { header?: object; claims?: object; key?: CryptoKey | Uint8Array } = {}): Promise<string> {
    const seconds = Math.floor(Date.now() / 1000)
    const { person, server, thumbprint } = this
    const claims = { iss: person, sub: person, aud: server.url, iat: seconds, exp: seconds + 60 }
    return new SignJWT({ ...claims, jti: freshId(), cnf: { jkt: thumbprint }, ...change.claims })
      .setProtectedHeader({ alg: 'Ed25519', typ: 'client-authentication+jwt', ...change.header })
      .sign(change.key ?? this.ownKey)
  }

  async signInService(): Promise<void> {
    this.#take(await this.must('POST', '/v1/service-sessions', signInBody(await this.assertion()), { signedIn: false }))
  }

  /** A DPoP proof (RFC 9449) for one request. */
  proof(method: string, path: string, token?: string): Promise<string> {
    const ath = token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') }
    return new SignJWT({ htm: method, htu: this.server.url + path.split('?')[0], jti: freshId(), ...ath })
      .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk: this.jwk })
      .setIssuedAt()
      .sign(this.key)
  }

  async call(method: string, path: string, body?: unknown, { signedIn = true } = {}): Promise<Answer> {
    const token = signedIn && this.accessToken !== '' ? this.accessToken : undefined
    const headers = {
      dpop: await this.proof(method, path, token),
      ...(token === undefined ? {} : { authorization: `DPoP ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    return ask(this.server.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }

  /** The same where anything but a success would make the test meaningless. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  async must(method: string, path: string, body?: unknown, options: { signedIn?: boolean } = {}): Promise<any> {
    const answer = await this.call(method, path, body, options)
    if (answer.status >= 400) throw new Error(`${this.name}: ${method} ${path} ${answer.status} ${answer.text}`)
    return answer.body
  }

  async signIn(secret = passphrase): Promise<void> {
    const proof = await protocol.signSignIn(this.device, this.person, this.thumbprint, now())
    this.#take(await this.must('POST', '/v1/sessions', { proof, passphrase: secret }, { signedIn: false }))
  }

  #take(tokens: { accessToken: string; refreshToken: string; session: string; organization: string }): void {
    this.accessToken = tokens.accessToken
    this.refreshToken = tokens.refreshToken
    this.session = tokens.session
    this.organization = tokens.organization
  }

  async refresh(): Promise<void> {
    const tokens = await this.must('POST', '/v1/tokens', { refreshToken: this.refreshToken }, { signedIn: false })
    this.accessToken = tokens.accessToken
    this.refreshToken = tokens.refreshToken
  }

  async learnCertificate(): Promise<void> {
    const me = await this.must('GET', '/v1/me')
    this.certificate = me.certificate
    this.crt = await protocol.digestOf(me.certificate)
  }

  signAct(act: protocol.Plain<protocol.MemberAct>): Promise<string> {
    return protocol.signMemberStatement(this.device, this.crt, act)
  }

  /** Opens the live channel and collects its frames. */
  async live(): Promise<LiveWire> {
    const { ticket } = await this.must('POST', '/v1/live-tickets', {})
    return openLive(this.server, ticket)
  }
}

/** Signs an actor out, and answers what takes them up again: plain JSON. */
export async function keepActor(actor: WireActor) {
  await actor.must('DELETE', `/v1/sessions/${actor.session}`)
  const { name, person, organization, secrets, certificate, crt, key } = actor
  return { name, person, organization, secrets, certificate, crt, key: await exportJWK(key) }
}

/**
 * The actor goes on at another address of the service, and signs in there as if they had just been
 * made.
 */
export async function takeUpActor(
  server: TestServer,
  { key: jwk, name, ...kept }: Awaited<ReturnType<typeof keepActor>>,
): Promise<WireActor> {
  const { d: _, ...publicJwk } = jwk
  const actor = Object.assign(new WireActor(server, name), kept, { jwk: publicJwk })
  actor.key = (await importJWK(jwk, 'Ed25519', { extractable: true })) as CryptoKey
  actor.thumbprint = await calculateJwkThumbprint(publicJwk)
  actor.device = await protocol.openDevice(kept.secrets)
  await actor.signIn()
  return actor
}

export const signInBody = (assertion: string) => ({
  grant_type: 'client_credentials',
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: assertion,
})

export async function ask(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, init)
  const text = await response.text()
  const json = response.headers.get('content-type')?.includes('json') === true
  return { status: response.status, text, body: json ? JSON.parse(text) : undefined, headers: response.headers }
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Frame = any

export interface LiveWire {
  readonly socket: WebSocket
  readonly frames: Frame[]
  /** Set once the socket is closed. */
  readonly closed: Promise<{ code: number; reason: string }>
  send(frame: unknown): void
  /**
   * The first frame that matches, also among those that came already. Rejects after so many
   * milliseconds, 5,000 if not given; `from` leaves out earlier ones.
   */
  first(matches: (frame: Frame) => boolean, patience?: number, from?: number): Promise<Frame>
  /** Follows an operation from an index and resolves when caught up. */
  follow(operation: string, after?: number): Promise<Frame[]>
  close(): void
}

export async function openLive(server: TestServer, ticket: string): Promise<LiveWire> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/live`, ['cordon.v1', `ticket.${ticket}`])
  const frames: Frame[] = []
  const watchers = new Set<() => void>()
  socket.addEventListener('message', ({ data }) => {
    frames.push(JSON.parse(String(data)))
    for (const watch of watchers) watch()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
  })
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve())
    socket.addEventListener('error', () => reject(new Error('the live channel was refused')))
  })
  const wire: LiveWire = {
    socket,
    frames,
    closed,
    send: (frame) => socket.send(JSON.stringify(frame)),
    first: (matches, patience = 5_000, from = 0) =>
      new Promise((resolve, reject) => {
        let next = from
        const look = () => {
          for (; next < frames.length; next++) {
            const frame: unknown = frames[next]
            if (!matches(frame)) continue
            clearTimeout(timer)
            watchers.delete(look)
            resolve(frame)
            return
          }
        }
        const timer = setTimeout(() => {
          watchers.delete(look)
          const types = frames.slice(-50).map(({ type }) => type as string)
          reject(new Error(`no such frame among ${frames.length}, the last of them ${types.join(' ')}`))
        }, patience)
        watchers.add(look)
        look()
      }),
    async follow(operation, after = -1) {
      const before = frames.length
      wire.send({ type: 'subscribe', operation, after })
      await wire.first((frame) => ['caught-up', 'ended', 'refused'].includes(frame.type), 15_000, before)
      return frames.slice(before)
    },
    close: () => socket.close(),
  }
  return wire
}

/**
 * Has the server enter what was read, until this client hears who read something; the frame. What
 * was read is gathered first, and whether the reader may read it is looked up beside other frames:
 * only the receipt says that it was noted.
 */
export async function heardWhoRead(server: TestServer, live: LiveWire, from = 0): Promise<Frame> {
  const told = live.first(({ type }) => type === 'receipts', 30_000, from)
  while (!(await Promise.race([told, pause(20, undefined)]))) await server.consultation.flush()
  return told
}

/** A service whose root, secretariat and first administrator exist. */
export async function setUp(server: TestServer): Promise<{ administrator: WireActor; root: protocol.Device }> {
  const { secret } = protocol.parseSetUp((await server.setUpString()) ?? '')
  const root = await protocol.openDevice(await protocol.generateDeviceSecrets())
  const successor = await protocol.openDevice(await protocol.generateDeviceSecrets())
  const administrator = await new WireActor(server, 'administrator').prepare()
  administrator.organization = freshId()
  const who = {
    person: administrator.person as protocol.PersonId,
    organization: administrator.organization as protocol.OrganizationId,
    tier: 'administrator' as const,
    issuedAt: now(),
    expiresAt: inDays(365),
  }
  const { person, organization, tier } = who
  const enrolment = await protocol.signEnrolment(administrator.device, random(32), {
    invitation: freshId(),
    person,
    organization,
    tier,
  })
  const setup = {
    secret,
    organization: { id: organization, name: 'Secretariat' },
    rootCertificate: await protocol.issueCertificate(root, { keys: root.keys, ...who }),
    rootStatement: await protocol.signRootStatement(root, successor.keys.sign, now()),
    person: { id: person, name: 'Administrator' },
    enrolment: enrolment.statement,
    certificate: await protocol.issueCertificate(root, { keys: administrator.device.keys, ...who }),
    passphrase,
  }
  await administrator.must('POST', '/v1/setup', setup, { signedIn: false })
  await administrator.signIn()
  await administrator.learnCertificate()
  return { administrator, root }
}

export interface Invited {
  readonly actor: WireActor
  readonly invitation: string
  readonly secret: Uint8Array
  readonly tier: Tier
  readonly authenticate: string
  readonly certify: Uint8Array
}

/** Invites somebody; the secret stays with the test. */
export async function invite(
  inviter: WireActor,
  input: { name: string; organization: string; tier?: Tier; person?: string; service?: object },
): Promise<Invited> {
  const { name, organization, tier = 'person' } = input
  const actor = await new WireActor(inviter.server, name).prepare()
  if (input.person !== undefined) actor.person = input.person
  if (tier === 'service') await actor.prepareService()
  actor.organization = organization
  const secret = random(16)
  const { authenticate, certify } = await protocol.deriveInvitationKeys(secret)
  const invitation = freshId()
  const jwe = await protocol.sealTo(
    'cordon-invitation+jwe',
    { kid: inviter.device.id },
    await protocol.importSealPublicKey(inviter.device.keys.seal.pub),
    protocol.utf8(JSON.stringify({ certify: protocol.base64url(certify) })),
  )
  await inviter.must('POST', '/v1/invitations', {
    id: invitation,
    person: { id: actor.person, name },
    organization,
    tier,
    recognition: await protocol.recognitionOf(authenticate),
    sealed: [{ device: inviter.device.id, jwe }],
    expiresAt: inDays(7),
    ...(input.service === undefined ? {} : { service: input.service }),
  })
  return { actor, invitation, secret, tier, authenticate: protocol.base64url(authenticate), certify }
}

/** The newcomer's device comes in; it is not certified yet. */
export async function enrolInvited({ actor, invitation, authenticate, certify, tier }: Invited): Promise<void> {
  const { person, organization } = actor
  const enrolment = await protocol.signEnrolment(actor.device, certify, { invitation, person, organization, tier })
  await actor.must(
    'POST',
    '/v1/enrolments',
    { invitation, authenticate, ...enrolment, ...(tier === 'service' ? { signInKey: actor.ownJwk } : { passphrase }) },
    { signedIn: false },
  )
}

/** A further device ends with the one that vouches for it. */
async function endOf(inviter: WireActor, person: string): Promise<string> {
  if (inviter.person !== person || inviter.certificate === '') return inDays(365)
  return (await protocol.readCertificate(inviter.certificate)).expiresAt
}

export async function certify(inviter: WireActor, { actor, tier }: Pick<Invited, 'actor' | 'tier'>): Promise<void> {
  const certificate = await protocol.issueCertificate(inviter.device, {
    keys: actor.device.keys,
    person: actor.person,
    organization: actor.organization,
    tier,
    issuedAt: now(),
    expiresAt: await endOf(inviter, actor.person),
  })
  await inviter.must('POST', '/v1/certificates', { certificate })
}

/** Invited, enrolled, certified and signed in. */
export async function newcomer(
  inviter: WireActor,
  input: { name: string; organization: string; tier?: Tier; person?: string; service?: object },
): Promise<WireActor> {
  const invited = await invite(inviter, input)
  await enrolInvited(invited)
  await certify(inviter, invited)
  await (invited.tier === 'service' ? invited.actor.signInService() : invited.actor.signIn())
  await invited.actor.learnCertificate()
  return invited.actor
}

/** A wire actor with the device of a client, signed in: it does what the SDK would not. */
export async function byHand(server: TestServer, { self }: Pick<Cordon, 'self'>, secret: string): Promise<WireActor> {
  const actor = await new WireActor(server, 'by hand').prepare()
  actor.person = self.account.person
  actor.device = self.device
  await actor.signIn(secret)
  await actor.learnCertificate()
  return actor
}
