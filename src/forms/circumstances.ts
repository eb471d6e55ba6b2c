/**
 * How, where and in what state goods were found: short lists of Cordon, and one of the United
 * Nations.
 */

/** UN/ECE Recommendation 19, one digit. */
export const modes = {
  '0': 'Not specified',
  '1': 'Maritime',
  '2': 'Rail',
  '3': 'Road',
  '4': 'Air',
  '5': 'Mail',
  '6': 'Multimodal',
  '7': 'Fixed installation',
  '8': 'Inland water',
  '9': 'Not applicable',
} as const

export const directions = {
  import: 'Import',
  export: 'Export',
  transit: 'Transit',
  transhipment: 'Transhipment',
  internal: 'Inside the country',
} as const

export const placeTypes = {
  seaport: 'Seaport',
  airport: 'Airport',
  'land-border': 'Land border',
  'rail-station': 'Railway station',
  'inland-port': 'Inland port',
  'mail-centre': 'Mail centre',
  'express-hub': 'Express courier hub',
  'free-zone': 'Free zone',
  warehouse: 'Warehouse',
  market: 'Shop or market',
  road: 'Road inside the country',
  sea: 'At sea',
  residence: 'Residence',
  online: 'Online',
  other: 'Other',
} as const

export const detectionMethods = {
  'risk-analysis': 'Risk analysis',
  intelligence: 'Intelligence',
  warning: 'Warning of another member',
  profiling: 'Profiling of passengers',
  scan: 'X-ray or scanner',
  dog: 'Detector dog',
  'document-check': 'Check of documents',
  'physical-check': 'Physical check',
  random: 'Random selection',
  'controlled-delivery': 'Controlled delivery',
  'tip-off': 'Tip from the public',
  'open-source': 'Open sources',
  other: 'Other',
} as const

export const concealments = {
  none: 'Not concealed',
  misdeclared: 'Misdeclared',
  hidden: 'Hidden, not further specified',
  packaging: 'In packaging',
  luggage: 'In luggage',
  container: 'In a container',
  'cover-load': 'In a cover load',
  structure: 'In the structure of the conveyance',
  'hidden-compartment': 'In a purpose-built compartment',
  'on-body': 'On the body',
  'in-body': 'In the body',
  dissolved: 'Dissolved or in the material of the goods',
  'rip-off': 'Rip-off',
  parcel: 'In a parcel',
  other: 'Other',
} as const

export const legalStatuses = {
  detained: 'Detained',
  seized: 'Seized',
  abandoned: 'Abandoned',
  forfeited: 'Forfeited',
  'handed-over': 'Handed over to another authority',
  destroyed: 'Destroyed',
  released: 'Released',
  'under-investigation': 'Under investigation',
  prosecuted: 'Before a court',
  convicted: 'Conviction',
} as const

export const conveyanceKinds = {
  container: 'Container',
  vehicle: 'Vehicle',
  vessel: 'Vessel',
  aircraft: 'Aircraft',
  train: 'Train',
  parcel: 'Parcel',
  luggage: 'Passenger’s luggage',
  pedestrian: 'Person on foot',
  online: 'Online trade',
  other: 'Other',
} as const

export const personRoles = {
  passenger: 'Passenger',
  driver: 'Driver',
  crew: 'Crew',
  consignor: 'Consignor',
  consignee: 'Consignee',
  declarant: 'Declarant',
  carrier: 'Carrier',
  courier: 'Courier',
  other: 'Other',
} as const

export const documentKinds = {
  'bill-of-lading': 'Bill of lading',
  'air-waybill': 'Air waybill',
  declaration: 'Customs declaration',
  invoice: 'Invoice',
  'packing-list': 'Packing list',
  'cites-permit': 'CITES permit',
  licence: 'Licence',
  passport: 'Passport or identity card',
  other: 'Other',
} as const
