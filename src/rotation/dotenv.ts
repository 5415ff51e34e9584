/** A value can't be written into a dotenv file so that every reader gets it back. */
export const UNWRITABLE = Symbol('unwritable')

/** What stands for itself, in shells too: they would read `~` as somebody's home. */
const BARE = /^[A-Za-z0-9_\-./+=:@%^*,]*$/

/** How a value is written: bare, in single quotes, which every reader takes literally, or in double ones. */
function quoted(value: string): string | typeof UNWRITABLE {
  if (BARE.test(value)) return value
  if (!value.includes("'")) return `'${value}'`
  return /["\\$`]/.test(value) ? UNWRITABLE : `"${value}"`
}

/** The name that a line gives a value to, and what follows the sign; `undefined` for comments and anything else. */
function assignment(line: string): { readonly name: string; readonly value: string } | undefined {
  const sign = line.indexOf('=')
  if (sign < 0) return undefined
  const left = line.slice(0, sign).trim()
  const name = left.startsWith('export ') ? left.slice(7).trim() : left
  return { name, value: line.slice(sign + 1).trim() }
}

/** The quote that a value opens and doesn't close on its line. */
function opensQuote(value: string): string | undefined {
  const quote = value.charAt(0)
  if (quote !== '"' && quote !== "'" && quote !== '`') return undefined
  return value.indexOf(quote, 1) < 0 ? quote : undefined
}

/**
 * Sets one key of a dotenv text, wherever it stands; everything else stays as it is, comments and line ends too. A key
 * that isn't there comes at the end.
 *
 * @returns the new text, or {@link UNWRITABLE}
 */
export function setDotenv(text: string, key: string, value: string): string | typeof UNWRITABLE {
  const written = quoted(value)
  if (written === UNWRITABLE) return UNWRITABLE
  const end = text.includes('\r\n') ? '\r\n' : '\n'
  const kept: string[] = []
  let set = false
  /** Within a value of several lines: the quote that ends it, and whether the value goes. */
  let open: { readonly quote: string; readonly dropped: boolean } | undefined
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  for (const [i, line] of lines.entries()) {
    if (open !== undefined) {
      if (!open.dropped) kept.push(line)
      if (line.includes(open.quote)) open = undefined
      continue
    }
    const found = line.trimStart().startsWith('#') ? undefined : assignment(line)
    const ours = found?.name === key
    const quote = found === undefined ? undefined : opensQuote(found.value)
    // One that nothing closes is a character of the value: what follows are lines of their own.
    if (quote !== undefined && lines.some((later, at) => at > i && later.includes(quote)))
      open = { quote, dropped: ours }
    if (!ours) kept.push(line)
    else if (!set) kept.push(`${line.trimStart().startsWith('export ') ? 'export ' : ''}${key}=${written}`)
    set ||= ours
  }
  if (!set) kept.push(`${key}=${written}`)
  return kept.join(end) + end
}
