import { formatAddress, readAddress, words } from '../kernel/ip-address.ts'

const masked = new Int32Array(4)

/**
 * The network that an address counts to, as text: the first `v4` bits of IPv4 and `v6` bits of IPv6. IPv4-mapped IPv6 is
 * IPv4, and every way to write one address gives one text.
 *
 * @returns `undefined` when it is no address
 */
export function networkOf(ip: string, v4: number, v6: number): string | undefined {
  const version = readAddress(ip, true)
  if (version === 0) return undefined
  const bits = version === 4 ? 96 + v4 : v6
  for (let i = 0; i < 4; i++) {
    const kept = Math.min(32, Math.max(0, bits - 32 * i))
    // A shift by 32 is one by 0.
    masked[i] = kept === 0 ? 0 : (words[i] as number) & (-1 << (32 - kept))
  }
  const text = formatAddress(masked, version)
  const whole = version === 4 ? v4 === 32 : v6 === 128
  return whole ? text : `${text}/${version === 4 ? v4 : v6}`
}
