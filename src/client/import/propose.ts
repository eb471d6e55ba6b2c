import { comparingForm, codeLists, commodities, mostQuantityDecimals } from '../../forms/index.ts'
import type { Csv, ImportFault } from './csv.ts'
import { isSpanFormat, isTwoYearFormat } from './dates.ts'
import type { NumberStyle } from './numbers.ts'
import { countryCode, disputedNumber, numberStyles, profileColumn, type ColumnProfile } from './profile.ts'
import {
  countsCases,
  codeWords,
  commodityCode,
  commodityColumn,
  commodityIn,
  countryColumn,
  dayColumn,
  fieldWords,
} from './proposal-words.ts'
import { hsColumn, isKeyName, quantityColumn, seizureColumn, unitIn, unitWords } from './proposal-words.ts'
import { readUnknown } from './unknown-file.ts'
import { isSumWord } from './words.ts'

/** Something that a file does not tell. */
export interface MappingQuestion {
  /** A sentence that asks it. */
  readonly text: string
  /** The answers that are possible; any text if it is not given. */
  readonly choices?: readonly string[]
  /** Puts an answer into the mapping; false where it is none. */
  readonly answer: (word: string) => boolean
}

/** A mapping for a file, as far as the file tells it, and what is left to a person. */
export interface MappingProposal {
  /** The mapping as JSON has it; answers change it. */
  readonly mapping: Record<string, unknown>
  /** What was found out and how, a sentence each. */
  readonly notes: readonly string[]
  readonly questions: readonly MappingQuestion[]
}

const mostQuestionsPerColumn = 40
const mostCodeWords = 30

/**
 * Looks at a file and proposes a mapping to seizures: encoding, delimiter, header, how numbers and
 * days are written, the key, and a field for each column whose name or cells tell it. It decides
 * nothing that the file leaves open: this is a question, and the column or the word is left out
 * until it is answered. Answers the fault of a file that is neither CSV nor a workbook.
 */
export async function proposeMapping(file: Uint8Array, name: string): Promise<MappingProposal | ImportFault> {
  const read = await readUnknown(file)
  if ('reason' in read) return read
  const { table, settings, notes } = read
  const columns = table.header.cells.map((column, at) =>
    profileColumn(
      column,
      table.records.map(({ cells }) => cells[at] ?? ''),
    ),
  )
  const draft = new Draft(name, settings, notes, columns)
  draft.decideNumbers()
  draft.decideSums()
  draft.decideKey(table)
  for (const column of columns) draft.place(column)
  draft.finish()
  return draft
}

interface Table {
  readonly column: string
  readonly codes: Record<string, string>
}

class Draft implements MappingProposal {
  readonly mapping: Record<string, unknown>
  readonly notes: string[]
  readonly questions: MappingQuestion[] = []
  readonly #columns: readonly ColumnProfile[]
  readonly #targets: Record<string, unknown> = {}
  readonly #ignored: string[] = []
  readonly #constants: Record<string, string> = {}
  readonly #filled = new Set<string>()
  readonly #tables = new Map<string, Table>()
  readonly #commodity: ColumnProfile | undefined
  readonly #unit: ColumnProfile | undefined
  readonly #days: readonly ColumnProfile[]
  /** The column whose quantities are of the commodity that another column names. */
  #measured: string | undefined

  constructor(
    name: string,
    settings: Record<string, unknown>,
    notes: readonly string[],
    columns: readonly ColumnProfile[],
  ) {
    this.mapping = { mapping: name, form: 'seizure', version: 1, ...settings }
    if (Array.isArray(settings['ignore'])) this.#ignored.push('')
    this.notes = [...notes]
    this.#columns = columns
    this.#unit = columns.find(
      (column) => /^(unit|uom|einheit|unite|unité|unidad)s?$/i.test(column.name) && !column.numeric,
    )
    this.#days = columns.filter(({ dateFormats }) => dateFormats.some((format) => !isSpanFormat(format)))
    this.#commodity = columns.find(
      (column) => !column.numeric && column.dateFormats.length === 0 && commodityColumn.test(column.name),
    )
  }

  decideNumbers(): void {
    const [style, ...others] = numberStyles(this.#columns)
    if (style === undefined) {
      if (this.#columns.some(({ numeric }) => numeric))
        this.notes.push('Numbers are written in several ways: say how under "decimalComma" and "thousands".')
      return
    }
    this.#takeStyle(style)
    for (const other of others) {
      const disputed = disputedNumber(this.#columns, style, other)
      if (disputed === undefined) continue
      this.questions.push({
        text: `Is the mark in ${disputed} a decimal point or comma, or does it group thousands?`,
        choices: ['decimal', 'thousands'],
        answer: (word) => {
          const isGroup = word === 'thousands'
          const chosen = isGroup
            ? [style, other].find((one) => one.thousands !== undefined && disputed.includes(one.thousands))
            : [style, other].find((one) => disputed.includes(one.decimalComma ? ',' : '.'))
          if (chosen === undefined) return false
          this.#takeStyle(chosen)
          return isGroup || word === 'decimal'
        },
      })
      break
    }
  }

  #takeStyle(style: NumberStyle): void {
    for (const name of ['decimalComma', 'thousands', 'grouping', 'scientific']) delete this.mapping[name]
    if (style.decimalComma) this.mapping['decimalComma'] = true
    if (style.thousands !== undefined) this.mapping['thousands'] = style.thousands
    if (style.grouping === 'indian') this.mapping['grouping'] = 'indian'
    if (style.scientific) this.mapping['scientific'] = true
  }

  /** Leaves out rows that add up others, until a person says that they do not. */
  decideSums(): void {
    for (const { name, words, numeric } of this.#columns) {
      const sums = numeric ? [] : words.filter(isSumWord)
      if (sums.length === 0) continue
      const rules = (this.mapping['leaveOut'] ??= []) as { column: string; in: string[] }[]
      const rule = rules.find(({ column }) => column === name) ?? { column: name, in: [] }
      if (!rules.includes(rule)) rules.push(rule)
      for (const word of sums) {
        rule.in.push(word)
        this.#ask(
          `Does the row ${JSON.stringify(word)} of ${name} add up other rows? It is left out if it does.`,
          (answer) => answer === 'yes' || answer === 'no',
          (answer) => answer === 'no' && rule.in.splice(rule.in.indexOf(word), 1),
          ['yes', 'no'],
        )
      }
    }
  }

  decideKey({ records, header }: Csv): void {
    const named = this.#columns.filter(({ name }) => isKeyName(name))
    const single = named.find(({ unique }) => unique)
    if (single !== undefined) {
      this.mapping['key'] = single.name
      this.#put(single, { field: '/reference' })
      return
    }
    const repeated = named.find(({ filled }) => filled === records.length && filled > 0)
    if (repeated !== undefined) {
      this.mapping['key'] = repeated.name
      this.mapping['together'] = true
      this.#put(repeated, { field: '/reference' })
      this.notes.push(`${repeated.name} names several rows: they become one message.`)
      return
    }
    const texts = this.#columns.filter(({ numeric, dateFormats }) => !numeric || dateFormats.length > 0)
    const places = texts.map(({ name }) => header.cells.indexOf(name))
    const rows = new Set(records.map(({ cells }) => JSON.stringify(places.map((at) => cells[at] ?? ''))))
    const isKey = texts.length > 0 && rows.size === records.length
    this.mapping['key'] = isKey ? texts.map(({ name }) => name) : null
    this.notes.push(
      isKey
        ? `No column names a row for ever: the key is made of ${texts.map(({ name }) => name).join(', ')}. Take away what may change.`
        : 'No columns name a row for ever: a row that changes is gone and another one is new.',
    )
  }

  /** Finds the field of a column by its name and its cells. */
  place(column: ColumnProfile): void {
    const { name } = column
    if (this.#filled.has(name)) return
    if (column === this.#unit || column === this.#commodity) return
    const isDay = this.#days.includes(column)
    if (isDay && (this.#days.length > 1 || !dayColumn.test(name.replaceAll('_', ' ')))) return this.#placeOneOfDays()
    if (column.filled === 0) return this.#ignore(name, 'it has no cells')
    if (column.numeric && countsCases(name)) return this.#ignore(name, 'it counts seizures and no goods')
    if (column.numeric && this.#isQuantity(column)) return this.#placeQuantity(column)
    if (hsColumn.test(name)) return
    for (const [words, field, list] of codeWords) {
      if (!words.test(name.replaceAll('_', ' ')) || this.#filled.has(field) || column.words.length > mostCodeWords)
        continue
      this.#filled.add(field)
      const labels = new Map([...codeLists[list].codes].map(([code, { en }]) => [comparingForm(en), code]))
      const { codes } = this.#codesOf(
        column,
        (word) => labels.get(comparingForm(word)),
        `code of ${field}`,
        (word) => codeLists[list].codes.has(word),
      )
      return this.#put(column, { field, codes, ...missingOf(column) })
    }
    for (const [words, field, fits] of fieldWords) {
      if (!words.test(name.replaceAll('_', ' ')) || !fits(column) || this.#filled.has(field)) continue
      if (this.#isWeaker(column, words, field)) break
      return this.#placeField(column, field)
    }
    if (column.countries !== undefined && countryColumn.test(name)) this.#askWhichCountry(column)
    if (/date|datum|fecha/i.test(name) && column.dateFormats.length === 0)
      return this.#ignore(name, `no one format fits its cells, such as ${column.words.slice(0, 2).join(' and ')}`)
    this.#ignore(name, 'nothing tells what it is')
  }

  // Of several columns one alone is the place: the narrower one.
  #isWeaker(column: ColumnProfile, words: RegExp, field: string): boolean {
    const [narrow] = fieldWords.find(([, other]) => other === field) ?? []
    if (narrow === undefined || narrow === words) return false
    return this.#columns.some((other) => other !== column && other.filled > 0 && narrow.test(other.name))
  }

  #askWhichCountry(column: ColumnProfile): void {
    const fields = ['origin', 'departure', 'transit', 'destination', 'country']
    this.#ask(
      `What are the countries of ${column.name} to a seizure?`,
      (word) => fields.includes(word) && !this.#filled.has(`/${word}`),
      (word) => this.#placeField(column, `/${word}`),
      fields,
    )
  }

  /** Several columns hold days: a person says which one is that of the seizure. */
  #placeOneOfDays(): void {
    if (this.#filled.has('/date')) return
    this.#filled.add('/date')
    const names = this.#days.map(({ name }) => name)
    const [seizure, ...others] = this.#days.filter(({ name }) => seizureColumn.test(name))
    const isNamed = seizure !== undefined && others.length === 0
    for (const name of names)
      if (!isNamed || name !== seizure.name) this.#ignore(name, 'it may be another day than that of the seizure')
    if (isNamed) return this.#placeField(seizure, '/date')
    this.#ask(
      'Which column has the day of the seizure?',
      (word) => names.includes(word),
      (word) => {
        const column = this.#days.find(({ name }) => name === word)
        if (column !== undefined) this.#placeField(column, '/date')
      },
      names,
    )
  }

  #isQuantity({ name, dateFormats }: ColumnProfile): boolean {
    if (dateFormats.length > 0 && /year|date|month/i.test(name)) return false
    return quantityColumn.test(name) || unitIn(name) !== undefined || commodityIn(name) !== undefined
  }

  #placeQuantity(column: ColumnProfile): void {
    const { name } = column
    const unit = unitIn(name)
    const category = commodityIn(name)
    const goods: Record<string, unknown> = {}
    const before = this.#measured
    const isShared = this.#commodity !== undefined && category === undefined
    if (isShared) this.#measured ??= name
    if (this.#commodity !== undefined && category === undefined)
      goods['category'] = this.#commoditySource(this.#commodity)
    else if (category !== undefined) goods['category'] = category
    if (unit !== undefined) goods['unit'] = unit
    else if (this.#unit !== undefined) {
      goods['unit'] = this.#codesOf(
        this.#unit,
        (word) => unitWords[word.toLowerCase()],
        'unit',
        (word) => codeLists.units.codes.has(word),
      )
      this.#askEmptyUnit(this.#unit)
    }
    const hs = this.#columns.find((one) => hsColumn.test(one.name))
    if (hs !== undefined) {
      goods['hs'] = { column: hs.name, ...missingOf(hs) }
    }
    const target: Record<string, unknown> = { goods, ...missingOf(column) }
    if (column.mostDecimals > mostQuantityDecimals)
      this.#ask(
        `${name} has numbers of ${column.mostDecimals} decimals, and a message takes ${mostQuantityDecimals}: are they to be rounded?`,
        (word) => word === 'yes' || word === 'no',
        (word) => {
          if (word === 'yes') target['decimals'] = mostQuantityDecimals
        },
        ['yes', 'no'],
      )
    const settle = () => {
      if (goods['category'] === undefined || goods['unit'] === undefined) return
      this.#put(column, target)
      if (hs !== undefined) this.#use(hs)
    }
    if (goods['category'] === undefined)
      this.#ask(
        `Which commodity does ${name} measure (its path, such as drugs/cocaine)?`,
        (word) => commodities.has(word),
        (word) => ((goods['category'] = word), settle()),
      )
    if (goods['unit'] === undefined)
      this.#ask(
        `In which unit is ${name} (UN/ECE Recommendation 20, such as KGM, LBR or H87)?`,
        (word) => codeLists.units.codes.has(word),
        (word) => ((goods['unit'] = word), settle()),
      )
    if (isShared && before !== undefined) {
      this.#ask(
        `Does ${name} count or weigh other goods than ${before}, or these goods once more?`,
        (word) => word === 'other' || word === 'once more',
        (word) => word === 'other' && settle(),
        ['other', 'once more'],
      )
      return this.#ignore(name, `${before} has the quantities of these goods`)
    }
    settle()
    if (!this.#filled.has(name)) this.#ignore(name, 'its commodity or its unit is not known yet')
  }

  #askEmptyUnit({ name, blank, missing }: ColumnProfile): void {
    const table = this.#tables.get(name)
    if (table === undefined || blank + missing.length === 0 || this.#filled.has(`${name} empty`)) return
    this.#filled.add(`${name} empty`)
    this.#ask(
      `Which unit does a quantity have whose ${name} is empty?`,
      (word) => codeLists.units.codes.has(word),
      (word) => (table.codes[''] = word),
    )
  }

  #placeField(column: ColumnProfile, field: string): void {
    const { name, countries, dateFormats } = column
    this.#filled.add(field)
    if (field === '/date') {
      const [format = 'YYYY-MM-DD', other] = dateFormats
      if (isTwoYearFormat(format)) return this.#placeFiscalYear(column, format)
      const target: Record<string, unknown> = {
        field,
        ...(format === 'YYYY-MM-DD' ? {} : { dateFormat: format }),
        ...missingOf(column),
      }
      const swapped = format.replace(/^D(.)M/, 'M$1D')
      if (other !== undefined && swapped !== format && dateFormats.includes(swapped))
        this.#ask(
          `Does ${name} begin with the day or with the month (${column.words[0] ?? ''})?`,
          (word) => word === 'day' || word === 'month',
          (word) => (target['dateFormat'] = word === 'day' ? format : swapped),
          ['day', 'month'],
        )
      return this.#put(column, target)
    }
    if (countries === 'lists') return this.#put(column, { field, separator: column.separator })
    if (countries !== undefined) {
      const isCountry = (word: string) => codeLists.countries.codes.has(word)
      const source = countries === 'names' && this.#codesOf(column, countryCode, 'code of the country', isCountry)
      const target = { field, ...(source === false ? {} : { codes: source.codes }), ...missingOf(column) }
      if (column.words.includes('NA'))
        this.#ask(
          `Does NA in ${name} mean Namibia, or that nothing was reported?`,
          (word) => word === 'namibia' || word === 'nothing',
          (word) => (target.missing = word === 'nothing' ? ['NA'] : []),
          ['namibia', 'nothing'],
        )
      return this.#put(column, target)
    }
    if (field === '/exactPosition/latitude' || field === '/exactPosition/longitude')
      return this.#put(column, [
        { field: field.replace('exactPosition', 'place'), decimals: 2, ...missingOf(column) },
        { field, ...missingOf(column) },
      ])
    this.#put(column, { field, ...missingOf(column) })
  }

  #placeFiscalYear(column: ColumnProfile, dateFormat: string): void {
    this.#ignore(column.name, 'the month is not known with which such a year begins')
    this.#ask(
      `With which month does a year of ${column.name} begin (from 2 to 12, such as 4 for April)?`,
      (word) => /^(?:[2-9]|1[0-2])$/.test(word),
      (word) => this.#put(column, { field: '/date', dateFormat, fiscalYearBegins: Number(word), ...missingOf(column) }),
    )
  }

  #commoditySource(column: ColumnProfile): Table {
    return this.#codesOf(column, commodityCode, 'commodity', (word) => commodities.has(word))
  }

  /**
   * A table of the words of a column; a word that is not known is asked for and is in no table
   * before.
   */
  #codesOf(
    column: ColumnProfile,
    find: (word: string) => string | undefined,
    what: string,
    isCode: (word: string) => boolean,
  ): Table {
    const known = this.#tables.get(column.name)
    if (known !== undefined) return known
    const codes: Record<string, string> = {}
    this.#filled.add(column.name)
    for (const word of column.words) {
      const code = isCode(word) ? word : find(word)
      if (code !== undefined) codes[word] = code
      else if (this.questions.length < mostQuestionsPerColumn)
        this.#ask(
          `Which ${what} is ${JSON.stringify(word)} of ${column.name}?`,
          isCode,
          (answer) => (codes[word] = answer),
        )
    }
    const table = { column: column.name, codes, ...missingOf(column) }
    this.#tables.set(column.name, table)
    return table
  }

  #ask(
    text: string,
    isAnswer: (word: string) => boolean,
    take: (word: string) => void,
    choices?: readonly string[],
  ): void {
    this.questions.push({
      text,
      ...(choices === undefined ? {} : { choices }),
      answer: (word) => {
        if (!isAnswer(word)) return false
        take(word)
        return true
      },
    })
  }

  #put(column: ColumnProfile, target: unknown): void {
    this.#targets[column.name] = target
    this.#use(column)
  }

  #use({ name }: ColumnProfile): void {
    this.#filled.add(name)
    const at = this.#ignored.indexOf(name)
    if (at >= 0) this.#ignored.splice(at, 1)
  }

  #ignore(name: string, why: string): void {
    this.#ignored.push(name)
    this.notes.push(`${name} is left out: ${why}.`)
  }

  finish(): void {
    if (this.#commodity !== undefined && !this.#filled.has(this.#commodity.name))
      this.mapping['fields'] = { '/items': [{ category: this.#commoditySource(this.#commodity) }] }
    if (this.#unit !== undefined && !this.#filled.has(this.#unit.name))
      this.#ignore(this.#unit.name, 'no column holds a quantity')
    for (const { name } of this.#columns)
      if (hsColumn.test(name) && !this.#filled.has(name))
        this.#ignore(name, 'no column holds a quantity whose commodity and unit are known')
    if (!this.#filled.has('/country'))
      this.#ask(
        'Which country reports these seizures (ISO 3166-1 alpha-2, such as KE)?',
        (word) => codeLists.countries.codes.has(word),
        (word) => (this.#constants['/country'] = word),
      )
    if (!this.#filled.has('/date'))
      this.#ask(
        'On which day, or in which year, were these seizures (such as 2026 or 2026-01-31)?',
        (word) => /^\d{4}(-\d{2}-\d{2})?$/.test(word),
        (word) => {
          this.#constants['/date'] = word.length === 4 ? `${word}-01-01` : word
          if (word.length === 4) this.#constants['/dateTo'] = `${word}-12-31`
        },
      )
    this.mapping['columns'] = this.#targets
    this.mapping['ignore'] = this.#ignored
    this.mapping['constants'] = this.#constants
  }
}

function missingOf({ missing }: ColumnProfile): { missing?: readonly string[] } {
  return missing.length === 0 ? {} : { missing }
}
