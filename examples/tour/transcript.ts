/** What the tour says as it goes, and whether all of it came out as it should. */
export class Transcript {
  readonly #write: (line: string) => void
  readonly #lines: string[] = []
  #chapters = 0
  #steps = 0
  #failed = 0

  /** @param write - where the lines go */
  constructor(write: (line: string) => void) {
    this.#write = write
  }

  get steps(): number {
    return this.#steps
  }

  /** Steps that came out otherwise than they should. */
  get failed(): number {
    return this.#failed
  }

  /** Everything said so far. */
  get text(): string {
    return this.#lines.join('\n')
  }

  line(text = ''): void {
    this.#lines.push(text)
    this.#write(text)
  }

  chapter(title: string): void {
    this.#chapters += 1
    this.line()
    this.line(`${this.#chapters}. ${title}`)
  }

  /** One step: what was done, what should come, what came. */
  step(what: string, expected: string, came: string): void {
    this.#steps += 1
    const good = came === expected
    if (!good) this.#failed += 1
    const dots = '.'.repeat(Math.max(3, 68 - what.length))
    this.line(`   ${good ? 'ok ' : 'BAD'} ${what} ${dots} ${came}${good ? '' : `  (expected: ${expected})`}`)
  }

  /** A table; numbers stand to the right. */
  table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
    const widths = head.map((name, column) =>
      Math.max(name.length, ...rows.map((row) => String(row[column] ?? '').length)),
    )
    const put = (cells: readonly (string | number)[]) => {
      const padded = cells.map((cell, column) => {
        const width = widths[column] ?? 0
        return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width)
      })
      this.line(`   ${padded.join('  ').trimEnd()}`)
    }
    put(head)
    put(widths.map((width) => '-'.repeat(width)))
    for (const row of rows) put(row)
  }
}
