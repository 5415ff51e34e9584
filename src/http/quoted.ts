/**
 * A quoted string of a header: quotes and backslashes escaped, anything outside visible ASCII and space replaced by `?`,
 * so that no value can end the string or the header (RFC 9110, section 5.6.4; RFC 9651, section 3.3.3).
 */
export function quoted(text: string): string {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return `"${escaped(text)}"`
  }
  return `"${text}"`
}

function escaped(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/["\\]/g, '\\$&')
}
