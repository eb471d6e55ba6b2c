import { transaction, type Database, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { tileAt, tileWidth, type Tile } from '../protocol/index.ts'
import { enterLog, hashReader, leavesAt, sizeOf } from './store.ts'

/**
 * Answers the bytes of a tile as C2SP tlog-tiles lays them out: hashes of 32 bytes, or entries each
 * behind its length. A tile of the width that its path names never changes, however far the log has
 * grown. Problem NOT_FOUND where the tree does not reach it yet.
 */
export function readTile(db: Database, log: string, tile: Tile): Promise<Buffer> {
  return transaction(db, async (tx) => {
    await enterLog(tx, log)
    const size = await sizeOf(tx, log)
    const there = size === undefined ? undefined : tileAt(size, tile.level, tile.index)
    if (there === undefined || tile.width > there.width) throw new Problem('NOT_FOUND')
    return tile.level === 'entries' ? entries(tx, log, tile) : hashes(tx, log, { ...tile, level: tile.level })
  })
}

async function hashes(tx: Tx, log: string, { level, index, width }: Tile & { level: number }): Promise<Buffer> {
  const run = { level: level * 8, first: index * tileWidth, count: width }
  const [stored = []] = await hashReader(tx, log)([run])
  if (stored.length !== width) throw new Error(`log ${log} lacks hashes of tile ${index} at level ${level}`)
  return Buffer.concat(stored)
}

async function entries(tx: Tx, log: string, { index, width }: Tile): Promise<Buffer> {
  const leaves = await leavesAt(tx, log, index * tileWidth, width)
  if (leaves.length !== width) throw new Error(`log ${log} lacks entries of bundle ${index}`)
  const parts = leaves.flatMap((leaf) => {
    const bytes = Buffer.from(leaf, 'utf8')
    const length = Buffer.alloc(2)
    length.writeUInt16BE(bytes.length)
    return [length, bytes]
  })
  return Buffer.concat(parts)
}
