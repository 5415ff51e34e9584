import { HealerStateError } from './errors.ts'
import { NO_MARK, type TargetMark } from './mark.ts'
import type { HealerState } from './state.ts'

const ATTEMPTS = 5

/**
 * Changes what is remembered of a token. Others may do so at the same time: `change` is called again on what they left.
 *
 * @returns what is remembered now
 * @throws HealerStateError when the state fails, or is changed all the time
 */
export async function updateMark(
  state: HealerState,
  token: string,
  change: (mark: TargetMark) => TargetMark,
): Promise<TargetMark> {
  let failure: unknown = new Error('it was changed all the time')
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const known = await state.mark(token)
      const next = change(known?.mark ?? NO_MARK)
      if (next === known?.mark || (await state.saveMark(token, known?.revision ?? 0, next))) return next
    } catch (error) {
      failure = error
      break
    }
  }
  throw new HealerStateError('remembering a token', failure)
}

/** What the state answers, or an error of ours. */
export async function ofState<T>(operation: string, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw new HealerStateError(operation, error)
  }
}
