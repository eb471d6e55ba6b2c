import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose'
import { WebSocket } from 'ws'
import {
  base64url,
  checkEnrolment,
  commitmentOf,
  deriveInvitationKeys,
  describeBody,
  digestOf,
  generateDeviceSecrets,
  importSealPublicKey,
  issueCertificate,
  makeEpochKey,
  newId,
  openDevice,
  parseSetUp,
  recognitionOf,
  sealBody,
  sealGrant,
  sealTo,
  signEnrolment,
  signEpochStatement,
  signMemberStatement,
  signMessageStatement,
  signRootStatement,
  signSignIn,
  utf8,
  type Device,
  type EpochKey,
  type MemberAct,
  type Plain,
  type MessageToPost,
  type OrganizationId,
  type PersonId,
  type Tier,
} from '../src/protocol/index.ts'

export const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length))
export const id = <Id extends string = string>(): Id => newId<Id>(new Date(), random)
const now = (): string => new Date().toISOString()
const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString()
const passphrase = 'a passphrase for the bench'

/** A request that is ready to be sent. */
export interface PreparedRequest {
  readonly path: string
  readonly init: Omit<RequestInit, 'headers'> & { readonly headers: Record<string, string> }
}

/**
 * A client that sends exactly what it is told and checks nothing: it measures the server and not
 * the SDK.
 */
export class LightClient {
  readonly url: string
  readonly device: Device
  readonly #key: CryptoKey
  readonly #jwk: JWK
  readonly #thumbprint: string
  #token = ''
  person = ''
  organization = ''
  /** SHA-256 of the certificate of this device. */
  crt = ''

  private constructor(url: string, device: Device, key: CryptoKey, jwk: JWK, thumbprint: string) {
    this.url = url
    this.device = device
    this.#key = key
    this.#jwk = jwk
    this.#thumbprint = thumbprint
  }

  static async make(url: string): Promise<LightClient> {
    const pair = await generateKeyPair('Ed25519', { extractable: true })
    const jwk = await exportJWK(pair.publicKey)
    const device = await openDevice(await generateDeviceSecrets())
    return new LightClient(url, device, pair.privateKey, jwk, await calculateJwkThumbprint(jwk))
  }

  /** Prepares a request with its proof of possession. It has to be sent within a minute. */
  async prepare(method: string, path: string, body?: unknown, token = this.#token): Promise<PreparedRequest> {
    const ath = token === '' ? {} : { ath: createHash('sha256').update(token).digest('base64url') }
    const dpop = await new SignJWT({ htm: method, htu: this.url + (path.split('?')[0] ?? ''), jti: id(), ...ath })
      .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk: this.#jwk })
      .setIssuedAt()
      .sign(this.#key)
    const headers = {
      dpop,
      ...(token === '' ? {} : { authorization: `DPoP ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    return { path, init: { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) } }
  }

  send({ path, init }: PreparedRequest): Promise<Response> {
    return fetch(this.url + path, init)
  }

  /** Fetches a text, and again after the time that the service names. */
  async text(path: string, method = 'GET', body?: unknown): Promise<string> {
    for (;;) {
      const answer = await this.send(await this.prepare(method, path, body))
      const text = await answer.text()
      if (answer.ok) return text
      if (answer.status !== 429 && answer.status !== 503) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
      await sleep(Number(answer.headers.get('retry-after')) * 1000)
    }
  }

  async call<T = Record<string, never>>(method: string, path: string, body?: unknown): Promise<T> {
    const text = await this.text(path, method, body)
    return (text === '' ? {} : JSON.parse(text)) as T
  }

  async prepareSignIn(): Promise<PreparedRequest> {
    const proof = await signSignIn(this.device, this.person, this.#thumbprint, now())
    return this.prepare('POST', '/v1/sessions', { proof, passphrase }, '')
  }

  async signIn(): Promise<void> {
    const proof = await signSignIn(this.device, this.person, this.#thumbprint, now())
    const { accessToken } = await this.call<{ accessToken: string }>('POST', '/v1/sessions', { proof, passphrase })
    this.#token = accessToken
  }

  /** Makes the root and becomes the first administrator. */
  static async administrator(setUpString: string): Promise<LightClient> {
    const { server, secret } = parseSetUp(setUpString)
    const client = await LightClient.make(server)
    const [root, successor] = [
      await openDevice(await generateDeviceSecrets()),
      await openDevice(await generateDeviceSecrets()),
    ]
    client.person = id()
    client.organization = id()
    const certified = {
      person: client.person as PersonId,
      organization: client.organization as OrganizationId,
      tier: 'administrator' as const,
      issuedAt: now(),
      expiresAt: inDays(365),
    }
    const certificate = await issueCertificate(root, { keys: client.device.keys, ...certified })
    client.crt = await digestOf(certificate)
    const enrolment = {
      invitation: id(),
      person: client.person,
      organization: client.organization,
      tier: 'administrator' as const,
    }
    await client.call('POST', '/v1/setup', {
      secret,
      organization: { id: client.organization, name: 'Secretariat' },
      rootCertificate: await issueCertificate(root, { keys: root.keys, ...certified }),
      rootStatement: await signRootStatement(root, successor.keys.sign, now()),
      person: { id: client.person, name: 'Administrator' },
      enrolment: (await signEnrolment(client.device, random(32), enrolment)).statement,
      certificate,
      passphrase,
    })
    await client.signIn()
    return client
  }

  /** Invites, enrols, signs in and certifies a new person. */
  async bring(organization: string, tier: Tier): Promise<LightClient> {
    const keys = await deriveInvitationKeys(random(16))
    const enrolment = { invitation: id(), person: id(), organization, tier }
    const jwe = await sealTo(
      'cordon-invitation+jwe',
      { kid: this.device.id },
      await importSealPublicKey(this.device.keys.seal.pub),
      utf8('{}'),
    )
    await this.call('POST', '/v1/invitations', {
      id: enrolment.invitation,
      person: { id: enrolment.person, name: `Person ${enrolment.person}` },
      organization,
      tier,
      recognition: await recognitionOf(keys.authenticate),
      sealed: [{ device: this.device.id, jwe }],
      expiresAt: inDays(7),
    })
    const client = await LightClient.make(this.url)
    client.person = enrolment.person
    client.organization = organization
    const request = await signEnrolment(client.device, keys.certify, enrolment)
    await client.call('POST', '/v1/enrolments', {
      invitation: enrolment.invitation,
      authenticate: base64url(keys.authenticate),
      ...request,
      passphrase,
    })
    const checked = await checkEnrolment(keys.certify, request, enrolment)
    const certificate = await issueCertificate(this.device, {
      keys: { sign: checked.sign, seal: checked.seal },
      person: enrolment.person,
      organization: organization,
      tier,
      issuedAt: now(),
      expiresAt: inDays(365),
    })
    await this.call('POST', '/v1/certificates', { certificate })
    client.crt = await digestOf(certificate)
    await client.signIn()
    return client
  }

  memberStatement(act: Plain<MemberAct>): Promise<string> {
    return signMemberStatement(this.device, this.crt, act)
  }

  /** Opens the first epoch of the compartment `all` for these clients. */
  async openEpoch(operation: string, head: string, members: readonly LightClient[]): Promise<EpochKey> {
    const key = makeEpochKey(random)
    const devices = members.map(({ device }) => device).sort((a, b) => (a.id < b.id ? -1 : 1))
    const statement = await signEpochStatement(this.device, this.crt, {
      v: 1,
      operation,
      compartment: operation,
      epoch: 1,
      commitment: await commitmentOf(key),
      recipients: devices.map((device) => device.id),
      members: { operation: head },
      reason: 'first',
      openedAt: now(),
    })
    const grants: { device: string; grant: string }[] = []
    for (const device of devices) {
      grants.push({
        device: device.id,
        grant: await sealGrant({ device: device.id, seal: device.keys.seal }, operation, 1, key),
      })
    }
    await this.call('POST', `/v1/operations/${operation}/epochs`, { statement, grants })
    return key
  }

  /** Seals and signs a text message. It is ready to be posted. */
  async compose(
    operation: string,
    head: string,
    key: EpochKey,
    seen: { size: number; root: string },
  ): Promise<{ id: string; input: MessageToPost }> {
    const message = id()
    const body = await sealBody(
      { compartment: operation, epoch: 1, message, device: this.device.id },
      {
        form: 'text',
        fields: { text: 'What is said here is as long as an officer writes on a busy day.' },
        subject: 'Bench',
        attachments: [],
      },
      key,
    )
    const statement = await signMessageStatement(this.device, this.crt, {
      v: 1,
      id: message,
      operation,
      compartment: operation,
      thread: id(),
      epoch: 1,
      form: { id: 'text', version: 1 },
      precedence: 'routine',
      handling: { tlp: 'AMBER' },
      sentAt: now(),
      seen,
      body: await describeBody(body),
      attachments: [],
      members: { operation: head },
    })
    return { id: message, input: { statement, body } }
  }

  /** Opens the live channel; every frame goes to `receive` as text. */
  async live(receive: (text: string) => void): Promise<WebSocket> {
    const { ticket } = await this.call<{ ticket: string }>('POST', '/v1/live-tickets', {})
    const socket = new WebSocket(`${this.url.replace('http', 'ws')}/v1/live`, ['cordon.v1', `ticket.${ticket}`], {
      perMessageDeflate: false,
    })
    socket.on('message', (data: Buffer) => receive(data.toString('latin1')))
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject))
    return socket
  }
}
