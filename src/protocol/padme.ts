/**
 * The padded length of L bytes by Padmé (Nikitin, Barman, Lueks, Underwood, Hubaux, Ford: PETS
 * 2019): at most 12 % more.
 */
export function padmeLength(length: number): number {
  if (length < 2) return length
  const exponent = Math.floor(Math.log2(length))
  const mantissaBits = Math.floor(Math.log2(exponent)) + 1
  const zeroBits = exponent - mantissaBits
  if (zeroBits <= 0) return length
  const unit = 2 ** zeroBits
  return Math.ceil(length / unit) * unit
}
