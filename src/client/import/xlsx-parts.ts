import { strFromU8 } from 'fflate'

/** A sheet of a workbook. */
export interface SheetPart {
  readonly name: string
  /** Whether a spreadsheet shows its tab. */
  readonly shown: boolean
  /** Its place among all sheets of the workbook, from 1. */
  readonly place: number
  readonly xml: string
}

/** What the parts of a workbook (ECMA-376) say beside the values of its cells. */
export interface WorkbookParts {
  readonly sheets: readonly SheetPart[]
  /** Whether days are counted from 1904 by a word that is not `1`. */
  readonly from1904InWords: boolean
}

/** A place in a sheet, from 1. */
export interface CellPlace {
  readonly row: number
  readonly column: number
}

export interface MarkedCell extends CellPlace {
  readonly text: string
}

/** What the XML of a sheet says of its cells beside their values. */
export interface SheetMarks {
  /** Cells with an error, a formula that was never computed, or a day that is written as text. */
  readonly cells: readonly MarkedCell[]
  readonly hiddenRows: readonly number[]
  readonly merged: readonly { readonly from: CellPlace; readonly to: CellPlace }[]
  /** Whether each cell says where it stands, and nothing stands in CDATA. */
  readonly readable: boolean
}

/** The text that stands for a formula without a value: no program has computed it yet. */
export const notComputed = '#FORMULA!'

/** Reads the list of sheets. A sheet that is a chart alone is not among them. */
export function workbookParts(parts: Readonly<Record<string, Uint8Array>>): WorkbookParts {
  const workbook = textOf(parts['xl/workbook.xml'])
  const targets = new Map<string, string>()
  for (const [, , attributes = ''] of tagsOf(textOf(parts['xl/_rels/workbook.xml.rels']), 'Relationship')) {
    const { Id, Type, Target } = attributesOf(attributes)
    if (Id !== undefined && Target !== undefined && Type?.endsWith('/worksheet') === true)
      targets.set(Id, Target.startsWith('/') ? Target.slice(1) : `xl/${Target}`)
  }
  const sheets: SheetPart[] = []
  let place = 0
  for (const [, , written = ''] of tagsOf(workbook, 'sheet')) {
    const attributes = attributesOf(written)
    place++
    const relation = Object.entries(attributes).find(([name]) => /(?:^|:)id$/.test(name))?.[1] ?? ''
    const path = targets.get(relation)
    if (path === undefined) continue
    const shown = (attributes['state'] ?? 'visible') === 'visible'
    sheets.push({ name: attributes['name'] ?? '', shown, place, xml: textOf(parts[path]) })
  }
  const properties = [...tagsOf(workbook, 'workbookPr')].map(([, , written = '']) => attributesOf(written))
  return { sheets, from1904InWords: properties.some(({ date1904 }) => date1904 === 'true') }
}

/** Goes through the tags of a sheet once. */
export function sheetMarks(xml: string): SheetMarks {
  const cells: MarkedCell[] = []
  const hiddenRows: number[] = []
  const merged: { from: CellPlace; to: CellPlace }[] = []
  let readable = !xml.includes('<![CDATA[')
  let cell: { at: CellPlace; type: string; formula: boolean; value?: string } | undefined
  for (const tag of tagsOf(xml, 'row|c|f|v|mergeCell')) {
    const [whole, name = '', written = ''] = tag
    const closes = whole.startsWith('</')
    if (name === 'row' && !closes) {
      const { r, hidden } = attributesOf(written)
      if (hidden === '1' || hidden === 'true') hiddenRows.push(Number(r))
    } else if (name === 'mergeCell' && !closes) {
      const [from, to] = (attributesOf(written)['ref'] ?? '').split(':').map(placeOf)
      if (from !== undefined && to !== undefined) merged.push({ from, to })
    } else if (name === 'c' && !closes) {
      const { r, t = 'n' } = attributesOf(written)
      const at = placeOf(r ?? '')
      if (at === undefined) readable = false
      cell = at === undefined || whole.endsWith('/>') ? undefined : { at, type: t, formula: false }
    } else if (name === 'c' && cell !== undefined) {
      const text = markOf(cell)
      if (text !== undefined) cells.push({ ...cell.at, text })
      cell = undefined
    } else if (name === 'f' && cell !== undefined) cell.formula = true
    else if (name === 'v' && cell !== undefined && !closes) {
      const begins = tag.index + whole.length
      cell.value = whole.endsWith('/>') ? '' : unescaped(xml.slice(begins, xml.indexOf('<', begins)))
    }
  }
  return { cells, hiddenRows, merged, readable }
}

function markOf({ type, formula, value = '' }: { type: string; formula: boolean; value?: string }): string | undefined {
  if (type === 'e') return value === '' ? '#VALUE!' : value
  // A formula whose value is an empty text was computed.
  if (formula && value === '' && type !== 'str') return notComputed
  if (type !== 'd' || value === '') return undefined
  const [day = '', time = ''] = value.split('T')
  return time === '' || time.startsWith('00:00:00') ? day : `${day}T${time.slice(0, 8)}`
}

function placeOf(address: string): CellPlace | undefined {
  const parts = /^([A-Z]{1,3})(\d{1,7})$/.exec(address)
  return parts === null ? undefined : { row: Number(parts[2]), column: columnOf(parts[1] ?? '') }
}

/** The number of a column, from 1, by its letters; 0 for none. */
export function columnOf(letters: string): number {
  return [...letters].reduce((column, letter) => column * 26 + letter.charCodeAt(0) - 64, 0)
}

// In XML no < and no > stands inside a tag but as an entity, so that each tag is looked at once.
function tagsOf(xml: string, names: string): RegExpStringIterator<RegExpExecArray> {
  return xml.matchAll(new RegExp(`</?(?:\\w+:)?(${names})(?=[\\s/>])([^<>]*)>`, 'g'))
}

function attributesOf(written: string): Record<string, string | undefined> {
  const found: Record<string, string | undefined> = {}
  for (const [, name = '', , double, single] of written.matchAll(/([\w:]+)\s*=\s*("([^"]*)"|'([^']*)')/g))
    found[name] = unescaped(double ?? single ?? '')
  return found
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescaped(text: string): string {
  return text.replaceAll(
    /&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(amp|lt|gt|quot|apos));/g,
    (whole, hex, decimal, name) => {
      if (name !== undefined) return entities[name as string] ?? whole
      const point = hex === undefined ? Number(decimal) : Number.parseInt(hex as string, 16)
      return point > 0x10ffff ? whole : String.fromCodePoint(point)
    },
  )
}

function textOf(part: Uint8Array | undefined): string {
  return part === undefined ? '' : strFromU8(part)
}
