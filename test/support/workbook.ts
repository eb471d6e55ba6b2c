import { strToU8, zipSync } from 'fflate'

/**
 * A cell of a workbook: a text, a number as the workbook writes it, a day as a serial number, or
 * none.
 */
export type WorkbookCell = string | { readonly number: string } | { readonly day: number } | null

/** The bytes of a workbook (ECMA-376) with one sheet. */
export function workbook(
  rows: readonly (readonly WorkbookCell[])[],
  sheet = 'Data',
  more: Record<string, string> = {},
): Uint8Array {
  const name = (at: number) => (at < 26 ? String.fromCharCode(65 + at) : `A${String.fromCharCode(65 + at - 26)}`)
  const cellXml = (cell: WorkbookCell, address: string) => {
    if (cell === null) return ''
    if (typeof cell === 'string') return `<c r="${address}" t="inlineStr"><is><t>${escaped(cell)}</t></is></c>`
    return 'day' in cell
      ? `<c r="${address}" s="1"><v>${cell.day}</v></c>`
      : `<c r="${address}"><v>${cell.number}</v></c>`
  }
  const body = rows
    .map(
      (cells, n) => `<row r="${n + 1}">${cells.map((cell, at) => cellXml(cell, `${name(at)}${n + 1}`)).join('')}</row>`,
    )
    .join('')
  return archive({ 'xl/worksheets/sheet1.xml': sheetXml(body), ...more }, sheet)
}

export function sheetXml(body: string): string {
  return `${head}<worksheet xmlns="${main}"><sheetData>${body}</sheetData></worksheet>`
}

const head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
const main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const relations = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'

function archive(parts: Readonly<Record<string, string>>, sheet: string): Uint8Array {
  const all: Record<string, string> = {
    '[Content_Types].xml': `${head}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
    'xl/workbook.xml': `${head}<workbook xmlns="${main}" xmlns:r="${relations}"><sheets><sheet name="${sheet}" sheetId="1" r:id="rId1"/></sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': `${head}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="${relations}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="${relations}/styles" Target="styles.xml"/></Relationships>`,
    'xl/styles.xml': `${head}<styleSheet xmlns="${main}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>`,
    ...parts,
  }
  return zipSync(Object.fromEntries(Object.entries(all).map(([path, xml]) => [path, strToU8(xml)])))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
