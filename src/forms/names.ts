// What stands for nothing in a name: characters that are not shown (DerivedCoreProperties of
// Unicode), control characters, marks of the direction of writing, the anchors of annotations, and
// what is no character.
const unseen =
  /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\uFFF9-\uFFFB]/gu
// The blank pattern of Braille is shown as a space, though Unicode calls it a symbol.
const spaces = /[\p{White_Space}\u2800]+/gu
const mostRounds = 8

/**
 * The form of a name, or of the key of a row, in which it is compared: two texts with one form are
 * one name. NFKC, full case folding (Unicode, CaseFolding, C and F, and the dotted and the dotless
 * i of Turkish as one letter), without characters that are not shown, with one space between words
 * and none around. A text of blanks has the empty form.
 */
export function comparingForm(text: string): string {
  let form = text
  // What one step takes away may let the next one compose two characters.
  for (let round = 0; round < mostRounds; round++) {
    const next = foldedOnce(form)
    if (next === form) return form
    form = next
  }
  return form
}

function foldedOnce(text: string): string {
  const composed = text.normalize('NFKC').replace(spaces, ' ').replace(unseen, '').trim()
  // The three steps are the full folding, but for the sigma at the end of a word, which JavaScript
  // writes as Greek does.
  const folded = composed.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ')
  return folded.replaceAll('i\u0307', 'i').normalize('NFKC')
}

/** Whether a text says nothing: it is empty, or of blanks and of characters that are not shown. */
export function isBlank(text: string): boolean {
  return text.replace(spaces, '').replace(unseen, '') === ''
}

// Letters and signs that Unicode does not decompose, as people type them where a keyboard lacks
// them: to the left what is typed, to the right what stands for it.
const typed: readonly (readonly [string, string])[] = [
  ['ae', 'æ'],
  ['oe', 'œ'],
  ['o', 'ø'],
  ['l', 'ł'],
  ['d', 'đðɖɗ'],
  ['th', 'þ'],
  ['h', 'ħ'],
  ['t', 'ŧ'],
  ['n', 'ŋ'],
  ['k', 'ĸƙ'],
  ['e', 'əǝɛ'],
  ['b', 'ɓ'],
  ['y', 'ƴ'],
  ['o', 'ɔ'],
  ['f', 'ƒ'],
  ['g', 'ǥɠ'],
  ['i', 'ɨ'],
  ['u', 'ʉ'],
  ['z', 'ƶ'],
  ['г', 'ґ'],
  // Arabic letters that stand for one another in names, and those of Persian and Urdu.
  ['ا', 'ٱ'],
  ['ي', 'ىیے'],
  ['ك', 'ک'],
  ['ه', 'ةہھە'],
  // The line that makes a word of Arabic longer, the point of Catalan, and letters that show a
  // sound of another script.
  ['', 'ـߺ·ʻʾʿʹʺ'],
  ["'", '‘’‛ʼ`´′׳՚'],
  ['"', '“”„‟″«»״'],
  ['-', '‐‑‒–—―−־'],
  ['/', '⁄∕'],
]
const plainLetters = new Map(typed.flatMap(([plain, others]) => [...others].map((other) => [other, plain] as const)))
const unlike = new RegExp(`[${[...plainLetters.keys()].join('')}]`, 'gu')

/**
 * The form of a text in which words are looked for: the comparing form without accents, with plain
 * letters for those that a keyboard may lack, and the digits 0 to 9 for those of other scripts.
 */
export function searchForm(text: string): string {
  // NFKC makes a space of this accent, which people type for an apostrophe.
  const bare = comparingForm(text.replaceAll('´', "'"))
    .normalize('NFD')
    .replace(/[\p{Mn}\p{Me}]/gu, '')
  return plainDigits(bare.replace(unlike, (letter) => plainLetters.get(letter) ?? letter)).normalize('NFC')
}

/** A text with the digits 0 to 9 in place of the decimal digits of all scripts. */
function plainDigits(text: string): string {
  return text.replace(/\p{Nd}/gu, (digit) => String(valueOf(digit)))
}

/** The value of a decimal digit: Unicode has those of a script in a row, from zero to nine. */
function valueOf(digit: string): number {
  const code = digit.codePointAt(0) ?? 0
  let before = 0
  while (/\p{Nd}/u.test(String.fromCodePoint(code - before - 1))) before++
  return before % 10
}

/**
 * What somebody typed as a code: in capitals, with the digits 0 to 9, without blanks, dashes and
 * characters that are not shown.
 */
export function codeForm(text: string): string {
  const plain = plainDigits(comparingForm(text))
  return plain.replace(/[\s\p{Pd}\u2212]/gu, '').toUpperCase()
}
