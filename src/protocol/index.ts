export {
  VerifyKeys,
  Tier,
  issueCertificate,
  mostClockDifferenceMs,
  mayCertify,
  proveAll,
  mayRevoke,
  readCertificate,
  readRevocation,
  standsAfter,
  signRevocation,
  signRootStatement,
  verifyChain,
  verifyRootStatement,
  type Certificate,
  type FindCertificate,
  type Pin,
  type Revocation,
} from './certificate.ts'
export {
  base64,
  base64url,
  digestOf,
  equalBytes,
  fromBase64,
  fromBase64url,
  fromUtf8,
  hex,
  sha256,
  utf8,
  type Bytes,
} from './encoding.ts'
export {
  checkEnrolment,
  deriveInvitationKeys,
  formatInvitation,
  formatSetUp,
  makeInvitationSecret,
  parseInvitation,
  parseSetUp,
  readEnrolment,
  readIntention,
  readSignIn,
  recognitionOf,
  signEnrolment,
  signIntention,
  signSignIn,
  type EnrolmentPayload,
  type InvitationString,
} from './enrolment.ts'
export {
  changesOperation,
  countsInCompartment,
  isKind,
  isRefusal,
  kinds,
  kindsOf,
  leafHash,
  maximalLeafBytes,
  parseLeaf,
  privateDigest,
  serializeLeaf,
  type Actor,
  type Kind,
  type Leaf,
} from './entry.ts'
export {
  checkGrantHeader,
  commitmentOf,
  contentKeyId,
  makeEpochKey,
  maximalRecipients,
  openGrant,
  readEpochStatement,
  sealGrant,
  signEpochStatement,
  type EpochKey,
  type EpochPayload,
  type EpochStatement,
} from './epoch.ts'
export { ProtocolError, demand } from './errors.ts'
export {
  ClientFrame,
  GrantToGive,
  MessageToPost,
  Receipt,
  closeCodes,
  subProtocol,
  ticketProtocolPrefix,
  type EntryFrame,
  type GrantRequest,
  type ReaderReceipt,
  type ServerFrame,
} from './frames.ts'
export { LogGap, gapWords } from './gap.ts'
export { serverFrames } from './server-frames.ts'
export { definedMembers } from './defined-members.ts'
export { importSealPublicKey, openSealed, readSealed, sealTo } from './hpke.ts'
export {
  isInKnownYears,
  isUuid,
  newId,
  isImportId,
  pastInstants,
  timestamp,
  type CompartmentId,
  type DeviceId,
  type InvitationId,
  type MessageId,
  type OperationId,
  type OrganizationId,
  type PersonId,
  type Plain,
  type Random,
} from './ids.ts'
export { judgeMemberAct, judgePermission, refuseSleeper, type Refusal } from './judge.ts'
export { excessIn } from './bounded-json.ts'
export { mayOpenNext } from './judge-epoch.ts'
export { judgeDirectoryEntry } from './judge-directory-entry.ts'
export { readImportKey, signImportKey } from './import-key.ts'
export { certificateNamedBy, verifySignature } from './jws.ts'
export {
  DeviceKeys,
  SignJwk,
  deviceIdOf,
  generateDeviceSecrets,
  importVerifyKey,
  openDevice,
  requireSealKey,
  type Device,
  type DeviceSecrets,
} from './keys.ts'
export {
  Heads,
  MemberAct,
  memberVersion,
  readMemberStatement,
  signMemberStatement,
  type MemberStatement,
} from './members.ts'
export {
  Handling,
  MessagePayload,
  Precedence,
  RefersAs,
  checkBody,
  describeBody,
  digestOfExtract,
  limits,
  openBody,
  readMessageStatement,
  sealBody,
  sealedSize,
  signMessageStatement,
  type MessageStatement,
  messageKind,
} from './message.ts'
export { formatCheckpoint, parseCheckpoint, parseExtendedCheckpoint, type Checkpoint } from './checkpoint.ts'
export { Evidence, parseEvidence, verifyEvidence, type VerifiedEvidence } from './evidence.ts'
export { importOpeningKey, type OpeningKey } from './primitives.ts'
export { formatLogKeys, hostOf, noteKeysOf, originOf, parseLogKeys, type LogKeys } from './log-keys.ts'
export {
  formatNoteKey,
  openCheckpoint,
  openNote,
  parseNoteKey,
  signatureLines,
  signCheckpoint,
  signNote,
  type NoteAlgorithm,
  type NoteKey,
  type NoteSignature,
  type NoteSigner,
} from './note.ts'
export type { EpochState, HistoryRule, Member } from './operation-state.ts'
export { OperationView, breaksOrder } from './operation-view.ts'

export { shape } from './shape.ts'
export { formatTilePath, parseTilePath, tileAt, tileWidth, type Tile } from './tile.ts'
export { NotUtf8, readText } from './text-bytes.ts'
export { isAhead, requireNoEarlier, strangeTime } from './times.ts'
export { formatTlogProof, parseTlogProof } from './tlog-proof.ts'
export { verifyPortableReceipt } from './portable-receipt.ts'
export {
  emptyEdge,
  grow,
  hashBytes,
  proveConsistency,
  proveInclusion,
  proveInclusions,
  readRoot,
  subtreesOf,
  verifyConsistency,
  verifyInclusion,
  type Edge,
  type Growth,
  type HashReader,
  type Hasher,
  type Run,
} from './tree.ts'
export { authenticateEntry, judgeEntry, verifyEntry, type Trust } from './verify-entry.ts'
export { readViewStatement, statementTypeOf, toViewEntry, type ReadStatement, type ViewEntry } from './view-entry.ts'
export {
  fewestKeys,
  isQuorum,
  openWitnessed,
  parseWitnessPolicy,
  type Witness,
  type WitnessPolicy,
} from './witness-policy.ts'
