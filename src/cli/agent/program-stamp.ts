import { statSync } from 'node:fs'
import manifest from '../../../package.json' with { type: 'json' }

/**
 * Says which program this is: its version and when its file was written. A command is not run by
 * the agent of another program.
 */
export function programStamp(): string {
  const file = process.argv[1]
  const writtenAtMs = file === undefined ? 0 : (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  return `${manifest.version} ${String(writtenAtMs)}`
}
