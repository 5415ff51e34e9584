import { InvalidInputError } from '../kernel/errors.ts'
import { formatAddress, readAddress, words } from '../kernel/ip-address.ts'

/** How many networks one token may be bound to. */
const MAX_RULES = 1000

/** A network: its first address in four words, and how many bits of them are fixed. */
interface Network {
  readonly version: 4 | 6
  /** IPv4 in the last word. */
  readonly base: Int32Array
  readonly masks: Int32Array
}

/**
 * The canonical text of a network: an address and its prefix length, `10.0.0.0/8` or `2001:db8::/32`. A single
 * address is a network of its own (`/32` or `/128`); IPv4-mapped IPv6 is folded to IPv4.
 *
 * @param field - the option, as the caller writes it
 * @param text - an IPv4 or IPv6 address, or a network in CIDR notation (RFC 4632, RFC 4291)
 * @returns the canonical text; addresses as in RFC 5952
 * @throws InvalidInputError when it is none, has a zone, leading zeros, or bits set behind the prefix
 * @example
 * ```ts
 * parseCidr('ipAllow', '::ffff:10.0.0.1') // '10.0.0.1/32'
 * parseCidr('ipAllow', '10.0.0.1/8') // throws: write 10.0.0.0/8
 * ```
 */
export function parseCidr(field: string, text: string): string {
  const { version, base, bits } = readCidr(field, text)
  return `${formatAddress(base, version)}/${bits}`
}

/**
 * Checks a list of networks.
 *
 * @param field - the option, as the caller writes it
 * @param value - 1 to 1000 networks
 * @returns canonical, without duplicates, frozen
 * @throws InvalidInputError when it isn't such a list; an empty one would mean that nobody may come
 */
export function parseCidrs(field: string, value: readonly string[]): readonly string[] {
  if (!Array.isArray(value)) throw new InvalidInputError(field, 'is not a list', 'give a list of networks')
  if (value.length === 0) throw new InvalidInputError(field, 'is empty', 'name a network, or leave it out to allow all')
  if (value.length > MAX_RULES)
    throw new InvalidInputError(field, `has over ${MAX_RULES} entries`, 'use larger networks')
  return Object.freeze([...new Set(value.map((text, i) => parseCidr(`${field}[${i}]`, text as string)))])
}

function readCidr(field: string, text: string): Network & { readonly bits: number } {
  if (typeof text !== 'string' || text.length > 64) {
    throw new InvalidInputError(field, 'is not a network', 'write it like 10.0.0.0/8 or 2001:db8::/32')
  }
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  if (address.includes('%')) {
    throw new InvalidInputError(
      field,
      'has a zone, which means something else on each machine',
      'leave out the % and what follows',
    )
  }
  const version = readAddress(address, false)
  if (version === 0) {
    throw new InvalidInputError(
      field,
      'is not a network',
      'write it like 10.0.0.0/8 or 2001:db8::/32, without spaces or leading zeros',
    )
  }
  const base = Int32Array.from(words)
  if (version === 4) base.fill(0, 0, 3)
  const bits = slash < 0 ? (version === 4 ? 32 : 128) : readPrefix(field, text.slice(slash + 1), version, address)
  const masks = masksOf(version === 4 ? bits + 96 : bits)
  const network = base.map((word, i) => word & (masks[i] as number))
  if (network.some((word, i) => word !== base[i])) {
    const meant = `${formatAddress(network, version)}/${bits}`
    throw new InvalidInputError(
      field,
      'has bits set behind its prefix',
      `write ${meant} for the network, or the address alone`,
    )
  }
  return { version, base, masks, bits }
}

function readPrefix(field: string, text: string, version: 4 | 6, address: string): number {
  // A mapped address written as IPv6 has an IPv6 prefix, of which the first 96 bits are fixed.
  const mapped = version === 4 && address.includes(':')
  const largest = version === 4 && !mapped ? 32 : 128
  const bits = /^(?:0|[1-9]\d{0,2})$/.test(text) ? Number(text) : -1
  if (bits < (mapped ? 96 : 0) || bits > largest) {
    throw new InvalidInputError(field, 'has no good prefix length', `write /${mapped ? 96 : 0} to /${largest}`)
  }
  return mapped ? bits - 96 : bits
}

function masksOf(bits: number): Int32Array {
  const masks = new Int32Array(4)
  for (let k = 0; k < 4; k++) {
    const fixed = Math.min(32, Math.max(0, bits - 32 * k))
    masks[k] = fixed === 0 ? 0 : -1 << (32 - fixed)
  }
  return masks
}

/** Networks made ready for the hot path. */
export interface IpRules {
  /** Whether an address is in one of the networks. What is no address is in none. A zone of the address is ignored. */
  allows(ip: string): boolean
}

class CompiledIpRules implements IpRules {
  readonly #bases4: Int32Array
  readonly #masks4: Int32Array
  /** Four words a network. */
  readonly #bases6: Int32Array
  readonly #masks6: Int32Array

  constructor(networks: readonly Network[]) {
    const four = networks.filter((network) => network.version === 4)
    const six = networks.filter((network) => network.version === 6)
    this.#bases4 = Int32Array.from(four, (network) => network.base[3] as number)
    this.#masks4 = Int32Array.from(four, (network) => network.masks[3] as number)
    this.#bases6 = Int32Array.from(six.flatMap((network) => [...network.base]))
    this.#masks6 = Int32Array.from(six.flatMap((network) => [...network.masks]))
  }

  allows(ip: string): boolean {
    if (typeof ip !== 'string') return false
    const version = readAddress(ip, true)
    if (version === 4) return this.#allows4(words[3] as number)
    return version === 6 && this.#allows6()
  }

  #allows4(word: number): boolean {
    const bases = this.#bases4
    const masks = this.#masks4
    for (let i = 0; i < bases.length; i++) if ((word & (masks[i] as number)) === bases[i]) return true
    return false
  }

  #allows6(): boolean {
    const bases = this.#bases6
    const masks = this.#masks6
    for (let i = 0; i < bases.length; i += 4) {
      if (
        ((words[0] as number) & (masks[i] as number)) === bases[i] &&
        ((words[1] as number) & (masks[i + 1] as number)) === bases[i + 1] &&
        ((words[2] as number) & (masks[i + 2] as number)) === bases[i + 2] &&
        ((words[3] as number) & (masks[i + 3] as number)) === bases[i + 3]
      ) {
        return true
      }
    }
    return false
  }
}

/**
 * Makes networks ready for the hot path: linear in their number, without allocation.
 *
 * IPv4 rules hold for IPv4-mapped IPv6 addresses too; `::/0` is all of IPv6 and none of IPv4.
 *
 * @param cidrs - networks as {@link parseCidr} gives them
 * @throws InvalidInputError when one isn't a network
 * @example
 * ```ts
 * const rules = compileIpRules(['10.0.0.0/8'])
 * rules.allows('::ffff:10.1.2.3') // true
 * ```
 */
export function compileIpRules(cidrs: readonly string[]): IpRules {
  return new CompiledIpRules(cidrs.map((text, i) => readCidr(`ipAllow[${i}]`, text)))
}
