import { codeLists } from '../../forms/index.ts'

/** A participant, as an administrator would register it. */
export interface Participant {
  readonly kind: 'administration' | 'rilo' | 'partner'
  readonly name: string
  /** ISO 3166-1 alpha-2; only of administrations. */
  readonly country?: string
  /** The region of the intelligence office of an administration. */
  readonly region?: string
}

const regions: Readonly<Record<string, { readonly name: string; readonly countries: string }>> = {
  'asia-pacific': {
    name: 'Asia and the Pacific',
    countries: 'AU BD CN FJ HK ID IN JP KH KR LK MN MV MY NP NZ PH SG TH VN',
  },
  caribbean: { name: 'Caribbean', countries: 'BS CU DO GY JM TT' },
  'eastern-central-europe': { name: 'Eastern and Central Europe', countries: 'AL BG CZ EE HU LT LV PL RO RS SI SK' },
  'eastern-southern-africa': { name: 'Eastern and Southern Africa', countries: 'ET KE MG MU MZ NA RW TZ UG ZA ZM' },
  'middle-east': { name: 'Middle East', countries: 'BH JO KW OM QA SA' },
  'south-america': { name: 'South America', countries: 'AR BO BR CL CO PE UY' },
  'west-africa': { name: 'West Africa', countries: 'BJ CI GH GM NG SN TG' },
  'western-europe': { name: 'Western Europe', countries: 'AT BE CH DE ES FR GB IE NL PT' },
}

const partners = [
  'CITES Secretariat',
  'Europol',
  'Frontex',
  'INCB',
  'INTERPOL',
  'OLAF',
  'UNODC',
  'UNICRI',
  'Universal Postal Union',
  'WHO',
  'World Organisation for Animal Health',
]

const countryName = (country: string): string => codeLists.countries.codes.get(country)?.en ?? country

/** 79 administrations, 8 regional intelligence offices, 11 partner organizations, in this order. */
export const participants: readonly Participant[] = [
  ...Object.entries(regions).flatMap(([region, { countries }]) =>
    countries.split(' ').map((country): Participant => {
      return { kind: 'administration', name: `Customs of ${countryName(country)}`, country, region }
    }),
  ),
  ...Object.entries(regions).map(([region, { name }]): Participant => ({ kind: 'rilo', name: `RILO ${name}`, region })),
  ...partners.map((name): Participant => ({ kind: 'partner', name })),
]
