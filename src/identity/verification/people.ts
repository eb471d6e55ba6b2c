import { microsecondText, type Details, type Findings } from '../../log/index.ts'
import { comparingForm } from '../../forms/index.ts'
import type { Leaf } from '../../protocol/index.ts'
import { differences } from './directory.ts'
import type { RawOrganization, RawPerson } from './store.ts'

type KnownColumns<Row> = { -readonly [column in Exclude<keyof Row, 'id'>]?: Row[column] }

/** What the directory has said so far of organizations and people; grows with their number. */
export class PeopleFold {
  readonly #organizations = new Map<string, KnownColumns<RawOrganization>>()
  readonly #people = new Map<string, KnownColumns<RawPerson>>()
  readonly #forms = new Set<string>()

  follow({ kind, subject, at }: Leaf, details: Details): void {
    const text = (name: string) => {
      const value = details?.[name]
      return typeof value === 'string' ? value : null
    }
    if (kind === 'organization.registered') {
      const name = text('name') ?? ''
      this.#organizations.set(subject, {
        kind: text('kind') ?? '',
        name,
        name_form: this.#formOf(name),
        country: text('country'),
        region: text('region'),
        ended_at: null,
      })
    }
    if ((kind === 'person.registered' || kind === 'person.invited') && !this.#people.has(subject)) {
      const organization = text('organization') ?? ''
      const name = text('name')
      this.#people.set(subject, {
        organization_id: organization,
        // Entries of before 2026-11-22 do not hold the name.
        ...(name === null ? {} : { name }),
        ended_at: null,
        asleep_at: null,
        woken_at: null,
      })
    }
    const organization = this.#organizations.get(subject)
    if (organization && kind === 'organization.updated' && details?.['ended'] === true)
      organization.ended_at = microsecondText(at)
    const person = this.#people.get(subject)
    if (!person) return
    if (kind === 'person.ended') person.ended_at = microsecondText(at)
    if (kind === 'person.slept') person.asleep_at = microsecondText(at)
    if (kind === 'person.woken') Object.assign(person, { asleep_at: null, woken_at: microsecondText(at) })
  }

  /** The form that a row has: the first organization of a form alone has it (migration 0027). */
  #formOf(name: string): string | null {
    const form = comparingForm(name)
    if (this.#forms.has(form)) return null
    this.#forms.add(form)
    return form
  }

  organization(row: RawOrganization): Findings {
    return compare(this.#organizations, row)
  }

  person(row: RawPerson): Findings {
    return compare(this.#people, row)
  }

  /** Answers the organizations and people that have an entry and no row, a sentence each. */
  missing(): string[] {
    return [
      ...[...this.#organizations.keys()].map((id) => `organization ${id}: it has entries and no row`),
      ...[...this.#people.keys()].map((id) => `person ${id}: they have entries and no row`),
    ]
  }
}

function compare<Row extends { readonly id: string }>(known: Map<string, KnownColumns<Row>>, row: Row): Findings {
  const expected = known.get(row.id)
  if (!expected) return ['no entry of the directory made it']
  known.delete(row.id)
  return differences(row, expected as Partial<Row>)
}
