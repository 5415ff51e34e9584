import type { Clock, Timer } from '../kernel/clock.ts'
import { codeOf, InvalidInputError, TokenwrightError } from '../kernel/errors.ts'
import type { Stored } from '../kernel/kind.ts'
import type { Attribution } from '../stores/commit.ts'
import type { Action, ActionContext, ActionResult } from './action.ts'
import type { Claimed } from './claims.ts'
import type { Ending, Endings } from './endings.ts'
import { RulePartFailedError, RuleTimeoutError } from './errors.ts'
import { ruleView } from './rule.ts'
import type { Counts, RunRecord } from './run.ts'

/** An action whose signal was aborted has so long to leave off before it is left alone, ms. */
const LEAVE_OFF = 5000

/** Why an attempt was broken off. */
type Broken = 'timeout' | 'lost' | 'stopped'

/** Thrown into an action by its signal when its run was taken over, or the engine stops. */
class BrokenOffError extends Error {}

/**
 * One attempt of a run: calls the action, renews the lease while it works, breaks it off when its time is over or the run is
 * another's, and writes how it ended.
 */
export class Attempt {
  readonly #clock: Clock
  readonly #endings: Endings
  readonly #lease: number
  readonly #claimed: Claimed
  readonly #controller = new AbortController()
  #run: Stored<RunRecord>
  #broken: Broken | undefined
  /** Whether the action has ended, or was left alone. */
  #over = false
  #renewal: Timer | undefined
  #renewing: Promise<void> = Promise.resolve()
  /** When the lease was renewed last, monotonic ms. */
  #renewedAt: number

  /**
   * @param claimed - the run, which is this instance's
   * @param endings - how it is renewed and ended
   * @param clock - for the renewals and the time limit
   * @param lease - how long the run is this instance's without a renewal, ms
   */
  constructor(claimed: Claimed, endings: Endings, clock: Clock, lease: number) {
    this.#claimed = claimed
    this.#run = claimed.run
    this.#endings = endings
    this.#clock = clock
    this.#lease = lease
    this.#renewedAt = clock.monotonic()
  }

  /** The id of the run. */
  get runId(): string {
    return this.#run.id
  }

  /**
   * Makes the attempt.
   *
   * @param action - what to do
   * @param now - the store's time
   * @param by - who called for it, and why
   * @returns the run as it stands afterwards; `undefined` when another instance has it, or it was given back
   */
  async make(action: Action, now: number, by: Attribution): Promise<Stored<RunRecord> | undefined> {
    const { rule, run } = this.#claimed
    const { maxDuration } = rule.value
    const limit = this.#clock.setTimer(maxDuration, () => {
      this.#break('timeout', new RuleTimeoutError(rule.value.name, maxDuration))
    })
    this.#renewLater()
    const context: ActionContext = {
      rule: ruleView(rule),
      run: run.id,
      slot: run.value.slot,
      attempt: run.value.attempt,
      signal: this.#controller.signal,
      now,
      params: rule.value.params ?? {},
      actor: by.actor ?? `rule:${rule.value.name}`,
      ...(by.reason !== undefined && { reason: by.reason }),
    }
    const ending = await this.#call(action, context)
    limit.cancel()
    this.#over = true
    this.#renewal?.cancel()
    // A renewal that is under way moves the run's revision.
    await this.#renewing
    if (ending !== undefined) return this.#endings.end(this.#run, ending)
    if (this.#broken === 'stopped') await this.#endings.giveBack(this.#run)
    return undefined
  }

  /** Breaks it off: the engine stops. The run is given back. */
  stop(): void {
    this.#break('stopped', new BrokenOffError('the rule engine stops'))
  }

  #break(why: Broken, reason: Error): void {
    if (this.#broken !== undefined) return
    this.#broken = why
    this.#controller.abort(reason)
  }

  /** How the action ended; `undefined` when there is nothing to write of it. */
  async #call(action: Action, context: ActionContext): Promise<Ending | undefined> {
    // Called in a turn of its own: one that throws at once is one that rejects.
    const done = Promise.resolve(context).then((given) => action.run(given))
    const left = this.#leftAlone()
    try {
      const result = await Promise.race([done, left.promise])
      if (result === LEFT) return this.#brokenEnding()
      return endingOf(result)
    } catch (error) {
      if (this.#broken !== undefined) return this.#brokenEnding()
      const retry = !(error instanceof TokenwrightError) || error.retryable
      const counts = error instanceof RulePartFailedError ? error.counts : undefined
      return { outcome: 'failed', code: codeOf(error).slice(0, 64), retry, ...(counts && { counts }) }
    } finally {
      left.cancel()
      // What comes of an action that was left alone goes nowhere.
      done.catch(ignore)
    }
  }

  #brokenEnding(): Ending | undefined {
    return this.#broken === 'timeout' ? { outcome: 'failed', code: 'ERR_RULE_TIMEOUT', retry: true } : undefined
  }

  /** Settles some time after the signal was aborted: an action that doesn't heed it is left alone then. */
  #leftAlone(): { readonly promise: Promise<typeof LEFT>; readonly cancel: () => void } {
    let timer: Timer | undefined
    const promise = new Promise<typeof LEFT>((resolve) => {
      this.#controller.signal.addEventListener('abort', () => {
        timer = this.#clock.setTimer(LEAVE_OFF, () => resolve(LEFT))
      })
    })
    return { promise, cancel: () => timer?.cancel() }
  }

  #renewLater(): void {
    this.#renewal = this.#clock.setTimer(Math.ceil(this.#lease / 3), () => {
      this.#renewing = this.#renew()
    })
  }

  async #renew(): Promise<void> {
    try {
      const renewed = await this.#endings.renew(this.#run)
      if (renewed === undefined) return this.#lose()
      this.#run = renewed
      this.#renewedAt = this.#clock.monotonic()
    } catch {
      // The store may answer the next time, until the lease is over; the end of the run tells what is wrong with it.
      if (this.#clock.monotonic() - this.#renewedAt >= this.#lease) return this.#lose()
    }
    // One that was broken off may still be leaving off: until it has, the run is nobody else's.
    if (this.#broken !== 'lost' && !this.#over) this.#renewLater()
  }

  #lose(): void {
    this.#break('lost', new BrokenOffError('another instance has taken over the run'))
  }
}

const LEFT = Symbol('left alone')

function ignore(): void {}

/** What an action answered, checked: it may be a host's. */
function endingOf(result: unknown): Ending {
  const { outcome = 'ok', reason, counts = {} } = (result ?? {}) as ActionResult
  if (outcome !== 'ok' && outcome !== 'skipped') {
    throw new InvalidInputError('outcome', 'of the action is unknown', "answer 'ok' or 'skipped', or throw")
  }
  const known = countsOf(counts)
  if (outcome === 'ok') return { outcome, counts: known }
  return {
    outcome,
    reason: typeof reason === 'string' && reason !== '' ? reason.slice(0, 64) : 'no_match',
    counts: known,
  }
}

/** How many different counts a run may have. */
const MAX_COUNTS = 32

function countsOf(counts: Counts): Counts {
  const entries = Object.entries(counts)
  const fine = entries.every(([what, count]) => what.length <= 64 && Number.isFinite(count))
  if (!fine || entries.length > MAX_COUNTS) {
    throw new InvalidInputError(
      'counts',
      `of the action are not at most ${MAX_COUNTS} numbers by short names`,
      'mend the action',
    )
  }
  return Object.fromEntries(entries)
}
