/** A token with 10,000 policies is about 3 MB; the catalogue 100 kB. */
export const MAX_BODY = 8 * 1024 * 1024

/** A body was longer than any answer of this API. */
export class BodyTooLargeError extends Error {
  constructor() {
    super(`an answer is longer than ${MAX_BODY} bytes`)
    this.name = 'BodyTooLargeError'
  }
}

/**
 * The text of a response, read no further than {@link MAX_BODY}.
 *
 * @throws BodyTooLargeError; the signal's reason once aborted; what the connection throws
 */
export async function readBounded(response: Response, signal: AbortSignal | undefined): Promise<string> {
  const reader = response.body?.getReader()
  if (reader === undefined) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  const stop = (): void => void reader.cancel(signal?.reason).catch(() => {})
  signal?.addEventListener('abort', stop, { once: true })
  if (signal?.aborted === true) stop()
  try {
    for (;;) {
      const { done, value } = (await reader.read()) as { done: boolean; value?: Uint8Array }
      signal?.throwIfAborted()
      if (done || value === undefined) return text + decoder.decode()
      bytes += value.byteLength
      if (bytes > MAX_BODY) {
        stop()
        throw new BodyTooLargeError()
      }
      text += decoder.decode(value, { stream: true })
    }
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}
