import stringWidth from 'string-width'

/** Breaks a text between words into lines of a width; a longer word has a line of its own. */
export function wrapWords(text: string, width: number): string[] {
  const lines: string[] = []
  let line: string | undefined
  for (const word of text.split(' ')) {
    const longer: string = line === undefined ? word : `${line} ${word}`
    if (line !== undefined && stringWidth(longer) > width) {
      lines.push(line)
      line = word
    } else line = longer
  }
  return [...lines, line ?? '']
}

/**
 * Breaks a line for a terminal. The lines after the first begin as it does, with its blanks or as
 * comments. A text that is not one line, or no text of words, stays as it is.
 */
export function wrapLine(line: string, columns: number): string[] {
  if (stringWidth(line) <= columns || line.includes('\n')) return [line]
  const [before = ''] = /^\s*(?:\/\/\s*)?/.exec(line) ?? []
  const room = columns - stringWidth(before)
  return room < 20 ? [line] : wrapWords(line.slice(before.length), room).map((part) => before + part)
}
