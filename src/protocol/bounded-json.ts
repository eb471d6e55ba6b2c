/**
 * What a JSON text may consist of: how deep lists and objects lie in each other, and of how many
 * parts they are made.
 */
export interface JsonBounds {
  readonly deepest: number
  /** Commas and opening brackets: one for each value that stands beside or in another one. */
  readonly parts: number
}

/**
 * By what a JSON text is more than it may be; found without parsing it, by looking once at each
 * character. What stands inside strings counts nothing.
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
