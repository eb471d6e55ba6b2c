import type { OrganizationKind, Permission } from '../access.ts'
import type { Tier } from '../protocol/index.ts'

export interface Organization {
  readonly organization: string
  readonly kind: OrganizationKind
  readonly name: string
  readonly country: string | null
  readonly region: string | null
  /** Whether the organization has left. */
  readonly ended: boolean
}

/** The people, devices and memberships that end when a person or an organization leaves. */
export interface DepartureEffects {
  readonly people: readonly { readonly person: string; readonly name: string }[]
  readonly devices: number
  readonly operations: number
}

export interface PersonListed {
  readonly person: string
  readonly name: string
  readonly certified: boolean
  readonly asleep: boolean
  /** Whether the person is a service account. */
  readonly service: boolean
  /** The earliest time at which an unused account sleeps; null where it does not sleep. */
  readonly sleepsAt: string | null
  /**
   * Whether the account stays awake although it is unused, because it is the last one that could
   * lead an operation or the service.
   */
  readonly needed: boolean
}

interface Party {
  readonly person: string
  readonly name: string
}

/**
 * The contact points of an organization that are on duty, each with the contact points for whom it
 * stands in, and the hand-overs that are arranged.
 */
export interface DutyRoster {
  readonly onDuty: readonly (Party & { readonly standsInFor: readonly Party[] })[]
  readonly handOvers: readonly (Party & {
    readonly deputy: Party
    readonly from: string
    /** Null until the hand-over is taken back. */
    readonly until: string | null
  })[]
}

export interface HandOverRequest {
  readonly deputy: string
  /** The beginning. Not given or in the past: now. */
  readonly from?: Date
  /** The end. Not given: until the hand-over is taken back. */
  readonly until?: Date
  readonly reason: string
}

export interface RecoveryRequest {
  readonly invitation: string
  /** The hash of the request, which an approval names. */
  readonly request: string
  readonly requestedAt: string
  readonly approvableUntil: string
  readonly state: 'open' | 'approved' | 'expired'
  readonly tier: string
  readonly person: { readonly id: string; readonly name: string }
  readonly organization: { readonly id: string; readonly name: string }
  readonly requester: { readonly id: string; readonly name: string }
}

export interface OwnDevice {
  readonly device: string
  readonly state: 'waiting' | 'certified' | 'revoked' | 'expired'
  readonly enrolledAt: string
  readonly certificate: string | null
  readonly current: boolean
}

export interface NewInvitation {
  readonly invitation: string
  readonly person: string
  /**
   * The string for the newcomer. The service shows it once, and neither service nor store keeps it.
   */
  readonly text: string
  readonly expiresAt: string
}

export interface InvitationListed {
  readonly invitation: string
  readonly person: string
  readonly name: string
  readonly tier: string
  readonly expiresAt: string
  /**
   * The approval of a second person, for a person who lost every device; null where none is needed.
   */
  readonly approval: 'missing' | 'given' | null
  readonly state: 'open' | 'used' | 'revoked' | 'expired'
}

export interface InvitationRequest {
  /**
   * A name for a new person; or an id: of a known person who has no device yet, or of the inviter,
   * who gets a further device.
   */
  readonly person: { readonly name: string } | { readonly id: string; readonly name: string }
  readonly organization: string
  readonly tier: Exclude<Tier, 'service'>
  /** Hours; 168 if not given, at most 720. */
  readonly hours?: number
}

/** The permissions, the address ranges and the end of a service account. */
export interface ServiceInvitationRequest extends Omit<InvitationRequest, 'person' | 'tier'> {
  readonly name: string
  readonly permissions: readonly Permission[]
  /** Address ranges in CIDR notation. */
  readonly addresses: readonly string[]
  /** At most 366 days ahead. */
  readonly expiresAt: Date
}

/** A newcomer whom this device certified, or whom it refused, with the reason. */
export interface CertifyOutcome {
  readonly person: { readonly id: string; readonly name: string }
  readonly organization: { readonly id: string; readonly name: string }
  readonly device: string
  readonly refused?: { readonly code: string; readonly message: string }
}
