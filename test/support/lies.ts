import fc from 'fast-check'
import {
  base64url,
  digestOf,
  issueCertificate,
  kinds,
  signEpochStatement,
  signMemberStatement,
  signRevocation,
  type Device,
  type DeviceId,
  type EpochPayload,
  type MemberAct,
} from '../../src/protocol/index.ts'
import type { Frame } from './altered.ts'

/** Who helps a lying service, and what it can play again. */
export interface Liar {
  readonly operation: string
  /** Signs with a certificate that counts: a member that was bought. */
  readonly member: {
    readonly device: Device
    readonly crt: string
    readonly person: string
    readonly organization: string
  }
  readonly administrator: { readonly device: Device; readonly crt: string }
  /** A device that nobody certified. */
  readonly forged: Device
  readonly persons: readonly string[]
  readonly devices: readonly string[]
  /** Frames that the service really sent. */
  readonly shown: readonly Frame[]
  /** Newest index and head that the client has. */
  readonly position: () => number
  readonly head: () => string | null
}

/** One lie, as plain data: what it becomes depends on what the client has seen by then. */
export interface Lie {
  readonly what: 'replayed' | 'leaf' | 'act' | 'certificate' | 'revocation' | 'epoch' | 'message' | 'frame' | 'noise'
  readonly kind: number
  readonly pick: readonly number[]
  readonly ahead: number
  readonly text: string
  readonly flag: boolean
}

export const lie: fc.Arbitrary<Lie> = fc.record({
  what: fc.constantFrom('replayed', 'leaf', 'act', 'certificate', 'revocation', 'epoch', 'message', 'frame', 'noise'),
  kind: fc.nat(kinds.length - 1),
  pick: fc.array(fc.nat(1000), { minLength: 4, maxLength: 4 }),
  ahead: fc.constantFrom(1, 1, 1, 2, 3, 50, 2 ** 40),
  text: fc.oneof(fc.string({ maxLength: 30 }), fc.constant('['.repeat(9_000)), fc.constant('\ud800'), fc.json()),
  flag: fc.boolean(),
})

// What a service may enter without anybody's signature takes away and is remembered: a test of its
// own tells that.
const unsigned = /^(member\.(ended|slept)|device\.expired|epoch\.disputed)$/

/** The frame that a lie becomes, or text that is none. */
export async function tell(liar: Liar, { what, kind, pick, ahead, text, flag }: Lie): Promise<string> {
  const [a = 0, b = 0, c = 0, d = 0] = pick
  const one = <T>(of: readonly T[], n: number) => of[n % of.length] as T
  const index = liar.position() + ahead
  const now = new Date().toISOString()
  const person = one(liar.persons, a)
  const device = one([...liar.devices, liar.forged.id], b)
  const { member, operation, administrator, forged } = liar
  const signer = one([member, administrator, { device: forged, crt: 'A'.repeat(43) }], c)
  const names = kinds.filter((name) => !unsigned.test(name))
  const entry = (name: string, subject: string, statement?: string, beside: object = {}, digest?: string): string => {
    const compartment = /^(compartment|epoch|message)\./.test(name) ? { compartment: operation, seq: 1 + (d % 40) } : {}
    const actor = { person: member.person, organization: member.organization, device: signer.device.id }
    const committed = digest === undefined ? {} : { digest }
    const at = flag ? now : new Date(Date.now() + d * 1000).toISOString()
    const leaf = { v: 1, log: operation, index, at, kind: name, actor, ...compartment, subject, ...committed }
    const carried = statement === undefined ? {} : { statement }
    return JSON.stringify({ type: 'entry', operation, index, leaf: JSON.stringify(leaf), ...carried, ...beside })
  }
  const committed = async (name: string, subject: string, statement: string, beside: object = {}) =>
    entry(name, subject, statement, beside, flag || d % 3 > 0 ? await digestOf(statement) : 'A'.repeat(43))
  switch (what) {
    case 'replayed': {
      const old = one(liar.shown, a)
      const leaf = { ...(JSON.parse(old['leaf'] as string) as object), index, ...(flag ? { at: now } : {}) }
      return JSON.stringify({ ...old, index, leaf: JSON.stringify(leaf) })
    }
    case 'leaf':
      return entry(one(names, kind), one([person, device, operation, 'active', text], d), flag ? text : undefined)
    case 'act': {
      const common = { v: one([1, 2, 3], a), operation, previous: one([liar.head(), null, 'A'.repeat(43)], b), at: now }
      const acts: readonly [string, string, object][] = [
        ['member.admitted', person, { act: 'admit', person, organization: member.organization, role: 'coordinator' }],
        // Of people of its own organization the bought member may really say so.
        ['member.removed', liar.persons[0] ?? '', { act: 'remove', person: liar.persons[0] }],
        ['member.role-changed', person, { act: 'change-role', person, role: 'coordinator' }],
        ['member.woken', person, { act: 'wake', person }],
        ['operation.advanced', 'rehearsal', { act: 'advance', state: 'rehearsal' }],
        [
          'operation.rules-set',
          operation,
          { act: 'set-operation', history: 'full', allHolds: ['partner', 'observer'] },
        ],
        ['compartment.member-added', person, { act: 'add-to-compartment', compartment: operation, person }],
        [
          one(['operation.created', 'member.admitted'], c),
          person,
          {
            act: 'create-operation',
            history: 'full',
            allHolds: [],
            coordinators: [{ person, organization: member.organization }],
          },
        ],
      ]
      const [name, subject, said] = one(acts, kind)
      const statement = await signMemberStatement(signer.device, signer.crt, { ...common, ...said } as MemberAct)
      return committed(flag ? name : one(names, d), subject, statement)
    }
    case 'certificate': {
      const pub = flag ? forged.keys.seal.pub : base64url(new Uint8Array(1216).fill(0xff))
      const sign = one([forged.keys.sign, member.device.keys.sign], a)
      const statement = await issueCertificate(signer.device, {
        keys: { sign, seal: { kty: 'AKP', alg: 'HPKE-10', pub } },
        person: person,
        organization: member.organization,
        tier: one(['ncp', 'person', 'administrator', 'service'] as const, b),
        issuedAt: now,
        expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
      })
      return committed('device.certified', one([forged.id, member.device.id, device], d), statement)
    }
    case 'revocation': {
      // Of its own device a bought member may really say so: that is no lie.
      const revoked = one([forged.id, ...liar.devices.filter((id) => id !== member.device.id)], a) as DeviceId
      const by = signer === administrator ? { device: forged } : signer
      return committed('device.revoked', flag ? forged.id : revoked, await signRevocation(by.device, forged.id, now))
    }
    case 'epoch': {
      const payload = {
        v: 1,
        operation,
        compartment: operation,
        epoch: 1 + (a % 4),
        commitment: base64url(new Uint8Array(32).fill(b)),
        recipients: [...new Set([...liar.devices, forged.id])].sort(),
        members: { operation: liar.head() ?? '' },
        reason: 'routine',
        openedAt: now,
      } as EpochPayload
      const statement = await signEpochStatement(signer.device, signer.crt, payload)
      return committed('epoch.opened', `${operation}#${String(payload.epoch)}`, statement, { grant: text })
    }
    case 'message':
      return entry('message.posted', person, one([text, one(liar.shown, a)['statement'] as string], b), { body: text })
    case 'frame': {
      const frames: readonly object[] = [
        { type: 'caught-up', operation, index, checkpoint: text },
        { type: 'granted', operation, compartment: operation, grants: flag ? text : [{ epoch: 1, grant: text }] },
        {
          type: 'grant-wanted',
          operation,
          requests: flag ? [{ compartment: operation, device: forged.id, epochs: [1] }] : text,
        },
        { type: 'epoch-stale', operation, compartment: flag ? operation : text },
        { type: 'receipts', operation, receipts: text },
        { type: 'ended', operation, reason: 'unsubscribed' },
        { type: 'accepted', id: person, receipt: text },
        { type: 'refused', id: person, problem: text },
        { type: text, operation },
        { type: 'entry', operation, index: text, leaf: 7 },
        { type: 'pong', [text]: text },
      ]
      return JSON.stringify(one(frames, kind))
    }
    case 'noise':
      return text
  }
}
