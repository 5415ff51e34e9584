/** Whether PostgreSQL's text can hold a text as it is: its UTF-8 has no halves of surrogate pairs, and it takes no NUL. */
export function isStorable(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed()
}

/** The text, with what PostgreSQL can't hold replaced by U+FFFD. */
export function storable(text: string): string {
  return isStorable(text) ? text : text.toWellFormed().replaceAll('\u0000', '\ufffd')
}
