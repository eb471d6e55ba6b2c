import { Compile } from 'typebox/compile'
import type { Static, TSchema } from 'typebox'
import { ProtocolError } from './errors.ts'

/** Turns unknown into a type: the named members, no others. */
export function shape<S extends TSchema>(name: string, schema: S): (value: unknown) => Static<S> {
  const validator = Compile(schema)
  return (value) => {
    if (validator.Check(value)) return value as Static<S>
    const [first] = validator.Errors(value)
    const where = first?.instancePath ? ` at ${first.instancePath}` : ''
    throw new ProtocolError('SHAPE', `This is no ${name}${where}: ${first?.message ?? 'it has the wrong shape'}.`)
  }
}
