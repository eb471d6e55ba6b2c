import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { PreparedRequest } from './light-client.ts'

/**
 * The requests of the people of a crowd: each person sends them one after the other, from an own
 * address.
 */
export interface Crowd {
  readonly url: string
  readonly people: readonly { readonly from: string; readonly prepared: readonly PreparedRequest[] }[]
}

export interface SignIns {
  done: number
  refused: number
}

// In a thread of its own, so that the work of a hundred clients does not count as work of the
// service.
const ending = new AbortController()
const { url, people } = workerData as Crowd
const signIns: SignIns = { done: 0, refused: 0 }
await (await fetch(`${url}/livez`)).text()
if (!parentPort) throw new Error('started by a thread only')
const begun = once(parentPort, 'message')
parentPort.postMessage('ready', [])
await begun
parentPort.once('message', () => ending.abort())
await Promise.all(
  people.map(async ({ from, prepared }) => {
    for (const { path, init } of prepared) {
      if (ending.signal.aborted) return
      const answer = await fetch(url + path, { ...init, headers: { ...init.headers, 'x-forwarded-for': from } })
      await answer.text()
      if (answer.status === 201) signIns.done++
      else if (answer.status === 503) {
        signIns.refused++
        const wait = Number(answer.headers.get('retry-after')) * 1000 * (1 + Math.random())
        await sleep(wait, undefined, { signal: ending.signal }).catch(() => {})
      } else throw new Error(`signing in: ${String(answer.status)}`)
    }
  }),
)
parentPort.postMessage(signIns, [])
