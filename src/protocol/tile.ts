import { demand } from './errors.ts'
import { tileHeight } from './tree.ts'

/**
 * Hashes or entries of one tile (C2SP tlog-tiles): `width` of them from `index · 256` on, of a
 * level, or the entries themselves.
 */
export interface Tile {
  readonly level: number | 'entries'
  readonly index: number
  /** 256, or fewer at the right edge of the tree. */
  readonly width: number
}

export const tileWidth = 2 ** tileHeight
const mostLevels = 63

/** Formats the path of a tile below `<prefix>/tile/`: `0/x001/234.p/56`, `entries/000`. */
export function formatTilePath({ level, index, width }: Tile): string {
  demand(isTile({ level, index, width }), 'TILE', 'There is no such tile.')
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? []
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/')
  return `${level}/${path}${width < tileWidth ? `.p/${width}` : ''}`
}

/** Reads the path of a tile strictly: each tile has one path. Throws `ProtocolError` TILE. */
export function parseTilePath(path: string): Tile {
  const match = /^(\d{1,2}|entries)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path)
  const [, level = '', groups = '', width] = match ?? []
  demand(match !== null, 'TILE', 'This is not the path of a tile.')
  const tile: Tile = {
    level: level === 'entries' ? level : Number(level),
    index: Number(groups.replaceAll(/[x/]/g, '')),
    width: width === undefined ? tileWidth : Number(width),
  }
  demand(isTile(tile) && formatTilePath(tile) === path, 'TILE', 'The path of a tile is written in one way.')
  return tile
}

/** The widest tile at an index in a tree of this size; undefined where the tile would be empty. */
export function tileAt(size: number, level: Tile['level'], index: number): Tile | undefined {
  const hashes = Math.floor(size / 2 ** (tileHeight * (level === 'entries' ? 0 : level)))
  const width = Math.min(hashes - index * tileWidth, tileWidth)
  return width > 0 ? { level, index, width } : undefined
}

function isTile({ level, index, width }: Tile): boolean {
  const levelFits = level === 'entries' || (Number.isInteger(level) && level >= 0 && level <= mostLevels)
  return levelFits && Number.isSafeInteger(index) && index >= 0 && Number.isInteger(width) && width >= 1 && width <= 256
}
