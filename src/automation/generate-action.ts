import { ServiceExistsError } from '../issuing/errors.ts'
import type { GenerateInput } from '../issuing/generator.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { NoRecipientError } from '../rotation/errors.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { dateOf, tokenKind } from '../tokens/record.ts'
import { currentOf, lastEnd } from '../tokens/versions.ts'
import type { Action, ActionContext, RuleRotator } from './action.ts'
import { workId } from './rotate-action.ts'
import type { RuleSpec } from './rule-input.ts'
import { Tally } from './tally.ts'

/** Makes the tokens that a rule names, where no live one holds the name. Its `params` are those of `generate`. */
export class GenerateAction implements Action {
  readonly #store: TokenStore
  readonly #rotator: RuleRotator

  /**
   * @param store - where the tokens are
   * @param rotator - what makes them and hands them over
   */
  constructor(store: TokenStore, rotator: RuleRotator) {
    this.#store = store
    this.#rotator = rotator
  }

  /**
   * Refuses a rule whose tokens would reach nobody.
   *
   * @throws NoRecipientError, InvalidInputError
   */
  readonly check = (rule: RuleSpec): void => {
    const { params = {}, services = [], conditions } = rule
    if (conditions !== undefined) {
      throw new InvalidInputError(
        'conditions',
        "can't go with 'generate'",
        'there is no token yet that could meet them',
      )
    }
    for (const field of ['service', 'actor', 'reason']) {
      if (field in params) throw new InvalidInputError(`params.${field}`, "isn't for params", 'leave it out')
    }
    const retrievable = params['retrievable'] ?? params['type'] === 'jwt'
    for (const service of services) {
      if (!this.#rotator.hasRecipient(service, retrievable === true)) throw new NoRecipientError(service)
    }
  }

  readonly run = async (context: ActionContext) => {
    const { rule, signal } = context
    const tally = new Tally()
    for (const service of rule.services ?? []) {
      signal.throwIfAborted()
      try {
        tally.add(await this.#issue(service, context))
      } catch (error) {
        if (signal.aborted) throw signal.reason
        if (error instanceof ServiceExistsError) tally.add('exists')
        else tally.fail(error)
      }
    }
    return tally.result(rule.name, ['generated', 'running', 'stalled', 'abandoned'], 'exists')
  }

  async #issue(
    service: string,
    { rule, run, slot, attempt, now, params, actor, reason }: ActionContext,
  ): Promise<string> {
    const stored = await this.#store.find(tokenKind, 'service', [service])
    if (stored !== undefined && now < lastEnd(stored.value.versions, stored.value.lifetime)) {
      // An attempt before this one may have made it: then it is dated by the slot.
      return attempt > 1 && dateOf(currentOf(stored.value.versions)) === slot ? 'generated' : 'exists'
    }
    const { rotation } = await this.#rotator.issue({ ...params, service } as GenerateInput, {
      rotationId: workId('rot', run, service),
      origin: { rule: rule.name, slot },
      actor,
      ...(reason !== undefined && { reason }),
    })
    return rotation.status === 'done' ? 'generated' : rotation.status
  }
}
