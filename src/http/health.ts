import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { Problem } from '../errors.ts'
import { everybody } from './access.ts'
import type { HttpServer } from './server.ts'

const databaseAnswersWithinMs = 2_000

interface About {
  /**
   * Answers false where the database is away, and a Problem where the service cannot serve for
   * another reason.
   */
  readonly ready: () => Promise<boolean | Problem>
  readonly version: string
  readonly commit?: string | undefined
}

/**
 * Mounts three routes. /livez says that the process answers; /readyz that it can serve (503 without
 * its database, or where no log is continued); /version which program this is. None says anything
 * about load or addresses.
 */
export function mountHealth(app: HttpServer, { ready, version, commit }: About): void {
  const says = (word: string) => ({ 200: Type.Object({ status: Type.Literal(word) }) })
  let asking: Promise<boolean | Problem> | undefined

  app.get(
    '/livez',
    {
      config: { access: everybody, record: 'nothing: it shows nothing about any person', uncounted: true },
      schema: { operationId: 'isAlive', summary: 'Whether the process answers', response: says('alive') },
    },
    async () => ({ status: 'alive' as const }),
  )
  app.get(
    '/readyz',
    {
      config: {
        access: everybody,
        refusals: ['DATABASE_UNAVAILABLE', 'LOG_KEY', 'LOG_READ_ONLY'],
        record: 'nothing: it shows nothing about any person',
        uncounted: true,
      },
      schema: { operationId: 'isReady', summary: 'Whether the service can serve', response: says('ready') },
    },
    async () => {
      // However many clients ask, one question is under way.
      asking ??= Promise.race([ready(), sleep(databaseAnswersWithinMs, false, { ref: false })]).finally(
        () => (asking = undefined),
      )
      const answer = await asking
      if (answer === true) return { status: 'ready' as const }
      throw answer === false ? new Problem('DATABASE_UNAVAILABLE') : answer
    },
  )
  app.get(
    '/version',
    {
      config: { access: everybody, record: 'nothing: it shows nothing about any person', uncounted: true },
      schema: {
        operationId: 'readVersion',
        summary: 'Which version this is, and which commit where it is known',
        response: {
          200: Type.Object({
            version: Type.String({ maxLength: 100 }),
            commit: Type.Union([Type.String({ maxLength: 100 }), Type.Null()]),
          }),
        },
      },
    },
    async () => ({ version, commit: commit ?? null }),
  )
}
