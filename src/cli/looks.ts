import { styleText } from 'node:util'
import { invocation } from './invocation.ts'

/** What a word is to the reader. */
export type Look = 'urgent' | 'due' | 'new' | 'fine'

const styles: Readonly<Record<Look, Parameters<typeof styleText>[0]>> = {
  urgent: ['bold', 'red'],
  due: 'yellow',
  new: 'bold',
  fine: 'green',
}

/**
 * Text for standard output in its colour; as it is where standard output is no terminal, or one
 * without colours, and where NO_COLOR is set (no-color.org).
 */
export function painted(look: Look | undefined, text: string): string {
  return look === undefined || !hasColours() ? text : styleText(styles[look], text, { validateStream: false })
}

function hasColours(): boolean {
  const { out, environment } = invocation()
  const isSet = (name: string) => (environment[name] ?? '') !== ''
  return out.isTTY && !isSet('NO_COLOR') && environment['TERM'] !== 'dumb'
}

/** The look of a TLP label, as FIRST colours it. */
export function lookOfTlp(tlp: string): Look | undefined {
  if (tlp === 'RED') return 'urgent'
  if (tlp.startsWith('AMBER')) return 'due'
  return tlp === 'GREEN' ? 'fine' : undefined
}
