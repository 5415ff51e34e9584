import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { ChangeChannel } from '../stores/change-channel.ts'
import type { StoreChange } from '../stores/token-store.ts'
import type { RedisClient } from './redis-client.ts'

/** How a {@link RedisChangeChannel} is made. */
export interface RedisChangeChannelOptions {
  /** From `fromNodeRedis` or `fromIoredis`. */
  readonly client: RedisClient
  /** The pub/sub channel. All instances on one store use the same, those on another store another. Default `tokenwright:changes`. */
  readonly channel?: string | undefined
}

/** A message is a kind and an id with this between them; neither holds it. */
const SEPARATOR = '\n'

/**
 * Tells other instances by Redis pub/sub which tokens were changed, so that they drop what they remember of them. It
 * carries names and ids, no token and no digest. Messages may be lost: the bound is then the verifier's `maxStaleness`.
 *
 * @example
 * ```ts
 * const client = fromNodeRedis(await createClient().connect())
 * const tokens = new Tokenwright({ store, keys, channel: new RedisChangeChannel({ client }) })
 * ```
 */
export class RedisChangeChannel implements ChangeChannel {
  readonly #client: RedisClient
  readonly #channel: string

  /**
   * @param options - the client and the channel
   * @throws InvalidInputError for a client that is none, or an unknown option
   */
  constructor(options: RedisChangeChannelOptions) {
    checkFields('options', options, ['client', 'channel'])
    const { client, channel = 'tokenwright:changes' } = options
    if (typeof client?.publish !== 'function' || typeof client.subscribe !== 'function') {
      throw new InvalidInputError('client', 'is not a RedisClient', 'make one with fromNodeRedis or fromIoredis')
    }
    if (typeof channel !== 'string' || channel === '' || channel.length > 256) {
      throw new InvalidInputError('channel', 'must be a name of 1 to 256 characters', 'leave it out for the default')
    }
    this.#client = client
    this.#channel = channel
  }

  /** Tells the others of a change. */
  async publish({ kind, id }: StoreChange): Promise<void> {
    await this.#client.publish(this.#channel, kind + SEPARATOR + id)
  }

  /** Listens to the others, and to itself. Messages of another form are passed over. */
  async subscribe(onChange: (change: StoreChange) => void, onLost: () => void): Promise<() => Promise<void>> {
    let listening = true
    const onMessage = (message: string) => {
      const at = message.indexOf(SEPARATOR)
      if (!listening || at <= 0 || message.length > 1024) return
      onChange({ kind: message.slice(0, at), id: message.slice(at + 1) })
    }
    const stop = await this.#client.subscribe(this.#channel, onMessage, () => {
      if (listening) onLost()
    })
    return async () => {
      // A connection takes its time to close, a cluster's most of all: what comes meanwhile concerns nobody.
      listening = false
      await stop()
    }
  }
}
