import { Compile, type Validator } from 'typebox/compile'
import type { Static, TSchema } from 'typebox'
import { ProtocolError } from './errors.ts'

/** Turns unknown into a type: the named members, no others. */
export function shape<S extends TSchema>(name: string, schema: S): (value: unknown) => Static<S> {
  // Compiled at first use: a command does not wait for shapes that it never meets.
  let compiled: Validator | undefined
  return (value) => {
    const validator = (compiled ??= Compile(schema))
    if (validator.Check(value)) return value as Static<S>
    const [first] = validator.Errors(value)
    const where = first?.instancePath ? ` at ${first.instancePath}` : ''
    throw new ProtocolError('SHAPE', `This is no ${name}${where}: ${first?.message ?? 'it has the wrong shape'}.`)
  }
}
