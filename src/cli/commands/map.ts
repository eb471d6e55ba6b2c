import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Command } from 'commander'
import { proposeMapping, type MappingProposal } from '../../client/index.ts'
import { CommandFailure } from '../failures.ts'
import { harmlessLine, openTerminal, type Terminal } from '../terminal.ts'
import { counted } from '../words.ts'

interface Options {
  readonly name?: string
  readonly output?: string
  readonly json?: true
}

export function addMap(command: Command): void {
  command
    .argument('<file>', 'the CSV file or workbook (.xlsx) of a national system')
    .option('--name <name>', 'the name of the mapping; that of the file if not given')
    .option('--output <mapping>', 'write the mapping to this new file instead of standard output')
    .option('--json', 'print one JSON document with the mapping, notes and open questions')
    .addHelpText(
      'after',
      `
Looks at the file on this device, and sends nothing. What the file leaves open is asked on a terminal; without one the
questions are listed, and what they are about is in no table of the mapping: cordon import --check then names it.

Examples:
  $ cordon map seizures.csv --output seizures.map.json
  $ cordon import seizures.csv --map seizures.map.json --check`,
    )
    .action(async (file: string, options: Options) => {
      const terminal = openTerminal({ json: options.json ?? false })
      const proposal = await proposeMapping(await readFile(file), options.name ?? nameOf(file))
      if ('reason' in proposal)
        throw new CommandFailure(`${file}, line ${String(proposal.line)}: ${proposal.reason}. ${proposal.advice}`)
      const open =
        terminal.interactive && !terminal.json
          ? await askAll(terminal, proposal)
          : proposal.questions.map(({ text }) => text)
      const text = `${JSON.stringify(proposal.mapping, undefined, 2)}\n`
      if (options.output !== undefined) await writeFile(options.output, text, { flag: 'wx' })
      if (!terminal.json) {
        for (const line of proposal.notes) terminal.note(line)
        if (open.length > 0) terminal.note(`${counted(open.length, 'question')} open:`)
        for (const line of open) terminal.note(`  ${line}`)
      }
      const { output } = options
      terminal.result({ mapping: proposal.mapping, notes: proposal.notes, questions: open }, () => [
        output === undefined
          ? text.trimEnd()
          : `The mapping is in ${output}. See what becomes of the file: cordon import ${file} --map ${output} --check`,
      ])
    })
}

/**
 * Asks each question until the answer is one, or empty. Answers the questions that are left open.
 */
async function askAll(terminal: Terminal, { questions }: MappingProposal): Promise<string[]> {
  const open: string[] = []
  for (const { text, choices, answer } of questions) {
    const choice = choices === undefined ? '' : ` (${choices.join(', ')})`
    for (;;) {
      const word = (await terminal.ask(`${harmlessLine(text)}${choice} Empty leaves it open: `)).trim()
      if (word !== '' && !answer(word)) {
        terminal.note('This is no answer that the mapping can take.')
        continue
      }
      if (word === '') open.push(text)
      break
    }
  }
  return open
}

function nameOf(file: string): string {
  const name = basename(file)
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 64)
  return name === '' ? 'mapping' : name
}
