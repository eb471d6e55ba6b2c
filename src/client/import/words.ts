const missingWords = new Set([
  'na',
  'n/a',
  '#n/a',
  'null',
  'nan',
  'none',
  'nil',
  '-',
  '--',
  '.',
  '?',
  'n.a.',
  'not available',
  'missing',
  '..',
  '...',
  '…',
  ':',
  '–',
  '—',
  'n.d.',
  'n/d',
  's/d',
  'k.a.',
  'k. a.',
  '[x]',
  '[c]',
  '[z]',
])

/** Whether a word usually means that nothing was reported. */
export function isMissingWord(word: string): boolean {
  return missingWords.has(word.toLowerCase())
}

const sums =
  /^(?:(?:grand |overall |sub-?)?totals?|gesamt|insgesamt|summe|somme|totaux|totale|suma|ukupno|razem|итого|всего|合计|合計|总计|總計|합계)(?=$|[\s:(,.–-])/iu

/** Whether a word begins as the name of a row does that adds up other rows. */
export function isSumWord(word: string): boolean {
  return sums.test(word)
}

/**
 * Whether a word is an error that a spreadsheet shows in a cell, in the language of any user:
 * `#REF!`, `#WERT!`, `#N/A`.
 */
export function isErrorWord(word: string): boolean {
  return /^#(?:[¡¿]?\p{Lu}[\p{Lu}\p{N}_/ ]{0,20}[!?]|N\/[AD]|NV|DIV\/0!|BUSY|GETTING_DATA)$/u.test(word)
}

export function spreadsheetError(word: string): { readonly reason: string; readonly advice: string } {
  const advice = `The cell holds ${word}, an error or a formula without a value: open the file in a spreadsheet, correct the formula and save it, or name ${word} under "missing" if it says that nothing was reported.`
  return { reason: 'spreadsheet-error', advice }
}
