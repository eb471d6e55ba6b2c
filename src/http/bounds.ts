/**
 * Answers the pointer of the first string, list or map in a request schema that has no bound but
 * that of the whole request; undefined where all have one.
 */
export function unboundedIn(schema: unknown, pointer = ''): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { type, properties, patternProperties, additionalProperties, items, anyOf, oneOf, allOf } = schema as Record<
    string,
    unknown
  >
  if (type === 'string' && !isBoundedString(schema)) return pointer
  if (type === 'array' && !('maxItems' in schema)) return pointer
  const isMap =
    patternProperties !== undefined || (additionalProperties !== undefined && additionalProperties !== false)
  if (type === 'object' && isMap && !('maxProperties' in schema)) return pointer
  const children: [string, unknown][] = Object.entries({ ...(properties as object), ...(patternProperties as object) })
  children.push(['items', items], ['additionalProperties', additionalProperties])
  for (const [name, list] of Object.entries({ anyOf, oneOf, allOf }))
    if (Array.isArray(list)) children.push(...list.map((one, i): [string, unknown] => [`${name}/${i}`, one]))
  for (const [name, child] of children) {
    const found = unboundedIn(child, `${pointer}/${name}`)
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * A string is bounded by its length, by an enumeration, or by a pattern of the whole text that
 * repeats nothing without end.
 */
function isBoundedString(schema: object): boolean {
  const { maxLength, enum: few, const: one, pattern } = schema as Record<string, unknown>
  if (maxLength !== undefined || few !== undefined || one !== undefined) return true
  if (typeof pattern !== 'string' || !/^\^.*\$$/.test(pattern)) return false
  const withoutEscapes = pattern.replaceAll(/\\./g, 'x').replaceAll(/\[[^\]]*\]/g, 'x')
  return !/[*+]|\{\d+,\}/.test(withoutEscapes) && !/\|/.test(withoutEscapes.replaceAll(/\([^)]*\)/g, 'x'))
}
