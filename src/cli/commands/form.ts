import { Argument, type Command } from 'commander'
import { forms, inLanguage, newestForm, type CodeListName, type FormId } from '../../forms/index.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { codesOf, fieldsOfForm, shapeWords, template, type FormField } from '../form-page.ts'
import { table } from '../table.ts'
import { openTerminal } from '../terminal.ts'

interface Options {
  readonly template?: true
  readonly codes?: string
  readonly json?: true
}

const ids = [...new Set(forms.map(({ id }) => id))]

export function addForm(command: Command): void {
  command
    .addArgument(new Argument('[form]', 'the form; all are listed if not given').choices(ids))
    .argument('[word]', 'with --codes: a word that the code or its name holds')
    .option('--template', 'print a file to fill in, for cordon post --fields')
    .option('--codes <field>', 'list the codes of a field')
    .option('--json', 'print the result as one JSON document')
    .addHelpText(
      'after',
      `
It needs no store and no service.

Examples:
  $ cordon form
  $ cordon form seizure
  $ cordon form seizure --template > seizure.json
  $ cordon form seizure --codes items/category pangolin`,
    )
    .action((form: FormId | undefined, word: string | undefined, options: Options) => {
      const terminal = openTerminal({ json: options.json ?? false })
      if (form === undefined) {
        const listed = ids.map((id) => ({ form: id, title: inLanguage(newestForm(id).title) }))
        return terminal.result({ forms: listed }, () => table(['form', ''], listed.map(Object.values)))
      }
      if (word !== undefined && options.codes === undefined)
        throw new CommandFailure('A word chooses codes: say the field with --codes.', exitCodes.usage)
      if (options.template === true)
        return terminal.result({ template: template(form).join('\n') }, () => template(form))
      if (options.codes !== undefined) {
        const codes = codesOf(listOf(form, options.codes), word)
        if (codes.length === 0)
          throw new CommandFailure(`No code of ${options.codes} holds ${JSON.stringify(word)}: try a shorter word.`)
        const rows = codes.map(({ code, name }) => [code, name])
        return terminal.result({ codes }, () => table(['code', 'name'], rows))
      }
      const fields = all(fieldsOfForm(form))
      return terminal.result(
        { fields: fields.map(({ path, label, required, clear }) => ({ path, label, required, clear })) },
        () =>
          table(
            ['field', 'label', 'what it holds', ''],
            fields.map((field) => [field.path.slice(1), field.label, shapeWords(field.schema), marksOf(field)]),
          ),
      )
    })
}

const all = (fields: readonly FormField[]): FormField[] => fields.flatMap((field) => [field, ...all(field.parts)])

function marksOf({ required, clear }: FormField): string {
  return [required ? 'required' : '', clear ? 'in the clear' : ''].filter((word) => word !== '').join(', ')
}

/** The code list of a field, by its path with or without the stars of lists. */
function listOf(form: FormId, path: string): CodeListName {
  const plain = (text: string) => text.replaceAll('/*', '').replace(/^\//, '')
  const coded = all(fieldsOfForm(form)).flatMap((field) => {
    const list = field.schema.codes ?? field.schema.items?.codes
    return list === undefined ? [] : [{ path: plain(field.path), list: list as CodeListName }]
  })
  const found = coded.find((field) => field.path === plain(path))
  if (found !== undefined) return found.list
  const names = [...new Set(coded.map((field) => field.path))].join(', ')
  throw new CommandFailure(
    `The form ${form} has no coded field ${JSON.stringify(path)}; it has ${names}.`,
    exitCodes.usage,
  )
}
