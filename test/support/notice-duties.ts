import type { NoticeChannel } from '../../src/identity/index.ts'
import type { TestServer } from './server.ts'
import type { Answer, WireActor } from './wire.ts'

type Measure = (act: () => Promise<Answer>) => Promise<Answer>
type Exercise = (measured: Measure) => Promise<unknown>

/** A mail sink: it takes every letter over and keeps what it says. */
export function mailSink(): NoticeChannel & { readonly texts: readonly string[] } {
  const texts: string[] = []
  return {
    texts,
    deliver: ({ text }) => {
      texts.push(text)
      return Promise.resolve('delivered')
    },
    close: () => {},
  }
}

const path = '/v1/notices/address'

/** How to make each route of notices do what it is for, each for somebody of their own. */
export function noticeDuties(
  server: TestServer,
  sink: { readonly texts: readonly string[] },
  somebody: () => Promise<WireActor>,
): Readonly<Record<string, Exercise>> {
  const ask = (actor: WireActor) => actor.call('PUT', path, { address: `${actor.person}@customs.example` })
  const code = async (actor: WireActor) => {
    await ask(actor)
    await server.identity.outbox.deliver()
    return { code: /\b\d{8}\b/.exec(sink.texts.at(-1) ?? '')?.[0] }
  }
  return {
    [`GET ${path}`]: async (measured) => {
      const actor = await somebody()
      await measured(() => actor.call('GET', path))
    },
    [`PUT ${path}`]: async (measured) => {
      const actor = await somebody()
      await measured(() => ask(actor))
    },
    [`POST ${path}/confirmation`]: async (measured) => {
      const actor = await somebody()
      const body = await code(actor)
      await measured(() => actor.call('POST', `${path}/confirmation`, body))
    },
    [`DELETE ${path}`]: async (measured) => {
      const actor = await somebody()
      await ask(actor)
      await measured(() => actor.call('DELETE', path))
    },
  }
}
