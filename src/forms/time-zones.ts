const written = /^[A-Z][A-Za-z0-9_+-]*(\/[A-Z][A-Za-z0-9_+-]*)*$/

// The other names that IANA gives to zones (2026c, `backward` and `etcetera`), without those of
// Etc/GMT with a number. `Intl.supportedValuesOf` lists one name of each zone.
const otherNames = `
  Africa: Asmara Timbuktu
  America: Atikokan Atka Ensenada Fort_Wayne Knox_IN Montreal Nipigon Nuuk Pangnirtung Porto_Acre Rainy_River Rosario
    Santa_Isabel Shiprock Thunder_Bay Virgin Yellowknife
  America/Argentina: Buenos_Aires Catamarca ComodRivadavia Cordoba Jujuy Mendoza
  America/Indiana: Indianapolis
  America/Kentucky: Louisville
  Antarctica: South_Pole
  Asia: Ashkhabad Choibalsan Chongqing Chungking Dacca Harbin Ho_Chi_Minh Istanbul Kashgar Kathmandu Kolkata Macao
    Tel_Aviv Thimbu Ujung_Pandang Ulan_Bator Yangon
  Atlantic: Faroe Jan_Mayen
  Australia: ACT Canberra Currie LHI NSW North Queensland South Tasmania Victoria West Yancowinna
  Brazil: Acre DeNoronha East West
  Canada: Atlantic Central Eastern Mountain Newfoundland Pacific Saskatchewan Yukon
  Chile: Continental EasterIsland
  Etc: GMT GMT0 Greenwich UCT UTC Universal Zulu
  Europe: Belfast Kyiv Nicosia Tiraspol Uzhgorod Zaporozhye
  Mexico: BajaNorte BajaSur General
  Pacific: Chuuk Johnston Kanton Pohnpei Samoa Yap
  US: Alaska Aleutian Arizona Central East-Indiana Eastern Hawaii Indiana-Starke Michigan Mountain Pacific Samoa
  : CET CST6CDT Cuba EET EST EST5EDT Egypt Eire GB GB-Eire GMT GMT+0 GMT-0 GMT0 Greenwich HST Hongkong Iceland Iran
    Israel Jamaica Japan Kwajalein Libya MET MST MST7MDT NZ NZ-CHAT Navajo PRC PST8PDT Poland Portugal ROC ROK
    Singapore Turkey UCT UTC Universal W-SU WET Zulu`

// Hours behind UTC: the sign is that of POSIX.
const numbered = Array.from({ length: 27 }, (_, n) => `Etc/GMT${n < 14 ? '' : '+'}${String(n - 14)}`)

const known = new Set([
  ...numbered,
  'Etc/GMT-0',
  ...Intl.supportedValuesOf('timeZone'),
  ...[...otherNames.matchAll(/^ {2}(\S*): ([^:]*)$/gm)].flatMap(([, area = '', places = '']) =>
    places.split(/\s+/).map((place) => (area === '' ? place : `${area}/${place}`)),
  ),
])
const knownInAnyLetters = new Set([...known].map((zone) => zone.toLowerCase()))

/**
 * Whether a text names a time zone of IANA, in the letters in which IANA writes it. The platform
 * decides which zones there are, their newer and older names included; an offset such as +02:00 is
 * no zone, because it says nothing about a change of the clocks. A zone is kept as it was written:
 * Europe/Kyiv stays Europe/Kyiv, which the platform itself would call by an older name. The
 * platform also takes names that IANA has not, and some mean another zone than people think: by
 * BST it means Bangladesh, by CST Chicago.
 */
export function isTimeZone(text: string): boolean {
  if (!written.test(text) || text.startsWith('SystemV/')) return false
  if (!known.has(text) && (!text.includes('/') || knownInAnyLetters.has(text.toLowerCase()))) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
