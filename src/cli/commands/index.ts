import type { Command } from 'commander'

/** A command in the list of `cordon --help`. */
export interface ListedCommand {
  readonly does: string
  /** Loads the function that adds the arguments, the options and the action of the command. */
  readonly load: () => Promise<(command: Command) => void>
}

/**
 * All commands by name, in groups, in the order of `cordon --help`. A command's code is loaded only
 * when it runs, so that reading a message does not load the code of the service.
 */
export const groups: Readonly<Record<string, Readonly<Record<string, ListedCommand>>>> = {
  'This device and you:': {
    enrol: {
      does: 'Enrol this device with an invitation, and sign in',
      load: async () => (await import('./enrol.ts')).addEnrol,
    },
    'sign-in': { does: 'Sign in on this device', load: async () => (await import('./sign-in.ts')).addSignIn },
    'sign-out': {
      does: 'End the session of this device; its keys stay',
      load: async () => (await import('./sign-in.ts')).addSignOut,
    },
    devices: {
      does: 'Your devices, and whether the directory log is proven to hold each of them',
      load: async () => (await import('./devices.ts')).addDevices,
    },
    sessions: {
      does: 'Your sessions on all devices',
      load: async () => (await import('./sign-in.ts')).addSessions,
    },
    factors: {
      does: 'Your factors to sign in: passphrase, app, recovery codes, passkeys',
      load: async () => (await import('./factors.ts')).addFactors,
    },
    agent: {
      does: 'Hold the store of this device unlocked, for any number of commands at once',
      load: async () => (await import('./agent.ts')).addAgent,
    },
    lock: {
      does: 'Lock the store of this device: end its agent',
      load: async () => (await import('./agent.ts')).addLock,
    },
    notices: {
      does: 'Your e-mail address for notices, which say that something waits and never what',
      load: async () => (await import('./notices.ts')).addNotices,
    },
  },
  'Messages and figures:': {
    read: {
      does: 'List the threads, urgent ones and answers that you owe first; or show one and mark it read',
      load: async () => (await import('./read.ts')).addRead,
    },
    search: {
      does: 'Search the messages that this device has opened; needs no service',
      load: async () => (await import('./search.ts')).addSearch,
    },
    follow: {
      does: 'Show messages as they come, one line each, until Ctrl-C',
      load: async () => (await import('./follow.ts')).addFollow,
    },
    post: {
      does: 'Seal a message on this device and send it; a form is asked field by field',
      load: async () => (await import('./post.ts')).addPost,
    },
    form: {
      does: 'The forms, their fields and codes, and files to fill in; needs no store',
      load: async () => (await import('./form.ts')).addForm,
    },
    pending: {
      does: 'Messages of this device that have no receipt yet; asks no service',
      load: async () => (await import('./pending.ts')).addPending,
    },
    receipt: {
      does: 'Write the receipt of one of your messages, for others to check without the service',
      load: async () => (await import('./receipt.ts')).addReceipt,
    },
    map: {
      does: 'Propose a mapping for the file of a national system',
      load: async () => (await import('./map.ts')).addMap,
    },
    import: {
      does: 'Send the rows of a CSV file or workbook as sealed messages, each once however often it is repeated',
      load: async () => (await import('./import.ts')).addImport,
    },
    figures: {
      does: 'Seizures and quantities: as this device computes them, and as the service does',
      load: async () => (await import('./figures.ts')).addFigures,
    },
  },
  'Operations and their people:': {
    operation: {
      does: 'Operations: closed user groups and their members',
      load: async () => (await import('./operation.ts')).addOperation,
    },
    person: {
      does: 'The people of your organization (contact points, administrators)',
      load: async () => (await import('./person.ts')).addPerson,
    },
    invite: {
      does: 'Invite a person, or a further device of your own',
      load: async () => (await import('./invite.ts')).addInvite,
    },
    invitations: {
      does: 'Your invitations and their states',
      load: async () => (await import('./invite.ts')).addInvitations,
    },
    renew: {
      does: 'Certificates of your people that end soon, and renewing them (contact points, administrators)',
      load: async () => (await import('./renew.ts')).addRenew,
    },
    organization: {
      does: 'Organizations of the service (administrators)',
      load: async () => (await import('./organization.ts')).addOrganization,
    },
    service: {
      does: 'Service accounts: programs of an organization, for its NCPs and administrators',
      load: async () => (await import('./service.ts')).addService,
    },
  },
  'Verifying and witnessing:': {
    verify: {
      does: 'Verify every log of a database from its raw rows; a bundle of evidence; or, as a member, the log of an operation',
      load: async () => (await import('./verify.ts')).addVerify,
    },
    audit: {
      does: 'Query the log of an operation, or of the whole service: who did what, when, to what',
      load: async () => (await import('./audit.ts')).addAudit,
    },
    'log-keys': {
      does: 'Print the verifier keys of the logs that this device pinned, for witnesses and auditors',
      load: async () => (await import('./log-keys.ts')).addLogKeys,
    },
    'witness-policy': {
      does: 'Insist on witnesses: read and send nothing that enough of them have not cosigned',
      load: async () => (await import('./witness-policy.ts')).addWitnessPolicy,
    },
    witness: {
      does: 'Run a witness (C2SP tlog-witness): cosign the logs of a service only while they grow',
      load: async () => (await import('./witness.ts')).addWitness,
    },
    'lend-session': {
      does: 'Write your access token and its key to a file, for another program on this machine, for five minutes',
      load: async () => (await import('./lend-session.ts')).addLendSession,
    },
  },
  'Running the service:': {
    serve: {
      does: 'Run the service, on the embedded Postgres in ./data or on DATABASE_URL',
      load: async () => (await import('./serve.ts')).addServe,
    },
    backup: {
      does: 'Copy the database while its service runs, and verify the copy',
      load: async () => (await import('./backup.ts')).addBackup,
    },
    restore: {
      does: 'Put a backup into an empty database, or give an older copy the entries that it lacks',
      load: async () => (await import('./restore.ts')).addRestore,
    },
    migrate: {
      does: 'Bring the database of DATABASE_OWNER_URL to the schema of this program',
      load: async () => (await import('./migrate.ts')).addMigrate,
    },
    init: {
      does: 'Make the root of trust and the first administrator on a new service',
      load: async () => (await import('./init.ts')).addInit,
    },
    demo: {
      does: 'Play a whole operation on a temporary service: 98 organizations, 937 seizures, one verified log',
      load: async () => (await import('./demo.ts')).addDemo,
    },
  },
}
