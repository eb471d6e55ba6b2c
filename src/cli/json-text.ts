// Node loads the UMD build of this package, whose exports are its default.
// oxlint-disable-next-line import/default
import jsonc from 'jsonc-parser'
import { CommandFailure } from './failures.ts'

// Words for the faults that the parser finds; another fault is told by its place alone.
const faultWords: Readonly<Record<string, string>> = {
  CloseBraceExpected: 'a } is missing',
  CloseBracketExpected: 'a ] is missing',
  ColonExpected: 'a colon is missing',
  CommaExpected: 'a comma is missing',
  InvalidNumberFormat: 'this is no number; a number with units is a text, in quotation marks',
  PropertyNameExpected: 'the name of a field is missing, in quotation marks',
  UnexpectedEndOfString: 'a text has no closing quotation mark',
  ValueExpected: 'a value is missing',
}

/**
 * Reads JSON that a person wrote: comments and a comma after the last value may stand in it, as in
 * the templates of `cordon form`. A name that stands twice in one object is refused, since one of
 * its values would be lost. Throws CommandFailure with the place. `name` names the text.
 */
export function readJson(text: string, name: string, nothing: string): unknown {
  const fault = firstFault(text)
  if (fault === undefined) return jsonc.parse(text, [], { allowTrailingComma: true }) as unknown
  const { line, column, words } = fault
  const place = `line ${String(line)}, column ${String(column)}`
  throw new CommandFailure(`${name} is not JSON (${place}: ${words}): correct it; ${nothing}.`)
}

interface JsonFault {
  /** Both counted from 1. */
  readonly line: number
  readonly column: number
  readonly words: string
}

function firstFault(text: string): JsonFault | undefined {
  const faults: JsonFault[] = []
  const names = new Set<string>()
  const at = (line: number, character: number, words: string) =>
    void faults.push({ line: line + 1, column: character + 1, words })
  jsonc.visit(
    text,
    {
      onObjectProperty(name, _offset, _length, line, character, path) {
        const place = JSON.stringify([...path(), name])
        if (names.has(place)) at(line, character, `${JSON.stringify(name)} stands twice in one object`)
        names.add(place)
      },
      onError(error, _offset, _length, line, character) {
        at(line, character, faultWords[jsonc.printParseErrorCode(error)] ?? 'this has no place here')
      },
    },
    { allowTrailingComma: true },
  )
  return faults[0]
}
