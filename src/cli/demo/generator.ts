import { type FormId, multiplyDecimals, type Relation } from '../../forms/index.ts'
import { type Participant, participants } from './participants.ts'
import { type Chance, divide, seededChance } from './random.ts'
import { caution, containerNumber, covers, narrative, note, plate, suspicion } from './words.ts'

/**
 * The published figures of Operation GOALS, as the order for this demonstration states them: 79
 * administrations, 8 regional offices, 11 partner organizations; 937 seizures, 6.78 t, of them
 * 2.325 t synthetic drugs. They are a constant of their own, so that the figures of readers and
 * server are compared with numbers that neither of them made.
 */
export const published = {
  seizures: 937,
  drugsKg: '6780',
  syntheticDrugsKg: '2325',
} as const

/** A planned message, without ids, times and keys, which belong to its sender. */
export interface PlannedMessage {
  /** The index of the sender in the list of organizations. */
  readonly sender: number
  readonly form: FormId
  readonly version: number
  readonly fields: Readonly<Record<string, unknown>>
  readonly subject?: string
  readonly precedence: 'routine' | 'priority' | 'urgent'
  /** The index in the plan of the message that opens the thread; its own index, if it opens one. */
  readonly thread: number
  /** The reference to an earlier message, by its index in the plan. */
  readonly refersTo?: { readonly message: number; readonly as: Relation }
  /** The indexes of the addressees of a warning in the list of organizations. */
  readonly addressees?: readonly number[]
}

export interface Plan {
  readonly organizations: readonly Participant[]
  readonly messages: readonly PlannedMessage[]
  /**
   * An organization that neither sends nor is addressed from that message on, so that it may be
   * removed there.
   */
  readonly departure: { readonly organization: number; readonly before: number }
}

export interface PlanOptions {
  readonly seed: number
  /** The first day of the operation, YYYY-MM-DD. */
  readonly firstDay?: string
  readonly days?: number
  readonly warnings?: number
  /** The number of seizures that are first reported with a wrong quantity and then corrected. */
  readonly corrections?: number
  /** The number of seizures that are reported twice, with the second report withdrawn. */
  readonly duplicates?: number
}

/** A draft of the plan. `at` is its time, between 0 and 1; references are to drafts. */
interface Draft extends Omit<PlannedMessage, 'thread' | 'refersTo'> {
  readonly at: number
  readonly refers?: { readonly to: Draft; readonly as: Relation }
}

interface Setting {
  readonly chance: Chance
  readonly day: (at: number) => string
  readonly administrations: readonly number[]
  readonly leaver: number
}

const synthetic = [
  'methamphetamine',
  'methamphetamine',
  'amphetamine',
  'captagon',
  'ketamine',
  'mdma',
  'synthetic-cathinones',
  'fentanyl',
  'tramadol',
  'other',
].map((word) => `drugs/synthetic/${word}`)
const otherDrugs = [
  'cocaine/powder',
  'cocaine/powder',
  'cocaine/base',
  'cannabis/herb',
  'cannabis/herb',
  'cannabis/resin',
  'opioids/heroin',
  'opioids/opium',
  'khat/leaves',
  'other',
].map((word) => `drugs/${word}`)

/**
 * Plans an operation of the size of the published one: the order of its messages, their senders and
 * their content. The same options always give one plan. The plan has messages and no figures.
 */
export function planOperation(options: PlanOptions): Plan {
  const { seed, firstDay = '2026-09-07', days = 14, warnings = 60, corrections = 12, duplicates = 5 } = options
  const chance = seededChance(seed)
  const indexes = participants.keys().toArray()
  const setting: Setting = {
    chance,
    day: (at) => dayAfter(firstDay, Math.floor(at * days)),
    administrations: indexes.filter((n) => participants[n]?.kind === 'administration'),
    leaver: participants.length - 1,
  }
  const loads = loadsOf(chance)
  const drafts: Draft[] = []
  const seizures: Draft[] = []
  for (let n = 0; n < warnings; n += 1) {
    const warning = warn(setting, n === 0)
    drafts.push(warning)
    for (const addressee of warning.addressees ?? []) {
      const answer = answerTo(warning, addressee, setting)
      drafts.push(answer)
      if (answer.fields['outcome'] !== 'seized') continue
      const load = loads.pop()
      if (load !== undefined) seizures.push(seize(load, addressee, setting, answer))
    }
  }
  for (const load of loads) seizures.push(seize(load, chance.pick(setting.administrations), setting))
  const wrong = new Set(chance.some(seizures.keys().toArray(), corrections))
  for (const [n, seizure] of seizures.entries()) {
    if (wrong.has(n)) drafts.push(...reportedWrongly(seizure))
    else drafts.push(seizure)
  }
  const doubled = chance.some(
    seizures.filter((_, n) => !wrong.has(n)),
    duplicates,
  )
  for (const seizure of doubled) drafts.push(...reportedTwice(seizure, chance))
  return arrange(drafts, setting.leaver)
}

interface Load {
  readonly category: string
  readonly grams: number
}

/** The goods of each seizure, one or two kinds. Together they have the published weight. */
function loadsOf(chance: Chance): Load[][] {
  const syntheticGrams = Number(published.syntheticDrugsKg) * 1000
  const otherGrams = Number(published.drugsKg) * 1000 - syntheticGrams
  const second = 80
  const ofSynthetics = Math.round(published.seizures * 0.38)
  const loads = [
    ...divide(syntheticGrams, ofSynthetics, chance).map((grams) => [{ category: chance.pick(synthetic), grams }]),
    ...divide(otherGrams, published.seizures - ofSynthetics + second, chance).map((grams) => [
      { category: chance.pick(otherDrugs), grams },
    ]),
  ]
  for (const load of loads.splice(published.seizures)) loads[chance.below(ofSynthetics)]?.push(...load)
  for (let n = loads.length - 1; n > 0; n -= 1) {
    const other = chance.below(n + 1)
    const [a, b] = [loads[n], loads[other]]
    if (a !== undefined && b !== undefined) [loads[n], loads[other]] = [b, a]
  }
  return loads
}

function warn({ chance, day, administrations, leaver }: Setting, first: boolean): Draft {
  // An organization that leaves midway sends one message, early: it stays in the log after the
  // organization has left.
  const at = chance.fraction() * (first ? 0.25 : 0.85)
  const senders = participants
    .keys()
    .toArray()
    .filter((n) => n !== leaver)
  const sender = first ? leaver : chance.pick(chance.percent(75) ? administrations : senders)
  const others = administrations.filter((n) => n !== sender)
  const addressees = chance.some(others, 1 + chance.below(4))
  const destination = addressees.flatMap((n) => participants[n]?.country ?? [])
  const container = chance.percent(60)
  const country =
    participants[sender]?.country ?? chance.pick(administrations.flatMap((n) => participants[n]?.country ?? []))
  const cover = chance.pick(covers)
  const fields = {
    country,
    suspicion: suspicion(cover, chance),
    indicators: chance.some(
      [
        'first-time-trader',
        'unusual-route',
        'weight-mismatch',
        'late-change',
        'cash-payment',
        'virtual-address',
        'repeat-pattern',
      ],
      1 + chance.below(3),
    ),
    categories: [chance.percent(60) ? 'drugs/synthetic' : 'drugs/cocaine'],
    lookFor: [
      container
        ? { kind: 'container', identifier: containerNumber(chance) }
        : { kind: 'vehicle', identifier: plate(chance), note: `Lorry loaded with ${cover}` },
    ],
    mode: container ? '1' : '3',
    departure: [country],
    destination,
    eta: day(Math.min(at + 0.1, 0.999)),
    actions: chance.some(['check-documents', 'scan', 'open', 'inform'], 2),
    ...(chance.percent(40) ? { doNot: caution(chance) } : {}),
    language: 'en',
  }
  const precedence = chance.percent(25) ? 'urgent' : chance.percent(50) ? 'priority' : 'routine'
  const subject = `${container ? 'Container' : 'Lorry'} of ${cover} for ${destination.join(', ')}`
  return { at, sender, form: 'warning', version: 1, fields, subject, precedence, addressees }
}

function answerTo(warning: Draft, sender: number, { chance, day }: Setting): Draft {
  const at = warning.at + (1 - warning.at) * chance.fraction() * 0.4
  const outcome = chance.pick([
    'not-arrived',
    'already-cleared',
    'documents-checked',
    'scanned',
    'opened',
    'nothing-found',
    'seized',
    'seized',
  ])
  const fields = {
    country: participants[sender]?.country,
    outcome,
    date: day(at),
    ...(outcome === 'already-cleared' ? { reason: 'too-late' } : {}),
    indicatorUseful: outcome === 'seized' ? 'yes' : chance.pick(['no', 'unknown']),
    note: note(chance),
    language: 'en',
  }
  const { precedence } = warning
  return { at, sender, form: 'feedback', version: 1, fields, precedence, refers: { to: warning, as: 'feedback' } }
}

function seize(loads: readonly Load[], sender: number, { chance, day }: Setting, after?: Draft): Draft {
  const at = after === undefined ? chance.fraction() : after.at + (1 - after.at) * chance.fraction() * 0.1
  const means = chance.pick(['sea', 'road', 'air', 'mail'] as const)
  const country = participants[sender]?.country ?? ''
  const fields = {
    country,
    date: day(at),
    placeType: { sea: 'seaport', road: 'land-border', air: 'airport', mail: 'mail-centre' }[means],
    direction: chance.pick(['import', 'import', 'transit', 'export']),
    mode: { sea: '1', road: '3', air: '4', mail: '5' }[means],
    departure: [
      chance.pick(participants.flatMap((participant) => participant.country ?? []).filter((c) => c !== country)),
    ],
    destination: [country],
    detectionMethod:
      after === undefined ? chance.pick(['risk-analysis', 'scan', 'dog', 'profiling', 'physical-check']) : 'warning',
    concealment: { sea: 'cover-load', road: 'hidden-compartment', air: 'luggage', mail: 'parcel' }[means],
    items: loads.map((load) => goods(load, chance)),
    legalStatus: chance.pick(['seized', 'seized', 'under-investigation']),
    persons: chance.below(3),
    ...(means === 'sea' ? { conveyance: { kind: 'container', containers: [containerNumber(chance)] } } : {}),
    ...(means === 'road' ? { conveyance: { kind: 'vehicle', registration: plate(chance) } } : {}),
    reference: `${country}/2026/${1000 + chance.below(9000)}`,
    narrative: narrative(chance),
    language: 'en',
  }
  const subject = `Seizure in ${country}: ${loads.map(({ category }) => category.split('/').slice(1).join(', ')).join(' and ')}`
  const refers = after?.refers === undefined ? {} : { refers: { to: after.refers.to, as: 'reply' as const } }
  return {
    at,
    sender,
    form: 'seizure',
    version: 1,
    fields,
    subject,
    precedence: chance.percent(10) ? 'priority' : 'routine',
    ...refers,
  }
}

function goods({ category, grams }: Load, chance: Chance): object {
  const inGrams = grams < 1000 || (grams < 5000 && chance.percent(30))
  const amount = inGrams ? { quantity: grams.toString(), unit: 'GRM' } : { quantity: kilograms(grams), unit: 'KGM' }
  return { category, ...amount, estimated: false, packaging: chance.pick(['bags', 'bricks', 'bottles', 'cans']) }
}

function kilograms(grams: number): string {
  const text = grams.toString().padStart(4, '0')
  return `${text.slice(0, -3)}.${text.slice(-3)}`.replace(/\.?0+$/, '')
}

/** A report with a zero too many, and its correction. */
function reportedWrongly(seizure: Draft): Draft[] {
  const items = (seizure.fields['items'] as { quantity: string }[]).map((item) => {
    return { ...item, quantity: multiplyDecimals(item.quantity, '10') }
  })
  const { refers: _, ...right } = seizure
  const wrong: Draft = { ...seizure, fields: { ...seizure.fields, items } }
  return [wrong, { ...right, at: later(seizure), refers: { to: wrong, as: 'correction' } }]
}

/** Two reports by two officers of one administration; the second is withdrawn. */
function reportedTwice(seizure: Draft, chance: Chance): Draft[] {
  const { refers: _, ...alone } = seizure
  const again: Draft = { ...alone, at: later(seizure), fields: { ...seizure.fields, narrative: narrative(chance) } }
  const fields = { text: `Already reported under ${String(seizure.fields['reference'])}.`, language: 'en' }
  const end: Draft = {
    at: later(again),
    sender: seizure.sender,
    form: 'text',
    version: 1,
    fields,
    precedence: 'routine',
    refers: { to: again, as: 'withdrawal' },
  }
  return [again, end]
}

function later({ at }: Draft): number {
  return at + (1 - at) * 0.05
}

/**
 * Puts the drafts in order, and indexes in place of references. A draft never stands before the
 * draft to which it refers.
 */
function arrange(drafts: readonly Draft[], leaver: number): Plan {
  const ordered = drafts.toSorted((a, b) => a.at - b.at)
  const followed = new Map(ordered.map((draft, n) => [draft, n]))
  const placeOf = (draft: Draft): number => {
    const n = followed.get(draft)
    if (n === undefined) throw new Error('a message refers to one that is not in the plan')
    return n
  }
  const opener = (draft: Draft): number => (draft.refers === undefined ? placeOf(draft) : opener(draft.refers.to))
  const messages = ordered.map((draft): PlannedMessage => {
    const { at: _, refers, ...message } = draft
    const refersTo = refers === undefined ? {} : { refersTo: { message: placeOf(refers.to), as: refers.as } }
    return { ...message, thread: opener(draft), ...refersTo }
  })
  return {
    organizations: participants,
    messages,
    departure: { organization: leaver, before: Math.floor(messages.length / 2) },
  }
}

function dayAfter(first: string, days: number): string {
  return new Date(Date.parse(`${first}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)
}
