/**
 * The lines of a text that comes in pieces of any size, the last one too where no newline ends it. Takes time in proportion
 * to the text, and memory for one piece and one line.
 *
 * @param longest - a line with more characters than this ends it: what is told of that line is an empty text
 */
export async function* linesOf(
  source: Iterable<string> | AsyncIterable<string>,
  longest: number,
): AsyncGenerator<string> {
  /** The pieces of the line that isn't whole yet: joined once, and looked through once, when they come. */
  let parts: string[] = []
  let length = 0
  for await (const piece of source) {
    let from = 0
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', from)) {
      if (length + end - from > longest) return yield ''
      const last = piece.slice(from, end)
      yield length === 0 ? last : parts.join('') + last
      from = end + 1
      parts = []
      length = 0
    }
    length += piece.length - from
    if (length > longest) return yield ''
    if (from < piece.length) parts.push(piece.slice(from))
  }
  if (length > 0) yield parts.join('')
}
