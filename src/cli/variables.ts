import { meantName } from '../variable-names.ts'
import { CommandFailure, exitCodes } from './failures.ts'

/** The variables of the environment that commands read. */
const variables = [
  'CORDON_STORE',
  'CORDON_STORE_PASSPHRASE_FILE',
  'CORDON_PASSPHRASE_FILE',
  'CORDON_NEW_PASSPHRASE_FILE',
] as const

/** What Kubernetes gives to every container beside a service that is called cordon. */
const ofKubernetes = /^CORDON_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_\w+)?)$/

/**
 * Throws CommandFailure for a variable with our prefix that no command reads: with CORDON_STOER a
 * command would act with the keys of another store.
 */
export function requireKnownVariables(environment: Readonly<Record<string, string | undefined>>): void {
  const known: readonly string[] = variables
  const unknown = Object.keys(environment).find(
    (name) =>
      name.startsWith('CORDON_') && !known.includes(name) && !ofKubernetes.test(name) && environment[name] !== '',
  )
  if (unknown === undefined) return
  const meant = meantName(unknown, variables)
  throw new CommandFailure(
    meant === undefined
      ? `No command reads the variable ${unknown}: take it out of the environment. Commands read ${variables.join(', ')}; the settings of the service have no prefix (docs/configuration.md).`
      : `No command reads the variable ${unknown}: give ${meant}, or take ${unknown} out of the environment.`,
    exitCodes.usage,
  )
}
