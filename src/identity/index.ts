import { accessesOf, type Accesses } from './access.ts'
import { Certificates, chainOfDevice, chainsOf, withThoseAbove } from './certificates.ts'
import type { IdentityDeps } from './deps.ts'
import { Directory } from './directory.ts'
import { Duty } from './duty/service.ts'
import { Enrolments } from './enrolments.ts'
import type { FactorKey } from './factors/factor-key.ts'
import { Factors } from './factors/service.ts'
import { Idleness } from './idleness/idleness.ts'
import { AddressBook } from './notices/address-book.ts'
import type { NoticeChannel } from './notices/channel.ts'
import { Outbox } from './notices/outbox.ts'
import { Recoveries } from './recoveries/service.ts'
import { People } from './people/service.ts'
import { Renewals } from './renewals/service.ts'
import { ServiceAccounts } from './service-accounts/service-accounts.ts'
import { Sessions } from './sessions.ts'

export { Certificates, Directory, Enrolments, Sessions, chainOfDevice, chainsOf, withThoseAbove }
export { actInDirectory, lockActors } from './acting.ts'
export { asActor, isPlatformAuditor, type Actor, type IdentityDeps } from './deps.ts'
export { viewOfOrganization } from './directory.ts'
export { justifiedBy, viewedDraft, type Justified } from './viewing.ts'
export { VerifyKeyCache } from './device-keys.ts'
export { checked } from './certificates.ts'
export { Argon2Process } from './argon2-process.ts'
export { Passphrases } from './passphrase.ts'
export { Refusals, type Refused } from './refusals.ts'
export type { Accesses, Administrator, Certified } from './access.ts'
export { mountIdentity, noteRefusals } from './routes.ts'
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
  findOrganizations,
  findPeople,
  findTrustRoot,
  liveCertificatesOf,
  newestCertificates,
  peopleOf,
  revocationsByHash,
} from './store.ts'
export { differences } from './verification/directory.ts'
export { finding, identityOwners, type IdentityOwnersOptions } from './verification/owners.ts'

/** Organizations, people, devices and sessions of one service. */
export interface Identity {
  readonly logs: IdentityDeps['logs']
  /** Who may call what. */
  readonly access: Accesses
  readonly sessions: Sessions
  readonly enrolments: Enrolments
  readonly certificates: Certificates
  readonly directory: Directory
  readonly factors: Factors
  readonly people: People
  readonly recoveries: Recoveries
  readonly renewals: Renewals
  readonly idleness: Idleness
  readonly addresses: AddressBook
  readonly outbox: Outbox
  readonly duty: Duty
  readonly serviceAccounts: ServiceAccounts
}

interface CreateDeps extends IdentityDeps {
  readonly factorKey: FactorKey
  /** What carries notices to people; without it they are listed to those who answer for them. */
  readonly channel: NoticeChannel | undefined
  readonly onError: (what: string, error: unknown) => void
}

export function createIdentity(deps: CreateDeps): Identity {
  const certificates = new Certificates(deps)
  const factors = new Factors(deps)
  const people = new People(deps)
  const idleness = new Idleness({ ...deps, people })
  const addresses = new AddressBook({ ...deps, sends: deps.channel !== undefined })
  const sessions = new Sessions(deps, factors)
  return {
    logs: deps.logs,
    access: accessesOf(sessions),
    sessions,
    enrolments: new Enrolments(deps, factors),
    certificates,
    directory: new Directory(deps, certificates, factors),
    factors,
    people,
    recoveries: new Recoveries(deps),
    renewals: new Renewals(deps, certificates),
    idleness,
    addresses,
    outbox: new Outbox({ ...deps, addresses, sleeping: idleness }),
    duty: new Duty(deps),
    serviceAccounts: new ServiceAccounts(deps, certificates),
  }
}
