import { type Clock, systemClock } from '../kernel/clock.ts'
import { TokenwrightError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { signWebhook, type WebhookKey } from '../kernel/signed-webhook.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import { webRandom } from '../kernel/web-random.ts'
import { checkFunction, checkUrl } from './client.ts'
import { NOTIFY_LIMIT_MS, type Notice, type Notify } from './notify.ts'

/** How {@link notifyByWebhook} sends. */
export interface NotifyByWebhookOptions {
  /** Where to: `https`, or `http` to this machine. */
  readonly url: string
  /** `whsec_` and the key in base64, or several while the receiver changes over. */
  readonly secret: WebhookKey | readonly WebhookKey[]
  /** Sends the request. Default: the runtime's `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Dates the signature, and limits the wait (10 s). Default: the system's. */
  readonly clock?: Clock | undefined
}

/** A receiver of notices didn't answer with 2xx. */
export class NotifyError extends TokenwrightError<'ERR_WEBHOOK'> {
  /** The status of the answer. */
  readonly status: number

  /** @param status - the status of the answer */
  constructor(status: number) {
    super('ERR_WEBHOOK', `the receiver of a notice answered ${status}`, {
      help: 'look at the receiver',
      retryable: true,
    })
    this.status = status
  }
}

/**
 * A `notify` option that posts each notice as JSON, signed as the Standard Webhooks specification asks
 * (https://www.standardwebhooks.com; `verifyWebhook` checks it). In a Worker it needs the compatibility flag `nodejs_compat`.
 *
 * @param options - where to, and the key
 * @throws InvalidInputError for a URL or a key that can't be used
 * @example
 * ```ts sketch
 * const notify = notifyByWebhook({ url: 'https://ops.example/cloudflare', secret: 'whsec_…' })
 * ```
 */
export function notifyByWebhook(options: NotifyByWebhookOptions): Notify {
  checkFields('options', options, ['url', 'secret', 'fetch', 'clock'])
  const { secret, clock = systemClock() } = options
  const url = checkUrl('url', options.url, "write 'https://ops.example/cloudflare'").href
  checkFunction('fetch', options.fetch)
  const send = options.fetch ?? ((target, init) => globalThis.fetch(target, init))
  // A key that can't be used is told now, and not with the first notice.
  signWebhook({ secret, id: 'check', timestamp: clock.now(), body: '' })
  // Receivers tell by it what they have had already: those of several healers must differ.
  const ids = new RisingIds(webRandom())
  return async (notice: Notice): Promise<void> => {
    const body = JSON.stringify({ ...notice, type: `cloudflare.${notice.type}` })
    const id = ids.next(clock.now())
    const headers = { ...signWebhook({ secret, id, timestamp: clock.now(), body }), 'content-type': 'application/json' }
    const status = await withTimeLimit(clock, NOTIFY_LIMIT_MS, async (signal) => {
      const response = await send(url, { method: 'POST', headers, body, redirect: 'manual', signal })
      await response.body?.cancel()
      return response.status
    })
    if (status < 200 || status > 299) throw new NotifyError(status)
  }
}
