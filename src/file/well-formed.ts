/** Half of a pair of UTF-16 code units: SQLite's text is UTF-8, which has none. */
const LONE_SURROGATE = /[\ud800-\udfff]/u

/** Whether SQLite's text can hold a text as it is. */
export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}
