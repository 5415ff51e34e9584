/**
 * A foreign text on one line, without control characters, short, and without anything that is long enough to be a token: ids have 32
 * characters, tokens 40 and more, and a server may say back what it was sent.
 */
export function foreignText(text: string, most: number): string {
  const head = text.slice(0, 4 * most).replaceAll(/[\w-]{38,}/g, '[…]')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not reach a log
  const line = head.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ')
  return line.slice(0, most).toWellFormed()
}
