/**
 * Whether PostgreSQL can hold a text: its UTF-8 has no halves of surrogate pairs. NUL it doesn't take either, but that
 * can be written otherwise, see {@link toStored}.
 */
export function isStorable(text: string): boolean {
  return text.isWellFormed()
}

/**
 * A text as the database holds it: NUL as two characters 1, and character 1 as 1 and 2. So the order of texts stays, and
 * the text comes back whole. Nearly every text is held as it is.
 */
export function toStored(text: string): string {
  if (!text.includes('\u0000') && !text.includes('\u0001')) return text
  return text.replaceAll('\u0001', '\u0001\u0002').replaceAll('\u0000', '\u0001\u0001')
}

/** The text that {@link toStored} was given. */
export function fromStored(text: string): string {
  if (!text.includes('\u0001')) return text
  return text.replaceAll('\u0001\u0001', '\u0000').replaceAll('\u0001\u0002', '\u0001')
}
