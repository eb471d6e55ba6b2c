// What stands for nothing in a name: characters that are not shown (DerivedCoreProperties of
// Unicode), control characters, and marks of the direction of writing.
const unseen = /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cc}]/gu
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

// Letters that Unicode does not decompose, as people type them where a keyboard lacks them.
const plainLetters: Readonly<Record<string, string>> = {
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ħ: 'h',
  ŧ: 't',
  ŋ: 'n',
  ĸ: 'k',
  ə: 'e',
  ɓ: 'b',
  ɗ: 'd',
  ƙ: 'k',
  ƴ: 'y',
  ɛ: 'e',
  ɔ: 'o',
  '‘': "'",
  '’': "'",
  ʼ: "'",
  '“': '"',
  '”': '"',
  '‐': '-',
  '–': '-',
  '—': '-',
  '−': '-',
}
const unlike = new RegExp(`[${Object.keys(plainLetters).join('')}]`, 'gu')

/**
 * The form of a text in which words are looked for: the comparing form without accents, with plain
 * letters for those that a keyboard may lack.
 */
export function searchForm(text: string): string {
  const bare = comparingForm(text)
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
  return bare.replace(unlike, (letter) => plainLetters[letter] ?? letter).normalize('NFC')
}
