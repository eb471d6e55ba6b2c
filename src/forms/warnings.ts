/** The code lists of warnings and of the answers to them. */

export const lookForKinds = {
  container: 'Container',
  'air-waybill': 'Air waybill',
  vehicle: 'Vehicle',
  vessel: 'Vessel',
  flight: 'Flight',
  parcel: 'Parcel',
  passenger: 'Passenger',
} as const

export const actions = {
  monitor: 'Watch for arrival',
  'check-documents': 'Check the documents',
  scan: 'Scan',
  open: 'Open and search',
  sample: 'Take samples',
  detain: 'Detain the goods',
  'controlled-delivery': 'Prepare a controlled delivery',
  inform: 'Inform the sender before acting',
} as const

export const outcomes = {
  'not-arrived': 'Not arrived',
  'already-cleared': 'Already cleared',
  'documents-checked': 'Documents checked',
  scanned: 'Scanned',
  opened: 'Opened',
  'nothing-found': 'Nothing found',
  seized: 'Seized',
  'handed-over': 'Handed over',
} as const

export const reasons = {
  'no-legal-basis': 'No legal basis',
  'insufficient-information': 'Information not sufficient',
  'no-capacity': 'No capacity',
  'too-late': 'Received too late',
  'other-route': 'Took another route',
  'not-ours': 'Not in our territory',
  'other-authority': 'Another authority acts',
  other: 'Other',
} as const

export const usefulness = { yes: 'Yes', no: 'No', unknown: 'Cannot be said' } as const

/**
 * Risk indicators: features of a consignment, a journey or a declaration. They never describe who a
 * person is.
 */
export const indicators = {
  'first-time-trader': 'Trader new to this trade',
  'dormant-trader': 'Trader active again after a long pause',
  'unusual-route': 'Unusual or uneconomic route',
  'high-risk-origin': 'Place of loading known for such goods',
  'transhipment-hub': 'Several transhipments without reason',
  'late-change': 'Documents changed late',
  'vague-description': 'Vague description of goods',
  'description-mismatch': 'Description does not fit the trade of the parties',
  'weight-mismatch': 'Weight does not fit the goods',
  'value-mismatch': 'Value does not fit the goods',
  'seal-irregular': 'Seal broken, missing or of another number',
  'container-modified': 'Container or vehicle altered',
  'cash-payment': 'Freight paid in cash or by a third party',
  'virtual-address': 'Address of a mailbox or forwarder',
  'split-consignment': 'One consignment split into many',
  'refrigerated-low-value': 'Refrigerated goods of low value',
  'short-notice-booking': 'Booked at short notice',
  'short-stay': 'Stay too short for the journey',
  'luggage-mismatch': 'Luggage does not fit the journey',
  'scan-anomaly': 'Anomaly in the scan',
  'open-source-offer': 'Offered online',
  'repeat-pattern': 'Same pattern as an earlier seizure',
} as const

export const textLanguages = {
  en: 'English',
  fr: 'French',
  es: 'Spanish',
  ru: 'Russian',
  ar: 'Arabic',
  pt: 'Portuguese',
} as const
