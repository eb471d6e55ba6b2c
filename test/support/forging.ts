import type { Cordon } from '../../src/client/index.ts'
import type { signIntention } from '../../src/protocol/index.ts'
import {
  base64url,
  digestOf,
  generateDeviceSecrets,
  importSealPublicKey,
  issueCertificate,
  openDevice,
  readEpochStatement,
  sealTo,
  serializeLeaf,
  signEnrolment,
  signEpochStatement,
  memberVersion,
  signMemberStatement,
  utf8,
  type Device,
  type DeviceKeys,
  type EpochPayload,
  type Leaf,
  type MemberAct,
  type Tier,
} from '../../src/protocol/index.ts'
import type { alteredOperations } from './altered-operation.ts'
import { kindOf, type Altered, type Answer, type Frame } from './altered.ts'

export const newDevice = async () => openDevice(await generateDeviceSecrets())

/** Kenya reads the operation; `forged` is a device that the service made. */
export async function readBy(newOperation: ReturnType<typeof alteredOperations>) {
  const given = await newOperation()
  const { altered, kenya, operation } = given
  const shown: Frame[] = []
  altered.frame = (frame) => {
    shown.push(frame)
    return frame
  }
  const session = await kenya.follow(operation)
  await session.ready()
  return { ...given, session, shown, forged: await newDevice() }
}
export type Scene = Awaited<ReturnType<typeof readBy>>

export function certificateOf(issuer: Device, keys: DeviceKeys, whose: Cordon, tier: Tier = 'ncp'): Promise<string> {
  return issueCertificate(issuer, {
    keys,
    person: whose.person,
    organization: whose.organization,
    tier,
    issuedAt: new Date(Date.now() - 1000).toISOString(),
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
  })
}

export interface Beside {
  readonly statement: string
  readonly chain?: readonly string[]
}

/** The frame as a service would write it that signs its own log as it likes. */
export function rewritten(frame: Frame, change: Partial<Leaf>, beside: Beside): Frame {
  const { private: _, ...leaf } = JSON.parse(frame['leaf'] as string) as Leaf
  return { ...frame, ...beside, leaf: serializeLeaf({ ...leaf, ...change }) }
}

/** Puts an entry in the place of one that says that the operation has another name. */
export async function showEntry(
  { altered, coordinator, operation, session }: Scene,
  change: Partial<Leaf>,
  beside: Beside,
) {
  const whole = { digest: await digestOf(beside.statement), ...change }
  let told = false
  altered.frame = (frame) => {
    if (told || kindOf(frame) !== 'operation.updated') return frame
    told = true
    return rewritten(frame, whole, beside)
  }
  const before = session.position
  await coordinator.operations.update(operation, { name: 'Another name' })
  await session.reached(before + 1)
}

export const showDevice = (scene: Scene, device: Device, statement: string, chain?: string[]) =>
  showEntry(scene, { kind: 'device.certified', subject: device.id }, { statement, ...(chain ? { chain } : {}) })

/** Puts another epoch in the place of the one that the coordinator opens. */
export async function showEpoch(
  { altered, coordinator, operation }: Scene,
  forge: (told: EpochPayload) => Promise<string>,
) {
  const opened = new Promise<Frame>((resolve) => {
    altered.frame = (frame) => {
      if (kindOf(frame) !== 'epoch.opened') return frame
      resolve(frame)
      return undefined
    }
  })
  await (await coordinator.follow(operation)).openEpoch()
  const frame = await opened
  const { payload } = await readEpochStatement(frame['statement'] as string)
  const statement = await forge(payload)
  const forged = rewritten(frame, { digest: await digestOf(statement) }, { statement })
  let told = false
  altered.frame = (shown) => {
    if (told || kindOf(shown) !== 'epoch.opened') return shown
    told = true
    return forged
  }
  // It is shown with the next catch-up.
  altered.cut()
}

export const signedBy = async (signer: Device, certificate: string, told: EpochPayload) =>
  signEpochStatement(signer, await digestOf(certificate), told)

export const asMember = (client: Cordon, told: EpochPayload) =>
  signEpochStatement(client.self.device, client.self.certificate?.hash ?? '', told)

/** Puts another member statement behind the newest one. */
export async function showAct(
  scene: Scene,
  signer: Device,
  crt: string,
  change: object,
  kind: Leaf['kind'],
  subject: string,
) {
  const { operation, session } = scene
  const previous = session.view.head ?? null
  const v = memberVersion
  const act = { v, operation, previous, at: new Date().toISOString(), ...change } as MemberAct
  return showEntry(scene, { kind, subject }, { statement: await signMemberStatement(signer, crt, act) })
}

export const answering = ({ altered }: Scene, path: string, change: (json: Record<string, unknown>) => object) => {
  altered.answer = (request, answer): Answer =>
    request.path === path && answer.status === 200
      ? { status: 200, json: change(structuredClone(answer.json)) as Answer['json'] }
      : answer
}

export const recipientsWanted = ({ altered }: Scene, difference: { missing: string[]; surplus: string[] }) => {
  altered.instead = ({ path }) =>
    path.endsWith('/epochs')
      ? { status: 409, json: { code: 'EPOCH_RECIPIENTS', status: 409, ...difference } }
      : undefined
}

/**
 * Somebody waits to be certified as a device of Kenya's own person, with a key that the service
 * sealed itself.
 */
export async function showEnrolment(
  { altered, kenya, forged }: Scene,
  intend: (intended: Parameters<typeof signIntention>[1]) => Promise<string> | string,
  key = new Uint8Array(32).fill(1),
): Promise<void> {
  const { device } = kenya.self
  const { invitation } = await kenya.directory.invite({
    person: { id: kenya.person, name: 'Kenya' },
    organization: kenya.organization,
    tier: 'ncp',
  })
  const { person, organization } = kenya
  const request = { invitation, person, organization, tier: 'ncp' as const }
  const certify = base64url(new Uint8Array(32).fill(1))
  const sealed = await sealTo(
    'cordon-invitation+jwe',
    { kid: device.id, inv: invitation },
    await importSealPublicKey(device.keys.seal.pub),
    utf8(await intend({ certify, ...request })),
  )
  const waiting = {
    ...request,
    ...(await signEnrolment(forged, key, request)),
    person: { id: person, name: 'Kenya' },
    organization: { id: organization, name: 'Kenya' },
    device: forged.id,
    sealed,
  }
  altered.instead = ({ method, path }) =>
    method === 'GET' && path === '/v1/enrolments' ? { status: 200, json: { enrolments: [waiting] } } : undefined
}

/** The service answers with an import key that it made itself. */
export async function showImportKey(
  { altered, kenya, operation }: Scene,
  content: string,
  signer: Cordon,
): Promise<void> {
  const { device } = kenya.self
  const seal = await importSealPublicKey(device.keys.seal.pub)
  const sealed = await sealTo('cordon-import+jwe', { kid: device.id, ope: operation }, seal, utf8(content))
  const chain = [signer.self.certificate, ...signer.self.chain].map((certificate) => certificate?.jws ?? '')
  altered.instead = ({ method, path }) =>
    method === 'GET' && path.endsWith('/import-key')
      ? { status: 200, json: { exists: true, keys: [{ device: device.id, sealed, chain }] } }
      : undefined
}

export const exchanged = (certificate: string, keys: DeviceKeys) => {
  const [head = '', payload = '', signature = ''] = certificate.split('.')
  const told = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { device: { seal: unknown } }
  told.device.seal = keys.seal
  return `${head}.${base64url(utf8(JSON.stringify(told)))}.${signature}`
}

const leaving = /\/(epochs|messages|grants|compartments|members|removal|certificates|invitations|revocations)$/

/**
 * What this client asked of the service that seals, signs or certifies, and for whom it sealed
 * where the test answered instead.
 */
export function whatLeft({ requests, instead }: Altered): { left: string[]; granted: string[] } {
  const asked = requests.filter(({ method, path }) => method === 'POST' && leaving.test(path))
  const bodies = asked.map(({ body }) => body as { grants?: { device: string }[] })
  return {
    left: asked.filter((request) => instead(request) === undefined).map(({ path }) => path),
    granted: bodies.flatMap(({ grants }) => grants ?? []).map(({ device }) => device),
  }
}

/** Of a problem, and of what the protocol refuses. */
export const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  )
