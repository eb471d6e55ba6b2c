import type { Command } from 'commander'
import manifest from '../../package.json' with { type: 'json' }
import { groups } from './commands/index.ts'
import { ExplainedCommand, nameHelp, usualWidthColumns } from './explained-command.ts'
import { explain, exitCodes } from './failures.ts'
import { invocation } from './invocation.ts'
import { harmless } from './terminal.ts'
import { requireKnownVariables } from './variables.ts'
import { requireWholeWords } from './whole-words.ts'

const listed = new Map(Object.values(groups).flatMap((group) => Object.entries(group)))

/** Runs a command line. Answers the exit code. */
export async function cordon(words: readonly string[]): Promise<number> {
  const one = invocation()
  try {
    requireWholeWords(words)
    const asked = helpAsOption(words)
    const program = listCommands()
    await load(
      program,
      asked.find((word) => word !== '--'),
    )
    await program.parseAsync(asked, { from: 'user' })
    return one.exitCode ?? exitCodes.done
  } catch (error) {
    const { code, lines, exitCode, extra } = explain(error)
    if (words.includes('--json') && exitCode !== exitCodes.done) {
      const message = error instanceof Error && lines.length === 0 ? error.message : lines.join(' ')
      one.out.write(`${harmless(JSON.stringify({ error: { code, message, ...extra } }))}\n`)
    }
    for (const line of lines) one.notes.write(`${line}\n`)
    return exitCode
  }
}

/** Makes the program, with the name and the description of each command. */
function listCommands(): Command {
  const program = new ExplainedCommand('cordon')
    .description(manifest.description)
    .version(manifest.version, '-v, --version', 'show the version')
    .helpOption('-h, --help', 'show this help; after a command, the help of that command')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void invocation().out.write(text),
      writeErr: (text) => void invocation().notes.write(text),
      getOutHelpWidth: () => invocation().out.columns ?? usualWidthColumns,
      getErrHelpWidth: () => invocation().notes.columns ?? usualWidthColumns,
    })
    .hook('preAction', () => requireKnownVariables(invocation().environment))
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      'after',
      `
The keys of this device lie in an encrypted store: ~/.cordon/store, or --store, or CORDON_STORE.
Commands ask for passphrases, or read them from the files that CORDON_STORE_PASSPHRASE_FILE,
CORDON_PASSPHRASE_FILE (to sign in) and CORDON_NEW_PASSPHRASE_FILE name.

Exit codes: 0 done, 1 refused or failed, 2 used wrongly.`,
    )
  for (const [heading, group] of Object.entries(groups))
    for (const [name, { does }] of Object.entries(group))
      program.command(name).description(does).helpOption('-h, --help', 'show this help').helpGroup(heading)
  return program.helpCommand(false)
}

/**
 * Loads the code of a command: its arguments, options and action. A mistyped name is refused by the
 * program.
 */
async function load(program: Command, name: string | undefined): Promise<void> {
  const command = program.commands.find((command) => command.name() === name)
  const add = await listed.get(name ?? '')?.load()
  if (command !== undefined) add?.(command)
  nameHelp(program, program.name())
}

/** `cordon help operation create` means `cordon operation create --help`. */
function helpAsOption(words: readonly string[]): readonly string[] {
  const [first, ...rest] = words
  if (first !== 'help') return words
  const [name = ''] = rest
  return name === '' || listed.has(name) ? [...rest, '--help'] : rest
}
