/** The bounds of a JSON text: the depth of its lists and objects, and the number of its parts. */
export interface JsonBounds {
  readonly deepest: number
  /** The number of commas and opening brackets: one for each value inside or beside another one. */
  readonly parts: number
}

/**
 * The bound that a JSON text exceeds; undefined where it exceeds none. Looks once at each character
 * and does not parse. The content of strings does not count.
 */
export function excessIn(json: string, { deepest, parts }: JsonBounds): 'depth' | 'parts' | undefined {
  let depth = 0
  let count = 0
  for (let i = 0; i < json.length; i++) {
    switch (json.charCodeAt(i)) {
      case quote:
        i = endOfString(json, i)
        break
      case openBracket:
      case openBrace:
        if (++depth > deepest) return 'depth'
        if (++count > parts) return 'parts'
        break
      case closeBracket:
      case closeBrace:
        depth--
        break
      case comma:
        if (++count > parts) return 'parts'
    }
  }
  return undefined
}

function endOfString(json: string, from: number): number {
  let i = from + 1
  for (let char = json.charCodeAt(i); i < json.length && char !== quote; char = json.charCodeAt(i))
    i += char === backslash ? 2 : 1
  return i
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c]
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]
