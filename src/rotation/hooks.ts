import type { Clock } from '../kernel/clock.ts'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import type { TokenView } from '../tokens/token-view.ts'
import type { RotationOrigin, RotationStep } from './rotation-record.ts'

/**
 * What a hook answers, now or by a promise. `ok` (or nothing): it is done. `rejected`: this value will never do, another is drawn. `unknown`:
 * it may or may not be done, the same value is tried again. A hook that throws, takes too long,
 * or answers something else has answered `unknown`.
 */
export type HookAnswer = 'ok' | 'rejected' | 'unknown'

/** What a hook is called with. */
export interface HookContext {
  /** The rotation's id: the same for every attempt, so that a hook can tell repetitions. */
  readonly rotationId: string
  readonly service: string
  /** The number of the version that the rotation makes. */
  readonly version: number
  /** What may be told of the token. */
  readonly record: TokenView
  /** 1 for the first attempt at this step. */
  readonly attempt: number
  /** Grows with every attempt: what carries a smaller one is late. */
  readonly fence: number
  /** Aborted when the attempt has taken too long, or the process stops. */
  readonly signal: AbortSignal
  /** The rule, slot or batch that it comes from; absent when somebody asked for it. */
  readonly origin?: RotationOrigin
}

/** What `publish` and `test` are called with. */
export interface ValueContext extends HookContext {
  /** The new text. */
  readonly token: string
}

/**
 * What a host does when a token gets a new version. Each answers with a {@link HookAnswer}, or nothing. Each may be called
 * several times for one rotation, and must then come to the same end.
 */
export interface RotationHooks {
  /** Hands the new value to its consumers. It verifies already. */
  readonly publish?: (context: ValueContext) => unknown
  /** Tries whether the consumers work with it, before the old value gets its deadline. */
  readonly test?: (context: ValueContext) => unknown
  /** What is left to do once the new version is current. */
  readonly finish?: (context: HookContext) => unknown
  /** Sends the consumers back to the value before. Without it, what may have been published stays valid until its deadline. */
  readonly rollback?: (context: HookContext) => unknown
}

/** Every hook, by its name. */
const HOOK_NAMES: readonly string[] = ['publish', 'test', 'finish', 'rollback']

/** The steps, in the order in which they are taken. */
const STEPS: readonly RotationStep[] = ['publish', 'test', 'finish']

/**
 * Checks the hooks of a host.
 *
 * @throws InvalidInputError for what are no functions, and unknown names
 */
export function checkHooks(field: string, hooks: unknown): RotationHooks {
  const given = checkFields(field, hooks, HOOK_NAMES)
  for (const name of HOOK_NAMES) {
    if (given[name] === undefined || typeof given[name] === 'function') continue
    throw new InvalidInputError(`${field}.${name}`, 'is not a function', 'give a function, or leave it out')
  }
  return given as RotationHooks
}

/** The hooks of each service; `*` stands in for those that a service doesn't have. */
export class HookRegistry {
  readonly #hooks: ReadonlyMap<string, RotationHooks>
  readonly #fallback: RotationHooks

  /**
   * @param hooks - by service, and `*` for all
   * @throws InvalidInputError for hooks that are none
   */
  constructor(hooks: { readonly [service: string]: RotationHooks } = {}) {
    if (typeof hooks !== 'object' || hooks === null) {
      throw new InvalidInputError('rotation.hooks', 'must be an object', "give { MY_API: { publish }, '*': { … } }")
    }
    const checked = Object.entries(hooks).map(([service, given]): [string, RotationHooks] => [
      service,
      checkHooks(`rotation.hooks.${service}`, given),
    ])
    this.#hooks = new Map(checked)
    this.#fallback = this.#hooks.get('*') ?? {}
  }

  /** The hooks of a service. */
  of(service: string): RotationHooks {
    const own = this.#hooks.get(service)
    return own === undefined ? this.#fallback : { ...this.#fallback, ...own }
  }
}

/** The steps for which there are hooks, in order. */
export function stepsOf(hooks: RotationHooks): readonly RotationStep[] {
  return STEPS.filter((step) => hooks[step] !== undefined)
}

/** What came of calling a hook. */
export interface HookOutcome {
  readonly answer: 'ok' | 'rejected' | 'unknown'
  /** The code of what it threw, or `rejected` or `unknown`. */
  readonly code: string
  /** What it threw. */
  readonly error?: unknown
}

/** Calls a hook, and waits for it at most `limitMs`. Never throws, unless `outer` ends the wait: then its reason. */
export async function callHook<C extends HookContext>(
  hook: (context: C) => unknown,
  context: Omit<C, 'signal'>,
  clock: Clock,
  limitMs: number,
  outer: AbortSignal,
): Promise<HookOutcome> {
  try {
    const answer = await withTimeLimit(clock, limitMs, (signal) => hook({ ...context, signal } as unknown as C), outer)
    if (answer === undefined || answer === 'ok') return { answer: 'ok', code: 'ok' }
    if (answer === 'rejected' || answer === 'unknown') return { answer, code: answer }
    const error = new InvalidInputError('hook', "answered neither 'ok', 'rejected' nor 'unknown'", 'answer one of them')
    return { answer: 'unknown', code: error.code, error }
  } catch (error) {
    outer.throwIfAborted()
    return { answer: 'unknown', code: codeOf(error), error }
  }
}
