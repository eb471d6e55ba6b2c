export {
  VerifyKeys,
  Tier,
  issueCertificate,
  clockDifference,
  mayCertify,
  proveAll,
  mayRevoke,
  readCertificate,
  readRevocation,
  revokedSince,
  standsAfter,
  signRevocation,
  signRootStatement,
  verifyChain,
  verifyRootStatement,
  type Certificate,
  type Certified,
  type FindCertificate,
  type Pin,
  type Revocation,
} from './certificate.ts'
export {
  base64,
  base64url,
  concat,
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
  type Intention,
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
  type ProblemJson,
  type ReaderReceipt,
  type ServerFrame,
} from './frames.ts'
export { serverFrames } from './server-frames.ts'
export {
  generateSealKeys,
  importSealPrivateKey,
  importSealPublicKey,
  openSealed,
  readSealed,
  sealTo,
  type SealPrivateKey,
  type SealPublicKey,
  type SealedType,
} from './hpke.ts'
export {
  isUuid,
  newId,
  parseDeviceId,
  isImportId,
  parseId,
  parseTimestamp,
  timestamp,
  type CompartmentId,
  type DeviceId,
  type InvitationId,
  type LogId,
  type MessageId,
  type OperationId,
  type OrganizationId,
  type PersonId,
  type Plain,
  type Random,
  type SessionId,
  type ThreadId,
} from './ids.ts'
export { asleep, judgeMemberAct, judgePermission, type Refusal } from './judge.ts'
export { excessIn, type JsonBounds } from './bounded-json.ts'
export { mayOpenNext } from './judge-epoch.ts'
export { judgeTold } from './judge-told.ts'
export { readImportKey, signImportKey } from './import-key.ts'
export {
  certificateNamedBy,
  readStatement,
  signStatement,
  verifyStatement,
  type Signed,
  type StatementType,
} from './jws.ts'
export {
  DeviceKeys,
  SealJwk,
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
  signMessageStatement,
  type BodyContent,
  type MessageStatement,
  messageKind,
} from './message.ts'
export { formatCheckpoint, parseCheckpoint, parseExtendedCheckpoint, type Checkpoint } from './checkpoint.ts'
export { Evidence, parseEvidence, verifyEvidence, type EvidenceTrust, type VerifiedEvidence } from './evidence.ts'
export { formatLogKeys, hostOf, noteKeysOf, originOf, parseLogKeys, type LogKeys } from './log-keys.ts'
export {
  formatNoteKey,
  noteKeyId,
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
export {
  OperationView,
  breaksOrder,
  type CompartmentState,
  type EpochState,
  type HistoryRule,
  type Member,
} from './operation-view.ts'
export { padmeLength } from './padme.ts'
export { Rights, rightTo } from './rights.ts'
export { shape } from './shape.ts'
export { formatTilePath, parseTilePath, tileAt, tileWidth, type Tile } from './tile.ts'
export { requireNoEarlier, strangeTime } from './times.ts'
export { formatTlogProof, parseTlogProof, type TlogProof } from './tlog-proof.ts'
export {
  consistencyRanges,
  emptyEdge,
  grow,
  hashBytes,
  inclusionRanges,
  proveConsistency,
  proveInclusion,
  proveInclusions,
  readRanges,
  readRoot,
  rootOf,
  subtreesOf,
  tileHeight,
  verifyConsistency,
  verifyInclusion,
  type Edge,
  type Growth,
  type HashReader,
  type Hasher,
  type Node,
  type Range,
  type Run,
} from './tree.ts'
export { authenticateEntry, judgeEntry, verifyEntry, type Trust } from './verify-entry.ts'
export { readViewStatement, statementTypeOf, toViewEntry, type ReadStatement, type ViewEntry } from './view-entry.ts'
export {
  fewestKeys,
  isQuorum,
  openWitnessed,
  parseWitnessPolicy,
  type Rule,
  type Witness,
  type WitnessPolicy,
  type Witnessed,
} from './witness-policy.ts'
