import type { Clock } from '../kernel/clock.ts'
import type { Emitter, EventSink } from '../kernel/emitter.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import type { CloudflareEvents, SharedCloudflareEvents } from './events.ts'
import { NOTIFY_LIMIT_MS, type Notice, type Notify, noticeText } from './notify.ts'

const NOTICES: ReadonlySet<string> = new Set<Notice['type']>([
  'degraded',
  'recovered',
  'healed',
  'healFailed',
  'rolledBack',
  'expiringSoon',
  'circuitOpened',
])

/** Hands a healer's events on: to an emitter shared with others, and as notices to whoever is to be told. */
export class Announcer {
  readonly #clock: Clock
  readonly #own: Emitter<CloudflareEvents>
  readonly #sending = new Set<Promise<void>>()

  /**
   * @param own - the healer's emitter
   * @param shared - the other
   * @param notify - the host's callback
   * @param clock - limits the wait
   */
  constructor(
    own: Emitter<CloudflareEvents>,
    shared: EventSink<SharedCloudflareEvents> | undefined,
    notify: Notify | undefined,
    clock: Clock,
  ) {
    this.#clock = clock
    this.#own = own
    own.onAny((name, payload) => {
      if (name === 'listenerError') {
        const { event, error } = payload as { readonly event: string; readonly error: unknown }
        shared?.listenerFailed(`cloudflare.${event}`, error)
        return
      }
      shared?.emit(`cloudflare.${name}` as keyof SharedCloudflareEvents, payload as never)
      if (notify !== undefined && NOTICES.has(name)) this.#send(notify, name as Notice['type'], payload)
    })
  }

  /** Resolves when every notice is out, or takes too long. */
  async settled(): Promise<void> {
    await Promise.all(this.#sending)
  }

  #send(notify: Notify, type: Notice['type'], payload: object): void {
    const detail = payload as { readonly at: number; readonly target: string | { readonly name: string } }
    const target = typeof detail.target === 'string' ? detail.target : detail.target.name
    const text = noticeText(type, target, { ...payload })
    const notice: Notice = Object.freeze({ type, at: detail.at, target, text, detail: payload })
    const sent = withTimeLimit(this.#clock, NOTIFY_LIMIT_MS, async () => notify(notice))
      .catch((error: unknown) => this.#own.listenerFailed('notify', error))
      .then(() => void this.#sending.delete(sent))
    this.#sending.add(sent)
  }
}
