import { createHash } from 'node:crypto'
import { TokenNotFoundError } from '../issuing/errors.ts'
import type { JsonObject } from '../kernel/bytes.ts'
import { lengthPrefixed } from '../kernel/bytes.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { NoRecipientError } from '../rotation/errors.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { dateOf, tokenKind } from '../tokens/record.ts'
import { currentOf } from '../tokens/versions.ts'
import type { Action, ActionContext, RuleRotateOptions, RuleRotator } from './action.ts'
import type { RuleSpec } from './rule-input.ts'
import { Tally } from './tally.ts'
import type { TokenConditions } from './token-conditions.ts'

/**
 * An id that every attempt of a run gives to the same work, so that it is done once.
 *
 * @param prefix - what sort of id, such as `rot`
 * @param run - the run's id
 * @param about - what else tells the work from others
 */
export function workId(prefix: string, run: string, ...about: readonly string[]): string {
  return `${prefix}_${createHash('sha256')
    .update(lengthPrefixed([run, ...about]))
    .digest('base64url')
    .slice(0, 22)}`
}

/** The options of a rotation that a rule's `params` may set. */
export function rotationParams(params: JsonObject): Pick<RuleRotateOptions, 'grace' | 'whenInGrace'> {
  return params as Pick<RuleRotateOptions, 'grace' | 'whenInGrace'>
}

/**
 * Checks the `params` of a rule that rotates.
 *
 * @param more - the further fields that its action knows
 * @throws InvalidInputError naming the field
 */
export function checkRotationParams({ params }: RuleSpec, more: readonly string[]): void {
  if (params === undefined) return
  const { grace, whenInGrace } = checkFields('params', params, ['grace', 'whenInGrace', ...more])
  if (grace !== undefined) parseDuration('params.grace', grace as Duration, { allowZero: true })
  if (whenInGrace !== undefined && !['keep', 'refuse', 'endOldest'].includes(whenInGrace as string)) {
    throw new InvalidInputError('params.whenInGrace', 'is unknown', "use 'keep', 'refuse' or 'endOldest'")
  }
}

/** What a run counts of the rotations that it has begun: done, or how else they stand. */
const STANDINGS: readonly string[] = ['rotated', 'running', 'stalled', 'abandoned', 'rolled_back']

/** Rotates the tokens that a rule names, one after the other. */
export class RotateAction implements Action {
  readonly #store: TokenStore
  readonly #rotator: RuleRotator
  readonly #conditions: TokenConditions

  /**
   * @param store - where the tokens are
   * @param rotator - what rotates them
   * @param conditions - which of them are taken
   */
  constructor(store: TokenStore, rotator: RuleRotator, conditions: TokenConditions) {
    this.#store = store
    this.#rotator = rotator
    this.#conditions = conditions
  }

  /**
   * Refuses a rule one of whose tokens could never be rotated unattended. Of a token that isn't there yet, or is another by
   * then, that isn't known.
   *
   * @throws NoRecipientError, InvalidInputError
   */
  readonly check = async (rule: RuleSpec): Promise<void> => {
    checkRotationParams(rule, [])
    for (const service of rule.services ?? []) {
      const stored = await this.#store.find(tokenKind, 'service', [service])
      const retrievable = stored?.value.format.retrievable ?? true
      if (!this.#rotator.hasRecipient(service, retrievable)) throw new NoRecipientError(service)
    }
  }

  readonly run = async (context: ActionContext) => {
    const { rule, signal } = context
    const tally = new Tally()
    await this.#conditions.prepare(rule.conditions)
    for (const service of rule.services ?? []) {
      signal.throwIfAborted()
      try {
        tally.add(await this.#rotate(service, context))
      } catch (error) {
        if (signal.aborted) throw signal.reason
        tally.fail(error)
      }
    }
    return tally.result(rule.name, STANDINGS, 'no_match')
  }

  /** Rotates one. Answers as what it counts. */
  async #rotate(
    service: string,
    { rule, run, slot, attempt, now, params, signal, actor, reason }: ActionContext,
  ): Promise<string> {
    const stored = await this.#store.find(tokenKind, 'service', [service])
    if (stored === undefined) throw new TokenNotFoundError(`of the service '${service}'`)
    if (!(await this.#conditions.met(stored, rule.conditions, now))) {
      // An attempt before this one may have done it: then the version is dated by the slot, and new.
      return attempt > 1 && dateOf(currentOf(stored.value.versions)) === slot ? 'rotated' : 'unmatched'
    }
    const { rotation } = await this.#rotator.rotate(
      { id: stored.id },
      {
        ...rotationParams(params),
        rotationId: workId('rot', run, stored.id),
        origin: { rule: rule.name, slot },
        signal,
        actor,
        ...(reason !== undefined && { reason }),
      },
    )
    // One that is under way or stalled is the Rotator's now: it goes on with it, and tells when it can't.
    return rotation.status === 'done' ? 'rotated' : rotation.status
  }
}
