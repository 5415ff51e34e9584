import type { Clock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { codeOf } from '../kernel/errors.ts'
import { type Finding, judged } from './checker.ts'
import type { CloudflareEvents } from './events.ts'
import { EXPIRY_DAYS, type Expiry } from './expiry.ts'
import { changedFields, type GuardSettings, NO_MARK, noteFound, rememberedAs, type TargetMark } from './mark.ts'
import { updateMark } from './marks.ts'
import type { TargetReport } from './report.ts'
import type { HealerState } from './state.ts'
import { otherFields } from './token-record.ts'

/** What an {@link Observer} is made from. */
export interface ObserverOptions {
  readonly clock: Clock
  readonly state: HealerState
  readonly events: EventSink<CloudflareEvents>
  readonly guard: GuardSettings
  readonly strict: boolean
}

const DAY = 86_400_000

/** What of a look is told. */
interface Told {
  changed: readonly string[]
  opened: readonly string[]
  circuit: boolean
  before: string | undefined
  days: number | undefined
}

/** Compares what a check found with what is remembered: changes, grants that went, ends that come near; and tells. */
export class Observer {
  readonly #options: ObserverOptions

  /** @param options - state, events, time */
  constructor(options: ObserverOptions) {
    this.#options = options
  }

  /**
   * Takes in a finding.
   *
   * @returns its report, with what only the past tells
   * @event degraded, recovered, expiringSoon, circuitOpened, stateFailed
   */
  async take({ target, report, found }: Finding): Promise<TargetReport> {
    const { state, clock, events, guard, strict } = this.#options
    const now = clock.now()
    const told: Told = { changed: [], opened: [], circuit: false, before: undefined, days: undefined }
    let final = report
    try {
      const nameless = target.tokenId === undefined ? await this.#forgetNameless(report) : undefined
      await updateMark(state, report.tokenId ?? nameOnly(report), (mark) => {
        const missing = found === undefined ? undefined : new Set(found.comparison.missing.map(rememberedAs))
        // What couldn't be read says nothing of what was given.
        const noted = missing === undefined ? { mark, opened: [] } : noteFound(mark, missing, now, guard)
        const fields = found === undefined ? undefined : otherFields(found.record.fields)
        told.changed = fields === undefined ? [] : changedFields(mark, fields)
        told.opened = noted.opened
        told.circuit = noted.mark.circuitAt !== undefined
        told.before = nameless ?? mark.health
        final = finalReport(report, told, strict, now)
        const days = daysToTell(mark, report.expiry, now)
        told.days = days
        return {
          ...noted.mark,
          health: final.health,
          ...(fields !== undefined && { seen: fields }),
          ...(days !== undefined && report.expiry?.at !== undefined && { told: { expiresAt: report.expiry.at, days } }),
        }
      })
    } catch (error) {
      events.emit('stateFailed', { at: now, operation: 'remembering a check', code: codeOf(error) })
    }
    this.#tell(final, told, now)
    return final
  }

  /** How a token was while its id couldn't be found out; it is forgotten now that it is known, and the next time is told anew. */
  async #forgetNameless(report: TargetReport): Promise<string | undefined> {
    if (report.tokenId === undefined) return undefined
    const { state } = this.#options
    const known = await state.mark(nameOnly(report))
    const health = known?.mark.health
    if (known === undefined || health === undefined) return undefined
    // Of several that look at once, one tells.
    return (await state.saveMark(nameOnly(report), known.revision, NO_MARK)) ? health : undefined
  }

  #tell(report: TargetReport, { opened, before, days }: Told, at: number): void {
    const { events } = this.#options
    const { name: target, health, missing, reason, expiry } = report
    if (health === 'healthy' && before !== undefined && before !== 'healthy') events.emit('recovered', { at, target })
    if (health !== 'healthy' && health !== before) {
      const facts = { missing: missing?.length ?? null, ...(reason !== undefined && { reason }) }
      events.emit('degraded', { at, target, health, ...facts })
    }
    if (opened.length > 0) events.emit('circuitOpened', { at, target, groups: opened })
    if (days !== undefined && expiry?.at !== undefined) {
      events.emit('expiringSoon', { at, target, expiresAt: expiry.at, days, severity: expiry.severity })
    }
  }
}

/** By what a token is remembered whose id isn't known. */
function nameOnly({ name }: TargetReport): string {
  return `unknown:${name}`
}

function finalReport(report: TargetReport, { changed, circuit }: Told, strict: boolean, now: number): TargetReport {
  const repeatedly = circuit && report.reason === undefined && (report.missing?.length ?? 0) > 0
  if (changed.length === 0 && !repeatedly) return report
  const { health: _, recommendations: __, ...facts } = report
  return judged({ ...facts, changed, ...(repeatedly && { reason: 'removed_repeatedly' as const }) }, strict, now)
}

/** The number of days at which an end is told now; each once for an end. */
function daysToTell({ told }: TargetMark, expiry: Expiry | null, now: number): number | undefined {
  if (expiry?.at === undefined || expiry.severity === 'expired') return undefined
  const left = expiry.at - now
  const days = EXPIRY_DAYS.find((each) => left <= each * DAY)
  if (days === undefined) return undefined
  return told?.expiresAt === expiry.at && told.days <= days ? undefined : days
}
