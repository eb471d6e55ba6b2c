import type { Letter } from './channel.ts'

type Words = Pick<Letter, 'subject' | 'text'>

const ending = 'This message was made by a program: answers to it are not read.'

/**
 * The text of each notice. It names no operation, no colleague and no organization, and does not
 * say what it is that waits.
 */
export const letters = {
  sleep: (sleepsAt: Date): Words => ({
    subject: 'Your account will sleep unless you sign in',
    text: page(
      `Nobody has used your account for a while. It will sleep at ${minuteOf(sleepsAt)} (UTC).`,
      'To keep it awake, sign in before that. Nothing is lost by sleeping: your contact point wakes the account again.',
    ),
  }),
  sleepers: (accounts: number): Words => ({
    subject: 'Accounts that you look after will sleep',
    text: page(
      `Nobody has used ${counted(accounts)} that you look after for a while, and not everybody could be told.`,
      'Sign in to see when each will sleep (cordon person list). A person who signs in stays awake.',
    ),
  }),
  needed: (accounts: number): Words => ({
    subject: 'Accounts that you look after sleep and may be needed',
    text: page(
      `You can wake ${counted(accounts)} that may be needed soon.`,
      'Sign in to see which (cordon operation show) and to wake them (cordon operation wake --all).',
    ),
  }),
  address: (code: string, minutes: number): Words => ({
    subject: 'Confirm this address',
    text: page(
      `Somebody wants to be told at this address when something waits for them. If it was you, confirm it within ${String(minutes)} minutes with the code`,
      `    ${code}`,
      'If it was not you, do nothing: without the code nothing more is sent here.',
    ),
  }),
} as const

const counted = (accounts: number) => (accounts === 1 ? 'one account' : `${String(accounts)} accounts`)

function page(...paragraphs: readonly string[]): string {
  return `${[...paragraphs, ending].join('\n\n')}\n`
}

const minuteOf = (at: Date) => at.toISOString().slice(0, 16).replace('T', ' ')
