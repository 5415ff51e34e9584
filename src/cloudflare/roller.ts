import type { Clock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import type { RotationHooks, ValueContext } from '../rotation/hooks.ts'
import type { TokenView } from '../tokens/token-view.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import { checkFunction } from './client.ts'
import { CloudflareApiError, RollUnknownError } from './errors.ts'
import type { CloudflareEvents } from './events.ts'
import { isClosed } from './fault.ts'
import { underLease } from './lease.ts'
import type { HealerState } from './state.ts'

/** How a token is rolled. */
export interface RollOptions {
  /** Hands the new value to its consumers: a hook as the Rotator has them, such as `publishToFile`. Default: only the caller gets it. */
  readonly publish?: RotationHooks['publish'] | undefined
  /** What the hook is told as `service`. Default: the target's name. */
  readonly service?: string | undefined
  /** Who asked for it. */
  readonly actor?: string | undefined
  /** Ends it before the value is rolled; afterwards it is only handed to the hook. */
  readonly signal?: AbortSignal | undefined
}

/** What `roll` answers. */
export interface RollResult {
  /** The target's name. */
  readonly target: string
  readonly tokenId: string
  /** The new value: the one time that it is told. The old one is dead already. */
  readonly token: string
  /** What the hook answered; `none` = there is no hook. With `unknown` or `rejected` the consumers may be without it. */
  readonly published: 'ok' | 'rejected' | 'unknown' | 'none'
}

/** One token to be rolled. */
export interface RollOrder {
  readonly name: string
  readonly family: Family
  readonly tokenId: string
  readonly rollId: string
  readonly options: RollOptions
  readonly run: Run
}

const PUBLISH_ATTEMPTS = 3
const PUBLISH_LIMIT_MS = 60_000
const PUBLISH_PAUSE_MS = 2000

/** What a {@link Roller} is made from. */
export interface RollerOptions {
  readonly api: CloudflareApi
  readonly clock: Clock
  readonly state: HealerState
  readonly events: EventSink<CloudflareEvents>
}

/** Rolls values: one request, never repeated, and the new value straight to its consumers. */
export class Roller {
  readonly #options: RollerOptions

  /** @param options - API, state, time */
  constructor(options: RollerOptions) {
    this.#options = options
  }

  /**
   * Rolls one token, under a lease: of two at once, one value would be dead before anybody has it.
   *
   * @throws HealHeldError when another is at the token; CloudflareApiError when Cloudflare refuses; the old value lives on
   * @throws RollUnknownError when the answer was lost
   */
  async roll(order: RollOrder): Promise<RollResult> {
    const { name, tokenId, rollId, run } = order
    return underLease(this.#options, { id: tokenId, name, holder: rollId }, () => {
      run.signal?.throwIfAborted()
      return this.#roll(order)
    })
  }

  async #roll(order: RollOrder): Promise<RollResult> {
    const { name, family, tokenId, run, options } = order
    let value: unknown
    try {
      value = (await this.#options.api.roll(family, tokenId, run)).result
    } catch (error) {
      if (!(error instanceof CloudflareApiError)) throw new RollUnknownError(name, { kind: 'network' })
      const { status } = error.fault
      const said = status !== undefined && status >= 400 && status < 500
      if (said || isClosed(error.fault)) throw error
      throw new RollUnknownError(name, error.fault)
    }
    if (typeof value !== 'string' || value.length < 20 || value.length > 512) {
      throw new RollUnknownError(name, { kind: 'unreadable', message: 'the answer holds no value' })
    }
    const published = options.publish === undefined ? 'none' : await this.#publish(order, options.publish, value)
    return { target: name, tokenId, token: value, published }
  }

  async #publish(
    order: RollOrder,
    publish: NonNullable<RotationHooks['publish']>,
    token: string,
  ): Promise<'ok' | 'rejected' | 'unknown'> {
    for (let attempt = 1; attempt <= PUBLISH_ATTEMPTS; attempt++) {
      const context = contextOf(order, token, attempt, this.#options.clock.now())
      let answer: unknown
      try {
        answer = await withTimeLimit(this.#options.clock, PUBLISH_LIMIT_MS, (signal) => publish({ ...context, signal }))
      } catch (error) {
        this.#options.events.listenerFailed('publish', error)
        answer = 'unknown'
      }
      if (answer === undefined || answer === 'ok') return 'ok'
      if (answer === 'rejected') return 'rejected'
      if (attempt < PUBLISH_ATTEMPTS) await this.#options.clock.sleep(PUBLISH_PAUSE_MS * attempt)
    }
    return 'unknown'
  }
}

/** What the hook is told: what a Rotator would tell it of a token of this library. */
function contextOf(
  { name, family, tokenId, rollId, options }: RollOrder,
  token: string,
  attempt: number,
  now: number,
): Omit<ValueContext, 'signal'> {
  const { kind, accountId } = family
  const service = options.service ?? name
  const record: TokenView = {
    id: tokenId,
    service,
    type: 'cloudflare',
    preview: '…',
    status: 'active',
    level: 'standard',
    scopes: [],
    metadata: { kind, ...(accountId !== undefined && { accountId }) },
    retrievable: false,
    createdAt: now,
    updatedAt: now,
    grace: 0,
    versions: [{ number: 1, state: 'current', preview: '…', createdAt: now }],
    revision: 0,
  }
  return { rotationId: rollId, service, version: 1, record, attempt, fence: attempt, token }
}

/** @throws InvalidInputError for a hook that is none */
export function checkRollOptions({ publish, service }: RollOptions): void {
  checkFunction('publish', publish)
  if (service !== undefined && (typeof service !== 'string' || service === '' || service.length > 128)) {
    throw new InvalidInputError('service', 'is no name', 'give 1 to 128 characters, or leave it out')
  }
}
