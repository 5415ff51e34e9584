import type { Stored } from '../kernel/kind.ts'
import type { Foundation } from '../stores/foundation.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import { viewOf } from '../tokens/view.ts'
import type { RotationEvents } from './events.ts'
import { callHook, type HookOutcome, type RotationHooks } from './hooks.ts'
import { lossOf } from './rotation-changes.ts'
import type { Driven, RotationMoves } from './rotation-moves.ts'
import type { CheckedSettings } from './settings.ts'
import { judge } from './verdict.ts'

/**
 * Takes one rotation through its steps: calls a hook, judges its answer, makes the move. What hooks had done when a
 * process lost its lease they are asked to do again, with the same id.
 */
export class RotationDriver {
  readonly #base: Foundation<RotationEvents>
  readonly #moves: RotationMoves
  readonly #settings: CheckedSettings

  /**
   * @param base - store, time and events
   * @param moves - the moves
   * @param settings - time limits and patience
   */
  constructor(base: Foundation<RotationEvents>, moves: RotationMoves, settings: CheckedSettings) {
    this.#base = base
    this.#moves = moves
    this.#settings = settings
  }

  /**
   * Goes on until the rotation is done, has stalled, is another's, or `outer` is aborted.
   *
   * @param from - the rotation, leased by this process; its text is absent only when `finish` is all that is left
   * @param patient - whether it waits between attempts; otherwise the next is a later tick's
   */
  async drive(from: Driven, hooks: RotationHooks, outer: AbortSignal, patient: boolean): Promise<Driven> {
    let driven = from
    while (driven.stored.value.status === 'running' && driven.lost !== true) {
      const { store, clock } = this.#base
      const token = await store.get(tokenKind, driven.stored.value.token)
      // A value that was ended meanwhile must not be handed out over the one that took its place.
      const loss = lossOf(token, driven.stored.value, clock.now())
      if (token === undefined || loss !== undefined) return this.#moves.giveUp(driven, loss ?? 'token_revoked')
      const outcome = await this.#attempt(driven, token, hooks, outer)
      if (outcome === undefined) return this.#moves.letGo(driven)
      const verdict = judge(driven.stored.value, outcome, this.#settings)
      if (verdict.next === 'advance') driven = await this.#moves.advance(driven)
      else if (verdict.next === 'regenerate') driven = await this.#moves.regenerate(driven, true)
      else if (verdict.next === 'stall') driven = await this.#moves.stall(driven, outcome.code)
      else if (!patient) return this.#moves.putOff(driven, outcome.code, verdict.delayMs)
      else {
        driven = await this.#moves.again(driven, outcome.code, verdict.delayMs)
        if (driven.lost !== true && !(await this.#pause(verdict.delayMs, outer))) return this.#moves.letGo(driven)
      }
    }
    return driven
  }

  /** Calls the hook of the step; `undefined` when the wait was ended from outside. */
  async #attempt(
    { stored, text }: Driven,
    token: Stored<TokenRecord>,
    hooks: RotationHooks,
    outer: AbortSignal,
  ): Promise<HookOutcome | undefined> {
    const { value: rotation } = stored
    const { clock, events } = this.#base
    const hook = hooks[rotation.step]
    if (hook === undefined) return { answer: 'unknown', code: 'hook_missing' }
    const { rule, slot, batch } = rotation
    const unattended = rule !== undefined || batch !== undefined
    const context = {
      rotationId: rotation.id,
      service: rotation.service,
      version: rotation.version,
      record: viewOf(token, clock.now()),
      attempt: rotation.attempts,
      fence: rotation.fence,
      ...(text !== undefined && { token: text }),
      ...(unattended && { origin: { rule, slot, batch } }),
    }
    try {
      const call = hook as (context: object) => unknown
      const outcome = await callHook(call as never, context, clock, this.#settings.hookTimeout, outer)
      if (outcome.error !== undefined) events.listenerFailed(`rotation.${rotation.step}`, outcome.error)
      return outcome
    } catch (error) {
      if (outer.aborted) return undefined
      throw error
    }
  }

  /** Waits before the next attempt; false when the wait was ended from outside. */
  async #pause(delayMs: number, outer: AbortSignal): Promise<boolean> {
    try {
      await this.#base.clock.sleep(delayMs, { signal: outer })
      return true
    } catch (error) {
      if (outer.aborted) return false
      throw error
    }
  }
}
