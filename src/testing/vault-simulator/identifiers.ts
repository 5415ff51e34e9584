import { systemRandom } from '../../kernel/random.ts'

const SYMBOLS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** Random letters and digits, as in tokens, accessors and leases. */
export function randomText(length: number): string {
  let text = ''
  for (const byte of systemRandom().bytes(length)) text += SYMBOLS[byte % SYMBOLS.length]
  return text
}

/** A random id in the form of a UUID. */
export function randomId(): string {
  const hex = [...systemRandom().bytes(16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
