import { once } from 'node:events'
import { parentPort, Worker, workerData, isMainThread } from 'node:worker_threads'
import { Cordon, MemoryStore, isProblem, webPlatform } from '../../src/client/index.ts'
import { passphrase } from './actors.ts'

interface Reader {
  readonly invitation: string
  readonly operation: string
  readonly ahead: number
}

export interface Read {
  readonly position: number
  readonly alarms: readonly { readonly code: string; readonly reason?: string; readonly detail: string }[]
  readonly texts: readonly string[]
  readonly failed?: string
}

/**
 * A further device of somebody that reads an operation from the beginning in a thread of its own:
 * what clients of this process have proven it has to prove itself.
 */
export async function readAfresh(client: Cordon, operation: string, upTo: number, now: () => Date): Promise<Read> {
  const { text } = await client.directory.invite({
    person: { id: client.person, name: 'The same' },
    organization: client.organization,
    tier: client.self.certificate?.tier === 'person' ? 'person' : 'ncp',
  })
  const data: Reader = { invitation: text, operation, ahead: now().getTime() - Date.now() }
  const worker = new Worker(new URL(import.meta.url), { workerData: data })
  const [enrolled] = (await once(worker, 'message')) as [string]
  if (enrolled !== 'enrolled') throw new Error(enrolled)
  await client.directory.certifyWaiting()
  const read = once(worker, 'message') as Promise<[Read]>
  worker.postMessage(upTo, [])
  const [said] = await read
  await worker.terminate()
  return said
}

async function readHere({ invitation, operation, ahead }: Reader): Promise<void> {
  const platform = webPlatform(() => new Date(Date.now() + ahead))
  const client = new Cordon({ store: new MemoryStore(), platform })
  await client.enrol({ invitation, passphrase })
  if (parentPort === null) throw new Error('this reads in a thread')
  const asked = once(parentPort, 'message') as Promise<[number]>
  parentPort?.postMessage('enrolled', [])
  const [upTo] = await asked
  await client.signIn({ passphrase })
  const session = await client.follow(operation)
  let failed: string | undefined
  try {
    await session.ready(20_000)
    if (!(await session.reached(upTo, 20_000))) failed = 'not reached'
    // Somebody who is online gives the keys.
    const late = new Promise((resolve) => setTimeout(resolve, 20_000, 'late').unref())
    while (!session.messages.some(({ index }) => index === upTo) && session.alarms.length === 0)
      if ((await Promise.race([session.events.once('message'), late])) === 'late') throw new Error('no key came')
  } catch (error) {
    failed = isProblem(error) ? error.code : String(error)
  }
  const texts = session.messages.map(({ fields }) => String(fields['text']))
  const said: Read = { position: session.position, alarms: [...session.alarms], texts, ...(failed ? { failed } : {}) }
  parentPort?.postMessage(structuredClone(said), [])
  await client.close()
}

if (!isMainThread && parentPort !== null) await readHere(workerData as Reader)
