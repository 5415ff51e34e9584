import { sealContext } from '../issuing/new-token.ts'
import { furtherKeys, versionOf } from '../issuing/proof.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { isWellFormed } from '../tokens/format.ts'
import { type TokenRecord, type TokenVersion, tokenKind } from '../tokens/record.ts'
import { type RotationHooks, stepsOf } from './hooks.ts'
import { lossOf } from './rotation-changes.ts'
import type { Driven, StoredRotation } from './rotation-moves.ts'
import type { RotationParts } from './rotation-parts.ts'

/** A rotation that was taken up again. */
export interface Resumed extends Driven {
  /** It was given up because its text is lost, after its consumers may have been told: a fresh one should follow. */
  readonly lostText?: true
}

/**
 * Takes up rotations that a crash, a stall or a stop has left. With the text (from a sealed copy, or given) they go on
 * with the same value. Without it, a version that nobody depends on yet is replaced, and a pending one is given up
 * without hurting those who may have it.
 */
export class Resumption {
  readonly #parts: RotationParts

  /** @param parts - what the rotator is made of */
  constructor(parts: RotationParts) {
    this.#parts = parts
  }

  /**
   * Takes one up.
   *
   * @param given - the text of its version, where the caller has it
   * @param anew - counts its attempts from the start: somebody looked at it
   * @throws InvalidInputError when the text given isn't its version's
   */
  async resume(stored: StoredRotation, given: string | undefined, anew: boolean, outer: AbortSignal): Promise<Resumed> {
    const { base, moves, settings, driver } = this.#parts
    const { value: rotation } = stored
    const driven: Driven = { stored, text: undefined }
    if (rotation.status !== 'running' && rotation.status !== 'stalled') return driven
    const token = await base.store.get(tokenKind, rotation.token)
    const version = token?.value.versions.find((v) => v.n === rotation.version)
    const loss = lossOf(token, rotation, base.clock.now())
    if (token === undefined || version === undefined || loss !== undefined) {
      return moves.giveUp(driven, loss ?? 'token_revoked')
    }
    const text = this.#text(token.value, version, given)
    const staged = rotation.switchedAt === undefined
    const hooks = settings.hooks.of(rotation.service)
    if (!rotation.resumable) {
      return staged
        ? moves.abandon(driven, rotation.steps.includes('publish'), byNobody)
        : moves.giveUp(driven, 'not_resumable')
    }
    if (!anew && rotation.attempts >= settings.attempts)
      return moves.stall(driven, rotation.failure?.code ?? 'attempts')
    const attempts = anew ? 1 : rotation.attempts + 1
    if (text === undefined && rotation.step !== 'finish') return this.#withoutText(driven, hooks, anew, outer)
    const claimed = await moves.claim({ stored, text }, attempts)
    return claimed.lost === true ? claimed : driver.drive(claimed, hooks, outer, anew)
  }

  /** The text can't be had any more, and a step needs it. */
  async #withoutText(driven: Driven, hooks: RotationHooks, patient: boolean, outer: AbortSignal): Promise<Resumed> {
    const { moves, driver } = this.#parts
    const { value: rotation } = driven.stored
    // No other can be drawn: it waits for whoever has it.
    if (rotation.brought === true) return moves.stall(driven, 'text_lost')
    if (rotation.switchedAt !== undefined) {
      // It is current and nobody has it: another value takes its place, and is published.
      const fresh = await moves.regenerate(driven, false)
      return fresh.lost === true ? fresh : driver.drive(fresh, hooks, outer, patient)
    }
    const told = rotation.steps.includes('publish')
    const abandoned = await moves.abandon(driven, told, byNobody)
    const follows = told && abandoned.lost !== true && stepsOf(hooks).includes('publish')
    return follows ? { ...abandoned, lostText: true } : abandoned
  }

  /** The text of the rotation's version: given, or from its sealed copy. */
  #text(token: TokenRecord, version: TokenVersion, given: string | undefined): string | undefined {
    const { keys, clock } = this.#parts.base
    if (given === undefined) {
      return version.sealed === undefined ? undefined : keys.unseal(version.sealed, sealContext(token.id, version.n))
    }
    const known = typeof given === 'string' && isWellFormed(given)
    const digests = known ? [keys.digest(given), ...furtherKeys(keys, given, clock.now())] : []
    if (versionOf(token, digests)?.n === version.n) return given
    throw new InvalidInputError('token', "isn't the text of this rotation's version", 'leave it out')
  }
}

/** A process that takes up what another left does so of its own accord. */
const byNobody = {}
