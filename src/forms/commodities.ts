import type { Label } from './labels.ts'

/** A node of the commodity tree. Its code is its path, so that roll-up is a matter of prefixes. */
export interface Commodity {
  readonly code: string
  readonly label: Label
  readonly level: number
  /** Whether the commodity is the sum of its siblings. Figures never add a sum to its parts. */
  readonly sum: boolean
}

interface Branch {
  readonly en: string
  readonly sum?: true
  readonly parts?: Parts
}

type Parts = { readonly [word: string]: Branch | string }

const animal = (live: string, dead: string, more: Parts): Parts => ({
  live,
  carcass: dead,
  whole: { en: 'Whole specimens, live and dead together', sum: true },
  ...more,
})

const tree: Parts = {
  drugs: {
    en: 'Drugs',
    parts: {
      cannabis: { en: 'Cannabis', parts: { herb: 'Herb', resin: 'Resin', oil: 'Oil', plants: 'Plants' } },
      cocaine: {
        en: 'Cocaine',
        parts: { powder: 'Powder', base: 'Base and crack', leaf: 'Coca leaf', liquid: 'Liquid' },
      },
      opioids: {
        en: 'Opiates',
        parts: { heroin: 'Heroin', opium: 'Opium', morphine: 'Morphine', poppy: 'Poppy straw' },
      },
      synthetic: {
        en: 'Synthetic drugs',
        parts: {
          amphetamine: 'Amphetamine',
          captagon: 'Captagon tablets',
          fentanyl: 'Fentanyl and its analogues',
          ghb: 'GHB and GBL',
          ketamine: 'Ketamine',
          lsd: 'LSD',
          mdma: 'MDMA',
          methamphetamine: 'Methamphetamine',
          nitazenes: 'Nitazenes',
          'synthetic-cannabinoids': 'Synthetic cannabinoids',
          'synthetic-cathinones': 'Synthetic cathinones',
          tramadol: 'Tramadol',
          other: 'Other synthetic drugs',
        },
      },
      khat: { en: 'Khat', parts: { leaves: 'Leaves', dried: 'Dried' } },
      other: { en: 'Other drugs' },
    },
  },
  precursors: {
    en: 'Precursors',
    parts: {
      'table-one': 'Table I of 1988',
      'table-two': 'Table II of 1988',
      designer: 'Designer precursors',
      equipment: 'Equipment',
    },
  },
  medicines: {
    en: 'Medicines',
    parts: {
      human: 'For people',
      veterinary: 'For animals',
      doping: 'Doping substances',
      counterfeit: 'Falsified medicines',
      other: 'Other medicines',
    },
  },
  'medical-devices': {
    en: 'Medical devices',
    parts: {
      masks: 'Masks and protective equipment',
      tests: 'Tests',
      syringes: 'Syringes and needles',
      implants: 'Implants',
      other: 'Other devices',
    },
  },
  tobacco: {
    en: 'Tobacco',
    parts: {
      cigarettes: 'Cigarettes',
      cigars: 'Cigars',
      'water-pipe': 'Water pipe tobacco',
      raw: 'Raw tobacco',
      cut: 'Cut tobacco',
      heated: 'Heated tobacco',
      'e-liquids': 'Liquids for electronic cigarettes',
      other: 'Other tobacco',
    },
  },
  alcohol: {
    en: 'Alcohol',
    parts: { beer: 'Beer', wine: 'Wine', spirits: 'Spirits', ethanol: 'Ethanol', other: 'Other alcohol' },
  },
  excise: {
    en: 'Fuels and other excise goods',
    parts: {
      petrol: 'Petrol',
      diesel: 'Diesel',
      'designer-fuel': 'Designer fuel and lubricants',
      gas: 'Gas',
      sugar: 'Sugared drinks',
      other: 'Other excise goods',
    },
  },
  counterfeits: {
    en: 'Counterfeit goods',
    parts: {
      accessories: 'Bags, watches and accessories',
      clothing: 'Clothing',
      footwear: 'Footwear',
      cosmetics: 'Cosmetics and perfumes',
      electronics: 'Electronics',
      'vehicle-parts': 'Vehicle parts',
      toys: 'Toys and games',
      household: 'Household goods',
      labels: 'Labels and packaging',
      other: 'Other counterfeits',
    },
  },
  wildlife: {
    en: 'Wildlife',
    parts: {
      pangolin: {
        en: 'Pangolins (CITES I)',
        parts: animal('Live', 'Carcasses', { scales: 'Scales', meat: 'Meat', other: 'Other parts' }),
      },
      elephant: {
        en: 'Elephants (CITES I and II)',
        parts: animal('Live', 'Carcasses', { tusks: 'Tusks', 'worked-ivory': 'Worked ivory', other: 'Other parts' }),
      },
      rhinoceros: {
        en: 'Rhinoceroses (CITES I and II)',
        parts: animal('Live', 'Carcasses', { horns: 'Horns', 'worked-horn': 'Worked horn', other: 'Other parts' }),
      },
      'big-cats': {
        en: 'Big cats (CITES I and II)',
        parts: animal('Live', 'Carcasses', { skins: 'Skins', bones: 'Bones', other: 'Other parts' }),
      },
      primates: {
        en: 'Primates (CITES I and II)',
        parts: animal('Live', 'Carcasses', { meat: 'Meat', other: 'Other parts' }),
      },
      mammals: { en: 'Other mammals', parts: animal('Live', 'Carcasses', { meat: 'Meat', other: 'Other parts' }) },
      birds: {
        en: 'Birds',
        parts: animal('Live', 'Carcasses', { eggs: 'Eggs', feathers: 'Feathers', other: 'Other parts' }),
      },
      turtles: {
        en: 'Turtles and tortoises',
        parts: animal('Live', 'Carcasses', { shells: 'Shells', eggs: 'Eggs', other: 'Other parts' }),
      },
      reptiles: {
        en: 'Other reptiles',
        parts: animal('Live', 'Carcasses', { skins: 'Skins', meat: 'Meat', other: 'Other parts' }),
      },
      eels: { en: 'Eels (CITES II)', parts: animal('Live glass eels', 'Dead', { meat: 'Meat' }) },
      sharks: { en: 'Sharks and rays', parts: animal('Live', 'Carcasses', { fins: 'Fins', other: 'Other parts' }) },
      marine: {
        en: 'Other marine animals',
        parts: animal('Live', 'Dead', {
          seahorses: 'Seahorses, dried',
          coral: 'Coral',
          shells: 'Shells',
          other: 'Other parts',
        }),
      },
      insects: { en: 'Insects and arachnids', parts: animal('Live', 'Dead', { other: 'Other parts' }) },
      plants: {
        en: 'Plants',
        parts: {
          orchids: 'Orchids',
          cacti: 'Cacti and succulents',
          cycads: 'Cycads',
          medicinal: 'Medicinal plants',
          other: 'Other plants',
        },
      },
      other: { en: 'Other wildlife' },
    },
  },
  timber: {
    en: 'Timber',
    parts: {
      rosewood: 'Rosewood',
      ebony: 'Ebony',
      agarwood: 'Agarwood',
      logs: 'Other logs',
      sawn: 'Other sawn wood',
      charcoal: 'Charcoal',
      furniture: 'Furniture',
    },
  },
  environment: {
    en: 'Waste and ozone-depleting substances',
    parts: {
      plastic: 'Plastic waste',
      electronic: 'Electronic waste',
      vehicles: 'End-of-life vehicles and tyres',
      metal: 'Metal waste',
      textile: 'Textile waste',
      hazardous: 'Hazardous waste',
      cfc: 'Ozone-depleting substances',
      hfc: 'Hydrofluorocarbons',
      pesticides: 'Pesticides',
      other: 'Other waste',
    },
  },
  weapons: {
    en: 'Weapons and ammunition',
    parts: {
      pistols: 'Pistols and revolvers',
      rifles: 'Rifles and shotguns',
      automatic: 'Automatic weapons',
      converted: 'Converted and printed weapons',
      parts: 'Parts',
      ammunition: 'Ammunition',
      bladed: 'Bladed weapons',
      other: 'Other weapons',
    },
  },
  strategic: {
    en: 'Explosives and dual-use goods',
    parts: {
      explosives: 'Explosives',
      detonators: 'Detonators',
      'explosive-precursors': 'Precursors of explosives',
      pyrotechnics: 'Pyrotechnics',
      chemical: 'Chemicals',
      nuclear: 'Nuclear and radioactive',
      electronics: 'Electronics',
      drones: 'Drones and their parts',
      other: 'Other dual-use goods',
    },
  },
  cultural: {
    en: 'Cultural goods',
    parts: {
      archaeological: 'Archaeological objects',
      coins: 'Coins and medals',
      art: 'Works of art',
      manuscripts: 'Books and manuscripts',
      religious: 'Religious objects',
      fossils: 'Fossils',
      other: 'Other cultural goods',
    },
  },
  currency: {
    en: 'Currency',
    parts: {
      cash: 'Cash',
      counterfeit: 'Counterfeit money',
      gold: 'Gold',
      gems: 'Gems and jewellery',
      instruments: 'Bearer instruments',
      cards: 'Cards',
      other: 'Other means of payment',
    },
  },
  food: {
    en: 'Food',
    parts: {
      meat: 'Meat',
      fish: 'Fish',
      dairy: 'Dairy',
      grain: 'Grain and sugar',
      oils: 'Oils',
      drinks: 'Drinks',
      supplements: 'Supplements',
      other: 'Other food',
    },
  },
  other: {
    en: 'Other goods',
    parts: {
      vehicles: 'Vehicles',
      machinery: 'Machinery',
      textiles: 'Textiles',
      electronics: 'Electronics',
      unclassified: 'Not classified',
    },
  },
}

function* walk(branches: Parts, prefix: string, level: number): Generator<Commodity> {
  for (const [word, value] of Object.entries(branches)) {
    const branch: Branch = typeof value === 'string' ? { en: value } : value
    const code = prefix + word
    yield { code, label: { en: branch.en }, level, sum: branch.sum === true }
    if (branch.parts !== undefined) yield* walk(branch.parts, `${code}/`, level + 1)
  }
}

/** Every commodity by its path, each before its parts. */
export const commodities: ReadonlyMap<string, Commodity> = new Map(
  [...walk(tree, '', 1)].map((commodity) => [commodity.code, commodity]),
)

/**
 * Whether a commodity lies at or below another: `drugs/synthetic/mdma` is within `drugs` and within
 * itself, not within `drug`.
 */
export function isWithin(code: string, ancestor: string): boolean {
  return code === ancestor || code.startsWith(`${ancestor}/`)
}

/** The codes of sums, which a roll-up leaves out. */
export const sumCommodities: readonly string[] = [...commodities.values()].filter((c) => c.sum).map((c) => c.code)
