import { type Clock, systemClock } from '../kernel/clock.ts'
import { TokenwrightError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { signWebhook, type WebhookKey } from '../kernel/signed-webhook.ts'
import { checkBaseUrl } from './client.ts'
import type { Notice, Notify } from './notify.ts'

/** How {@link notifyByWebhook} sends. */
export interface NotifyByWebhookOptions {
  /** Where to: `https`, or `http` to this machine. */
  readonly url: string
  /** `whsec_` and the key in base64, or several while the receiver changes over. */
  readonly secret: WebhookKey | readonly WebhookKey[]
  /** Sends the request. Default: the runtime's `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Dates the signature. Default: the system's. */
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
  const url = checkBaseUrl('url', options.url)
  const send = options.fetch ?? ((target, init) => globalThis.fetch(target, init))
  // A key that can't be used is told now, and not with the first notice.
  signWebhook({ secret, id: 'check', timestamp: clock.now(), body: '' })
  let sent = 0
  return async (notice: Notice): Promise<void> => {
    sent += 1
    const body = JSON.stringify({ ...notice, type: `cloudflare.${notice.type}` })
    const id = `${notice.type}-${notice.at}-${sent}`
    const headers = { ...signWebhook({ secret, id, timestamp: clock.now(), body }), 'content-type': 'application/json' }
    const response = await send(url, { method: 'POST', headers, body, redirect: 'manual' })
    await response.body?.cancel()
    if (response.status < 200 || response.status > 299) throw new NotifyError(response.status)
  }
}
