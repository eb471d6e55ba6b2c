import { accessesOf, type Accesses } from './access.ts'
import { CertificateService, chainOfDevice, chainsOf, withThoseAbove } from './certificates.ts'
import type { IdentityDeps } from './deps.ts'
import { DirectoryService } from './directory.ts'
import { DutyService } from './duty/service.ts'
import { EnrolmentService } from './enrolments.ts'
import type { FactorKey } from './factors/factor-key.ts'
import { FactorService } from './factors/service.ts'
import { IdlenessReview } from './idleness/idleness.ts'
import { AddressBook } from './notices/address-book.ts'
import type { NoticeChannel } from './notices/channel.ts'
import { NoticeOutbox } from './notices/outbox.ts'
import { RecoveryService } from './recoveries/service.ts'
import { PeopleService } from './people/service.ts'
import { RenewalService } from './renewals/service.ts'
import { ServiceAccountService } from './service-accounts/service-accounts.ts'
import { SessionService } from './sessions.ts'

export type { SessionEnds } from './sessions.ts'
export {
  CertificateService,
  DirectoryService,
  EnrolmentService,
  SessionService,
  chainOfDevice,
  chainsOf,
  withThoseAbove,
}
export { actInDirectory, lockActors } from './directory-act.ts'
export { asActor, isPlatformAuditor, momentOf, type SignedInCaller, type IdentityDeps } from './deps.ts'
export { viewOfOrganization } from './directory.ts'
export { justifiedBy, viewedDraft, type Justification } from './justification.ts'
export { VerifyKeyCache } from './device-keys.ts'
export { checked } from './certificates.ts'
export { Argon2Process } from './argon2-process.ts'
export { Passphrases } from './passphrase.ts'
export { Refusals, type RefusalPlace } from './refusals.ts'
export type { Accesses, Administrator, CertifiedCaller } from './access.ts'
export { mountIdentity, noteRefusals } from './routes.ts'
export { JustifiedSchema, NothingSchema } from './schemas.ts'
export { openFactorKey } from './factors/factor-key.ts'
export { hasFactors } from './factors/store.ts'
export type { NoticeChannel } from './notices/channel.ts'
export { SmtpChannel, type SmtpSettings } from './notices/smtp.ts'
export { hasNoticeAddresses, queueNotices } from './notices/store.ts'
export { mountServiceAccounts } from './service-accounts/routes.ts'
export { serviceAccountsAmong } from './service-accounts/store.ts'
export { openTokenKey } from './token-key.ts'
export {
  certificatesByHash,
  allOrganizations,
  findOrganizations,
  findPeople,
  findTrustRoot,
  liveCertificatesOf,
  newestCertificates,
  peopleOf,
  revocationsByHash,
} from './store.ts'
export { namesAmong } from './people/store.ts'
export { differences } from './verification/directory.ts'
export { finding, identityOwners, type IdentityOwnersOptions } from './verification/owners.ts'

/** Organizations, people, devices and sessions of one service. */
export interface Identity {
  readonly logs: IdentityDeps['logs']
  /** Who may call which routes. */
  readonly access: Accesses
  readonly sessions: SessionService
  readonly enrolments: EnrolmentService
  readonly certificates: CertificateService
  readonly directory: DirectoryService
  readonly factors: FactorService
  readonly people: PeopleService
  readonly recoveries: RecoveryService
  readonly renewals: RenewalService
  readonly idleness: IdlenessReview
  readonly addresses: AddressBook
  readonly outbox: NoticeOutbox
  readonly duty: DutyService
  readonly serviceAccounts: ServiceAccountService
}

interface CreateDeps extends IdentityDeps {
  readonly factorKey: FactorKey
  /** The channel of notices; without it, notices are listed to those who answer for the person. */
  readonly channel: NoticeChannel | undefined
  readonly onError: (what: string, error: unknown) => void
}

export function createIdentity(deps: CreateDeps): Identity {
  const certificates = new CertificateService(deps)
  const factors = new FactorService(deps)
  const people = new PeopleService(deps)
  const idleness = new IdlenessReview({ ...deps, people })
  const addresses = new AddressBook({ ...deps, sends: deps.channel !== undefined })
  const sessions = new SessionService(deps, factors)
  return {
    logs: deps.logs,
    access: accessesOf(sessions),
    sessions,
    enrolments: new EnrolmentService(deps, factors),
    certificates,
    directory: new DirectoryService(deps, certificates, factors),
    factors,
    people,
    recoveries: new RecoveryService(deps),
    renewals: new RenewalService(deps, certificates),
    idleness,
    addresses,
    outbox: new NoticeOutbox({ ...deps, addresses, sleeping: idleness }),
    duty: new DutyService(deps),
    serviceAccounts: new ServiceAccountService(deps, certificates),
  }
}
