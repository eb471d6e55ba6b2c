export { operationAccesses, type EntitledCaller, type OperationAccesses } from './access.ts'
export { authorize, authorizeIn, type Membership } from './authorize.ts'
export { requireSigner } from './acts.ts'
export { mayHoldKey } from './epoch-acts.ts'
export { LogReaders } from './log-readers.ts'
export { mountOperations } from './routes.ts'
export { InOperationSchema } from './schemas.ts'
export { OperationService } from './service.ts'
export { operationSnapshots, statementsOf, readViewEntry } from './snapshot.ts'
export {
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
