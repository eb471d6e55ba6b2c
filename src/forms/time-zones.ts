const written = /^[A-Z][A-Za-z0-9_+-]*(\/[A-Z][A-Za-z0-9_+-]*)*$/
const canonical = new Set(Intl.supportedValuesOf('timeZone').map((zone) => zone.toLowerCase()))
const asCanonical = new Set(Intl.supportedValuesOf('timeZone'))

/**
 * Whether a text names a time zone of IANA, in the letters in which IANA writes it. The platform
 * decides which zones there are, their newer and older names included; an offset such as +02:00 is
 * no zone, because it says nothing about a change of the clocks. A zone is kept as it was written:
 * Europe/Kyiv stays Europe/Kyiv, which the platform itself would call by an older name.
 */
export function isTimeZone(text: string): boolean {
  if (!written.test(text)) return false
  if (canonical.has(text.toLowerCase()) && !asCanonical.has(text)) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
