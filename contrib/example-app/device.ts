import { Cordon, webPlatform } from 'cordon'
import { FileStore } from 'cordon/node'

/** What the environment must say, or a sentence that names it. */
export function setting(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`Set ${name}.`)
  return value
}

/** This device: an encrypted file, and the SDK on it. Close both when you are done. */
export async function openDevice(): Promise<{ client: Cordon; close: () => Promise<void> }> {
  const store = await FileStore.open('app.store', setting('STORE_PASSPHRASE'))
  const client = new Cordon({ store, platform: webPlatform(() => new Date()) })
  await client.load()
  const close = async () => {
    await client.close()
    await store.close()
  }
  return { client, close }
}
