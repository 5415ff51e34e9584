import { describe, type Grant } from './grant.ts'
import type { CheckReport, TargetReport } from './report.ts'

const MAX_LINES = 20

/**
 * A report as lines for a console: each token with its state, what it lacks and what it got, then what to do. No colours, no secret.
 *
 * @param report - of `check()`, or of `heal()` with its changes
 * @example
 * ```ts sketch
 * console.log(formatReport(await healer.check()))
 * ```
 */
export function formatReport(
  report: CheckReport & {
    readonly changes?: readonly {
      readonly target: string
      readonly outcome: string
      readonly added: readonly Grant[]
    }[]
  },
): string {
  const lines = [
    `Cloudflare tokens: ${report.overall_health} (${report.targets.length} looked at, ${report.requests} requests, ${Math.round(report.durationMs)} ms)`,
  ]
  for (const target of report.targets) {
    const change = report.changes?.find((each) => each.target === target.name)
    lines.push('', `${target.name} [${target.kind ?? 'kind not known'}] ${target.health}`)
    lines.push(`  valid:   ${validity(target)}`)
    lines.push(`  missing: ${target.missing === null ? 'not known' : String(target.missing.length)}`)
    lines.push(...some(target.missing?.map((grant) => `    - ${describe(grant)}`) ?? []))
    if (target.excessCount !== null && target.excessCount > 0) lines.push(`  excess:  ${target.excessCount}`)
    if (change !== undefined) {
      lines.push(`  added:   ${change.added.length} (${change.outcome})`)
      lines.push(...some(change.added.map((grant) => `    + ${describe(grant)}`)))
    }
    lines.push(...target.warnings.map((warning) => `  note:    ${warning}`))
  }
  if (report.recommendations.length > 0) {
    lines.push('', 'What to do:', ...some(report.recommendations.map((line) => `  - ${line}`)))
  }
  return lines.join('\n')
}

function validity({ valid, verified, status, reason }: TargetReport): string {
  const answer = valid === null ? 'not known' : valid ? 'yes' : 'no'
  const details = [reason, status, verified === null ? 'not verified by itself' : undefined].filter(
    (each) => each !== undefined,
  )
  return details.length === 0 ? answer : `${answer} (${details.join(', ')})`
}

function some(lines: readonly string[]): string[] {
  return lines.length <= MAX_LINES
    ? [...lines]
    : [...lines.slice(0, MAX_LINES), `    … ${lines.length - MAX_LINES} more`]
}
