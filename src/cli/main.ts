#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { explain, exitCodes } from './failures.ts'
import { harmless } from './terminal.ts'

type Add = (program: Command) => void

// Only what was asked for is loaded: nobody waits for the server's code before reading a message.
const commands: Readonly<Record<string, () => Promise<Add>>> = {
  serve: async () => (await import('./commands/serve.ts')).addServe,
  migrate: async () => (await import('./commands/migrate.ts')).addMigrate,
  demo: async () => (await import('./commands/demo.ts')).addDemo,
  init: async () => (await import('./commands/init.ts')).addInit,
  organization: async () => (await import('./commands/organization.ts')).addOrganization,
  person: async () => (await import('./commands/person.ts')).addPerson,
  invite: async () => (await import('./commands/invite.ts')).addInvite,
  renew: async () => (await import('./commands/renew.ts')).addRenew,
  invitations: async () => (await import('./commands/invite.ts')).addInvitations,
  service: async () => (await import('./commands/service.ts')).addService,
  enrol: async () => (await import('./commands/enrol.ts')).addEnrol,
  'sign-in': async () => (await import('./commands/sign-in.ts')).addSignIn,
  'sign-out': async () => (await import('./commands/sign-in.ts')).addSignOut,
  devices: async () => (await import('./commands/devices.ts')).addDevices,
  sessions: async () => (await import('./commands/sign-in.ts')).addSessions,
  factors: async () => (await import('./commands/factors.ts')).addFactors,
  notices: async () => (await import('./commands/notices.ts')).addNotices,
  operation: async () => (await import('./commands/operation.ts')).addOperation,
  post: async () => (await import('./commands/post.ts')).addPost,
  pending: async () => (await import('./commands/pending.ts')).addPending,
  read: async () => (await import('./commands/read.ts')).addRead,
  search: async () => (await import('./commands/search.ts')).addSearch,
  follow: async () => (await import('./commands/follow.ts')).addFollow,
  import: async () => (await import('./commands/import.ts')).addImport,
  figures: async () => (await import('./commands/figures.ts')).addFigures,
  receipt: async () => (await import('./commands/receipt.ts')).addReceipt,
  'lend-session': async () => (await import('./commands/lend-session.ts')).addLendSession,
  'log-keys': async () => (await import('./commands/log-keys.ts')).addLogKeys,
  'witness-policy': async () => (await import('./commands/witness-policy.ts')).addWitnessPolicy,
  witness: async () => (await import('./commands/witness.ts')).addWitness,
  verify: async () => (await import('./commands/verify.ts')).addVerify,
  audit: async () => (await import('./commands/audit.ts')).addAudit,
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const program = new Command('cordon')
  .description(
    'Closed groups for joint customs operations: sealed messages, a log that outsiders can verify, figures that agree.',
  )
  .version(version)
  .exitOverride()
  .showHelpAfterError('(add --help for how it is used)')
  .configureHelp({ sortSubcommands: false })
  .addHelpText(
    'after',
    `
The keys of this device lie in an encrypted store: ~/.cordon/store, or --store, or CORDON_STORE. Passphrases are asked for, or read from
the files that CORDON_STORE_PASSPHRASE_FILE and CORDON_PASSPHRASE_FILE (to sign in) name.
Exit codes: 0 done, 1 refused or failed, 2 used wrongly.`,
  )

const wanted = process.argv[2] ?? ''
runInLittleMemory()
const asked = Object.hasOwn(commands, wanted) ? [wanted] : Object.keys(commands)

// Whoever reads the output may have seen enough, as `head` has.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done)
  throw error
})

try {
  for (const name of asked) (await commands[name]?.())?.(program)
  await program.parseAsync()
  process.exitCode ??= exitCodes.done
} catch (error) {
  const { code, lines, exitCode, extra } = explain(error)
  if (process.argv.includes('--json') && exitCode !== exitCodes.done) {
    const message = error instanceof Error && lines.length === 0 ? error.message : lines.join(' ')
    process.stdout.write(`${harmless(JSON.stringify({ error: { code, message, ...extra } }))}\n`)
  }
  for (const line of lines) process.stderr.write(`${line}\n`)
  process.exitCode = exitCode
}
// What the SDK would still repeat in the background is kept in the store, and no reason to stay.
process.exit()

/**
 * Verifying reads everything once and keeps little of it. V8 by itself lets what is already forgotten fill a quarter of a gigabyte before it
 * is collected, and malloc keeps an arena for each thread; both can be told otherwise at the start of a process alone.
 */
function runInLittleMemory(): void {
  const little = ['--max-semi-space-size=2', '--max-old-space-size=192']
  if (wanted !== 'verify' || little.every((flag) => process.execArgv.includes(flag)) || process.execve === undefined)
    return
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...little, ...process.argv.slice(1)], {
    ...process.env,
    MALLOC_ARENA_MAX: '1',
  })
}
