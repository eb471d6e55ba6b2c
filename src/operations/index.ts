export { operationAccesses, type Entitled, type OperationAccesses } from './access.ts'
export { authorize, authorizeIn, toProblem, type Membership } from './authorize.ts'
export { requireSigner, writeAll, type Write } from './acts.ts'
export { mayHold } from './epoch-acts.ts'
export { LogReaders } from './log-readers.ts'
export { mountOperations } from './routes.ts'
export { Operations, type CreateInput, type OperationsDeps } from './service.ts'
export { applyEntries, operationSnapshots, statementsOf, readViewEntry } from './snapshot.ts'
export {
  enterAsPerson,
  enterOperation,
  grantsGivenAt,
  membersAmong,
  operationsOf,
  purposeOfOperation,
  takeMembers,
  type GrantRow,
} from './store.ts'
export { Views } from './views.ts'
export { mayReadFrom, seesContent, seesEntry } from './visibility.ts'
export { operationsOwners, type VerifiedViews } from './verification/owners.ts'
