/**
 * The address that {@link readAddress} read last, as four 32-bit words in network order; an IPv4 address is in the last.
 * Shared and overwritten by each call: reading an address on the hot path must not allocate.
 *
 * @internal
 */
export const words: Int32Array = new Int32Array(4)

const groups = new Int32Array(8)

const DOT = 46
const COLON = 58

/** 45 characters of the longest address, a `%`, and a zone; interface names are short. */
const MAX_TEXT = 110

/**
 * Reads an IPv4 or IPv6 address into {@link words}. IPv4-mapped IPv6 (`::ffff:10.0.0.1`) counts as IPv4. Octets with
 * leading zeros, fewer than four octets, ports, brackets and space are refused. Linear, without allocation.
 *
 * @internal
 * @param text - the address
 * @param zone - whether a zone (`fe80::1%eth0`) is allowed, and dropped
 * @returns 4 or 6; 0 when it is no address
 */
export function readAddress(text: string, zone: boolean): 0 | 4 | 6 {
  const length = text.length
  if (length > MAX_TEXT) return 0
  if (readIpv4(text, 0, length)) return 4
  let end = text.indexOf('%')
  if (end < 0) end = length
  else if (!zone || end === length - 1) return 0
  if (!readIpv6(text, end)) return 0
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) return 4
  return 6
}

/** Reads four octets from `at` up to `end` into the last word. */
function readIpv4(text: string, at: number, end: number): boolean {
  let word = 0
  let octet = 0
  let digits = 0
  let dots = 0
  for (let i = at; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === DOT) {
      if (digits === 0 || dots === 3) return false
      word = (word << 8) | octet
      octet = 0
      digits = 0
      dots += 1
    } else {
      const digit = code - 48
      if (digit < 0 || digit > 9) return false
      // A leading zero means octal to some and decimal to others.
      if (digits > 0 && octet === 0) return false
      octet = octet * 10 + digit
      digits += 1
      if (octet > 255) return false
    }
  }
  if (dots !== 3 || digits === 0) return false
  words[3] = (word << 8) | octet
  return true
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const letter = code | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

/** Reads up to eight groups into the words; RFC 4291, section 2.2. */
function readIpv6(text: string, end: number): boolean {
  let count = 0
  /** How many groups stand before the `::`. */
  let gap = -1
  let i = 0
  if (end > 0 && text.charCodeAt(0) === COLON) {
    if (end < 2 || text.charCodeAt(1) !== COLON) return false
    gap = 0
    i = 2
  }
  while (i < end) {
    if (count === 8) return false
    const start = i
    let value = 0
    while (i < end) {
      const digit = hexDigit(text.charCodeAt(i))
      if (digit < 0) break
      if (i - start === 4) return false
      value = (value << 4) | digit
      i += 1
    }
    if (i === start) return false
    if (i < end && text.charCodeAt(i) === DOT) {
      if (count > 6 || !readIpv4(text, start, end)) return false
      const word = words[3] as number
      groups[count] = word >>> 16
      groups[count + 1] = word & 0xffff
      count += 2
      break
    }
    groups[count] = value
    count += 1
    if (i === end) break
    if (text.charCodeAt(i) !== COLON) return false
    i += 1
    if (i === end) return false
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return false
      gap = count
      i += 1
    }
  }
  if (gap < 0 ? count !== 8 : count > 7) return false
  if (gap >= 0) {
    // The groups after the gap belong to the end.
    const moved = count - gap
    for (let k = 1; k <= moved; k++) groups[8 - k] = groups[count - k] as number
    for (let k = gap; k < 8 - moved; k++) groups[k] = 0
  }
  for (let k = 0; k < 4; k++) words[k] = ((groups[2 * k] as number) << 16) | (groups[2 * k + 1] as number)
  return true
}

/**
 * The canonical text of four words: dotted for version 4, as RFC 5952 asks for version 6.
 *
 * @internal
 */
export function formatAddress(address: ArrayLike<number>, version: 4 | 6): string {
  if (version === 4) {
    const word = address[3] as number
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
  }
  const parts: string[] = []
  for (let k = 0; k < 4; k++) {
    const word = address[k] as number
    parts.push((word >>> 16).toString(16), (word & 0xffff).toString(16))
  }
  let best = -1
  let bestLength = 1
  for (let k = 0; k < 8; k++) {
    let run = 0
    while (k + run < 8 && parts[k + run] === '0') run += 1
    if (run > bestLength) {
      best = k
      bestLength = run
    }
  }
  if (best < 0) return parts.join(':')
  return `${parts.slice(0, best).join(':')}::${parts.slice(best + bestLength).join(':')}`
}
