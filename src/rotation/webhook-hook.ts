import { type Clock, systemClock } from '../kernel/clock.ts'
import { InvalidInputError, TokenwrightError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { signWebhook, type WebhookKey } from '../kernel/signed-webhook.ts'
import type { HookAnswer, ValueContext } from './hooks.ts'

/** How {@link publishToWebhook} sends. */
export interface PublishToWebhookOptions {
  /** Where to. It carries the value: `https`, or `http` to this machine. */
  readonly url: string | URL
  /** `whsec_` and the key in base64, or several while the receiver changes over. */
  readonly secret: WebhookKey | readonly WebhookKey[]
  /** Further headers. */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** Allows `http` to other machines. Default false. */
  readonly allowInsecure?: boolean | undefined
  /** Sends the request. Default: the runtime's `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Dates the signature. Default: the system's. */
  readonly clock?: Clock | undefined
}

/** A webhook wasn't taken: its receiver didn't answer with 2xx. */
export class WebhookError extends TokenwrightError<'ERR_WEBHOOK'> {
  /** The status of the answer. */
  readonly status: number

  /** @param status - the status of the answer */
  constructor(status: number) {
    super('ERR_WEBHOOK', `the receiver of a webhook answered ${status}`, {
      help: 'look at the receiver; 422 says that another value is wanted',
      retryable: true,
    })
    this.status = status
  }
}

/**
 * A `publish` hook that posts the new value to a URL, signed as the Standard Webhooks specification asks
 * (https://www.standardwebhooks.com; `verifyWebhook` checks it). The body is JSON: `{ type: 'token.publish', service, token,
 * version, rotation }`. A receiver answers 2xx when it has the value, and 422 when this value will never do. It gets a value again when
 * an answer is lost, with the same `webhook-id`. Redirections aren't followed.
 *
 * @param options - where to, and the key
 * @throws InvalidInputError for a URL or a key that can't be used
 * @example
 * ```ts
 * const publish = publishToWebhook({ url: 'https://consumer.example/tokens', secret: 'whsec_…' })
 * ```
 */
export function publishToWebhook(options: PublishToWebhookOptions): (context: ValueContext) => Promise<HookAnswer> {
  checkFields('options', options, ['url', 'secret', 'headers', 'allowInsecure', 'fetch', 'clock'])
  const { secret, clock = systemClock() } = options
  const headers = parseHeaders(options.headers)
  const url = parseUrl(options.url, options.allowInsecure === true)
  const send = options.fetch ?? ((target, init) => globalThis.fetch(target, init))
  // A key that can't be used is told now, and not at the first rotation.
  signWebhook({ secret, id: 'check', timestamp: clock.now(), body: '' })
  return async ({ rotationId, service, token, version, signal }) => {
    const body = JSON.stringify({ type: 'token.publish', service, token, version, rotation: rotationId })
    const id = `${rotationId.replaceAll(/[^A-Za-z0-9_-]/g, '-')}-${version}`
    const signed = signWebhook({ secret, id, timestamp: clock.now(), body })
    const sent = { ...headers, ...signed, 'content-type': 'application/json' }
    const response = await send(url, { method: 'POST', headers: sent, body, redirect: 'manual', signal })
    await response.body?.cancel()
    if (response.status === 422) return 'rejected'
    if (response.status < 200 || response.status > 299) throw new WebhookError(response.status)
    return 'ok'
  }
}

/** In lower case, so that none stands beside one of ours. What `fetch` would refuse is refused here: its message holds the value. */
function parseHeaders(headers: PublishToWebhookOptions['headers']): { readonly [name: string]: string } {
  try {
    return Object.fromEntries(new Headers(headers))
  } catch {
    throw new InvalidInputError('headers', 'hold what no header can', 'give names and values without line breaks')
  }
}

function parseUrl(input: string | URL, allowInsecure: boolean): URL {
  let url: URL
  try {
    url = new URL(input)
  } catch {
    throw new InvalidInputError('url', 'is not a URL', "write 'https://consumer.example/tokens'")
  }
  // `fetch` refuses them at the first rotation, with a message that holds them.
  if (url.username !== '' || url.password !== '') {
    throw new InvalidInputError('url', 'holds a name or a password', 'send them in a header')
  }
  const local = url.hostname === 'localhost' || url.hostname === '127.0.0.1' || url.hostname === '[::1]'
  if (url.protocol === 'https:' || (url.protocol === 'http:' && (local || allowInsecure))) return url
  throw new InvalidInputError('url', 'would carry the value in the clear', 'use https, or set allowInsecure')
}
