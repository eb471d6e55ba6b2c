import { MemoryStore, type Change } from '../../src/client/index.ts'

/** A store that a test can make fail: a write that fails has written nothing. */
export class FlakyStore extends MemoryStore {
  /** Whether this write fails; counted from 1. */
  fails: (write: number) => boolean = () => false
  writes = 0

  override async write(changes: readonly Change[]): Promise<void> {
    if (this.fails(++this.writes)) throw new Error('ENOSPC: no space left on device, write')
    await super.write(changes)
  }

  /** What is on the disk stays there. */
  override close(): Promise<void> {
    return Promise.resolve()
  }

  /** What is on the disk now, for a process that starts anew. */
  async copy(): Promise<FlakyStore> {
    const copy = new FlakyStore()
    await copy.write((await this.list('')).map(([name, value]) => ({ name, value })))
    return copy
  }
}
