import type { TokenFormat } from '../tokens/format.ts'
import { COMPACT_MARK, SIGNED_FORMS } from '../tokens/signed-form.ts'
import { symbolClass } from './symbol-class.ts'

/** So many symbols after a prefix are blotted out, be they a whole token or a piece of one. */
const PIECE = 16

/**
 * The expression that finds what must not be shown: a listed prefix with at least 16 symbols of its format behind it (as many
 * as it has, where its tokens are shorter), whatever their checksum, so pieces and mistyped tokens too; and what begins as our signed
 * tokens do, as far as it goes. Linear in the text: each alternative is a literal and a class, behind which other parts may follow a dot,
 * but none has to. Signed tokens come first: a listed prefix may begin as they do. It finds no opaque token where no format is listed.
 */
export function redactionPattern(formats: readonly TokenFormat[]): RegExp {
  const opaque = formats.map((format) => `${format.prefix}[${symbolClass(format)}]{${Math.min(PIECE, format.length)},}`)
  const signed = SIGNED_FORMS.map(
    ({ start, dots }) => `${start.replace('.', '\\.')}[0-9A-Za-z_\\-]*(?:\\.[0-9A-Za-z_\\-]*){0,${dots}}`,
  )
  return new RegExp([...signed, ...opaque].join('|'), 'g')
}

/** A text with a mark in the place of each match; the prefixes stay, to tell what it was. */
export function redactText(text: string, formats: readonly TokenFormat[], pattern: RegExp): string {
  return text.replace(pattern, (match) => {
    const signed = SIGNED_FORMS.find(({ start }) => match.startsWith(start))
    if (signed !== undefined) return `${signed.format === 'hmac' ? COMPACT_MARK : 'eyJ'}[redacted]`
    const format = formats.find(({ prefix }) => match.startsWith(prefix))
    return `${format?.prefix ?? ''}[redacted]`
  })
}
