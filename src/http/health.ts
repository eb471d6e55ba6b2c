import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { Problem } from '../errors.ts'
import type { HttpServer } from './server.ts'

const PATIENCE = 2_000

interface About {
  readonly ready: () => Promise<boolean>
  readonly version: string
  readonly commit?: string | undefined
}

/**
 * /livez says that the process answers; /readyz that it can serve, which without its database it cannot (503); /version which program this is.
 * None says anything about load or addresses.
 */
export function mountHealth(app: HttpServer, { ready, version, commit }: About): void {
  const answer = (word: string) => ({ 200: Type.Object({ status: Type.Literal(word) }) })
  let asking: Promise<boolean> | undefined

  app.get(
    '/livez',
    {
      config: { access: 'public', record: 'nothing: it shows nothing of anybody', uncounted: true },
      schema: { summary: 'Whether the process answers', response: answer('alive') },
    },
    async () => ({ status: 'alive' as const }),
  )
  app.get(
    '/readyz',
    {
      config: { access: 'public', record: 'nothing: it shows nothing of anybody', uncounted: true },
      schema: { summary: 'Whether the service can serve', response: answer('ready') },
    },
    async () => {
      // However many ask, one question is under way.
      asking ??= Promise.race([ready(), sleep(PATIENCE, false, { ref: false })]).finally(() => (asking = undefined))
      if (await asking) return { status: 'ready' as const }
      throw new Problem('DATABASE_UNAVAILABLE')
    },
  )
  app.get(
    '/version',
    {
      config: { access: 'public', record: 'nothing: it shows nothing of anybody', uncounted: true },
      schema: {
        summary: 'Which version this is, and which commit where it is known',
        response: { 200: Type.Object({ version: Type.String(), commit: Type.Union([Type.String(), Type.Null()]) }) },
      },
    },
    async () => ({ version, commit: commit ?? null }),
  )
}
