import { CASES, type Case, caseOf, missedBy, type Unit } from './budgets.ts'
import type { Result } from './result.ts'

const HEAD = ['Case', 'Measured (range)', 'Budget', 'Result', 'Peers in the same run', 'Notes']

/** The table of results: a header and a row for each case that was measured, in the order of the budgets. */
export function rowsOf(results: readonly Result[]): string[][] {
  const byId = new Map(results.map((result) => [result.id, result]))
  const rows: string[][] = []
  for (const one of CASES) {
    const result = byId.get(one.id)
    if (result === undefined) continue
    rows.push([
      one.what,
      measured(result, one.unit),
      budgetText(one),
      verdict(one, result),
      peersText(one, byId),
      result.note ?? '',
    ])
  }
  return [HEAD, ...rows]
}

/** The table for a terminal, in columns. */
export function plainTable(rows: readonly (readonly string[])[]): string {
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The table in Markdown, laid out as the formatter of the project wants it. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))
  const widths = HEAD.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const lines = cells.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`)
  return lines.join('\n')
}

/** The rows of a table in Markdown, its header first; none where there is no table. */
export function readTable(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[ |-]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    )
}

/** Old rows with new ones in the place of those of the same case, in the order of the budgets. */
export function mergeRows(old: readonly string[][], fresh: readonly string[][]): string[][] {
  const byCase = new Map([...old, ...fresh].map((row) => [row[0], row]))
  const rows = CASES.map(({ what }) => byCase.get(what)).filter((row) => row !== undefined)
  return [HEAD, ...rows]
}

/** The cases that miss their budget. */
export function missed(results: readonly Result[]): readonly Result[] {
  return results.filter((result) => missedBy(caseOf(result.id), result.value) > 0)
}

function measured({ value, low, high }: Result, unit: Unit): string {
  const range = low === high ? '' : ` (${figure(low)}-${figure(high)})`
  return `${figure(value)} ${unit}${range}`
}

function figure(value: number): string {
  const size = Math.abs(value)
  if (size >= 100 || Number.isInteger(value)) return String(Math.round(value))
  return value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 3)
}

function budgetText({ budget, unit }: Case): string {
  if (budget === undefined) return ''
  return 'atMost' in budget ? `<= ${budget.atMost} ${unit}` : `>= ${budget.atLeast} ${unit}`
}

function verdict(one: Case, { value }: Result): string {
  if (one.budget === undefined) return 'not gated'
  const part = missedBy(one, value)
  return part === 0 ? 'ok' : `MISSED by ${Math.max(1, Math.round(part * 100))} %`
}

function peersText({ peers = [] }: Case, byId: ReadonlyMap<string, Result>): string {
  const told = peers.flatMap((id) => {
    const result = byId.get(id)
    return result === undefined ? [] : [`${id.split('.')[1]} ${figure(result.value)}`]
  })
  return told.join(', ')
}
