import { homedir } from 'node:os'
import { join } from 'node:path'
import { invocation, pathFromHere } from './invocation.ts'

/** The path of the store on which a command acts. */
export function storePath({ store }: { readonly store?: string }): string {
  const { CORDON_STORE, HOME } = invocation().environment
  const named = [store, CORDON_STORE].find((path) => path !== undefined && path !== '')
  return pathFromHere(named ?? join(HOME ?? homedir(), '.cordon', 'store'))
}
