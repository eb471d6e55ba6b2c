#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import { Command } from 'commander'
import { version } from '../main.ts'
import { addDemo } from './commands/demo.ts'
import { addMigrate } from './commands/migrate.ts'
import { addServe } from './commands/serve.ts'
import { explain, exitCodes } from './failures.ts'

const program = new Command('cordon')
  .description(
    'Closed groups for joint customs operations: sealed messages, a log that outsiders can verify, figures that agree.',
  )
  .version(version)
  .exitOverride()
  .showHelpAfterError('(cordon --help lists the commands)')
  .configureHelp({ sortSubcommands: false })

for (const add of [addServe, addMigrate, addDemo]) add(program)

try {
  await program.parseAsync()
  process.exitCode ??= exitCodes.done
} catch (error) {
  const { code, lines, exitCode } = explain(error)
  if (process.argv.includes('--json') && lines.length > 0) {
    process.stdout.write(`${JSON.stringify({ error: { code, message: lines.join(' ') } })}\n`)
  }
  for (const line of lines) process.stderr.write(`${line}\n`)
  process.exitCode = exitCode
}
