import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { type Attribution, checkAttribution } from '../stores/commit.ts'
import { checkHooks, type RotationHooks } from './hooks.ts'
import type { RotationOrigin } from './rotation-record.ts'
import type { StartRequest, WhenInGrace } from './start.ts'

/** How to rotate. */
export interface RotateOptions extends Attribution {
  /**
   * How long the version before verifies on; it never lives past its own end. 0 is the emergency: the new version is
   * current before any hook is called, and every older version fails from its next verification on. Default: the token's
   * `grace`, else the host's, else 24 h.
   */
  readonly grace?: Duration | undefined
  /** The new text, where it isn't to be drawn. It must have the token's form, unless `force`. */
  readonly token?: string | undefined
  /** Takes a `token` of another form too. Default false. */
  readonly force?: boolean | undefined
  /**
   * What to do when an older version is in its grace still: `keep` it with the deadline that was announced (default),
   * `refuse` to rotate, or `endOldest`.
   */
  readonly whenInGrace?: WhenInGrace | undefined
  /** Names the rotation: the same id again answers the same rotation, and makes no new version. Default: a new one. */
  readonly rotationId?: string | undefined
  /** In the place of the registered hooks. No other process knows them: after a crash the rotation is given up, not resumed. */
  readonly hooks?: RotationHooks | undefined
  /** Ends the older versions once they are out of use. Default: the host's `rotation.retireWhenQuiet`. */
  readonly retireWhenQuiet?: boolean | undefined
  /** Where an unattended rotation comes from; with it, a new value that would reach nobody is refused. */
  readonly origin?: RotationOrigin | undefined
  /** Stops waiting for hooks: the rotation stays as it is then, for `tick()` or `resume()`. */
  readonly signal?: AbortSignal | undefined
}

const FIELDS: readonly string[] = [
  ...['grace', 'token', 'force', 'whenInGrace', 'rotationId', 'hooks', 'retireWhenQuiet', 'origin', 'signal'],
  ...['actor', 'reason'],
]

/**
 * Checks what was asked for.
 *
 * @param newId - makes an id where none is given
 * @throws InvalidInputError for anything that can't be used
 */
export function checkRotate(options: RotateOptions, newId: () => string): StartRequest {
  checkFields('options', options, FIELDS)
  const { grace, token, force = false, hooks, origin, rotationId, signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidInputError('signal', 'is not an AbortSignal', 'give that of an AbortController')
  }
  return {
    id: rotationId === undefined ? newId() : checkRotationId('rotationId', rotationId),
    by: checkAttribution(options),
    grace: grace === undefined ? undefined : parseDuration('grace', grace, { allowZero: true }),
    whenInGrace: checkWhenInGrace(options.whenInGrace),
    token,
    force,
    hooks: hooks === undefined ? undefined : checkHooks('hooks', hooks),
    origin: origin === undefined ? undefined : checkOrigin(origin),
    awaited: false,
    retireWhenQuiet: options.retireWhenQuiet === true,
  }
}

/**
 * Checks an id that the host gives.
 *
 * @throws InvalidInputError for anything but 1 to 128 letters, digits and `_ - . : @`
 */
export function checkRotationId(field: string, id: unknown): string {
  if (typeof id === 'string' && /^[A-Za-z0-9_.:@-]{1,128}$/.test(id)) return id
  throw new InvalidInputError(field, 'is not 1 to 128 letters, digits and _ - . : @', 'leave it out for a new one')
}

/**
 * Checks what is to be done with older versions in their grace.
 *
 * @throws InvalidInputError for anything else
 */
export function checkWhenInGrace(when: WhenInGrace | undefined): WhenInGrace {
  if (when === undefined || when === 'keep' || when === 'refuse' || when === 'endOldest') return when ?? 'keep'
  throw new InvalidInputError('whenInGrace', 'is unknown', "use 'keep', 'refuse' or 'endOldest'")
}

/**
 * Checks where a rotation comes from.
 *
 * @throws InvalidInputError for other fields, or values that are none
 */
export function checkOrigin(origin: RotationOrigin): RotationOrigin {
  const { rule, slot, batch } = checkFields('origin', origin, ['rule', 'slot', 'batch'])
  for (const [name, value] of Object.entries({ rule, batch })) {
    if (value === undefined || (typeof value === 'string' && value !== '' && value.length <= 256)) continue
    throw new InvalidInputError(`origin.${name}`, 'is not 1 to 256 characters', 'leave it out')
  }
  if (slot !== undefined && !(Number.isSafeInteger(slot) && (slot as number) >= 0)) {
    throw new InvalidInputError('origin.slot', 'is not an instant in epoch ms', 'leave it out')
  }
  return origin
}
