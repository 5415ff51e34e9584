import type { RuleRotateOptions, RuleRotator } from '../../src/automation/action.ts'
import { RuleEngine, type RuleEngineSettings } from '../../src/automation/rule-engine.ts'
import { type Clock, Emitter, MemoryTokenStore, type TokenEvents, type TokenStore } from '../../src/index.ts'
import { Generator } from '../../src/issuing/generator.ts'
import { Registry } from '../../src/issuing/registry.ts'
import { NoRecipientError } from '../../src/rotation/errors.ts'
import { Rotator } from '../../src/rotation/rotator.ts'
import { retryStale } from '../../src/stores/commit.ts'
import { Foundation } from '../../src/stores/foundation.ts'
import { activityId, activityKind } from '../../src/stores/usage-rows.ts'
import { fakeClock, recordEvents, seededRandom } from '../../src/testing/index.ts'
import { tokenKind } from '../../src/tokens/record.ts'
import { currentOf, supersede } from '../../src/tokens/versions.ts'

export const START = Date.UTC(2027, 0, 1)
export const SECOND = 1000
export const MINUTE = 60_000
export const HOUR = 3_600_000
export const DAY = 86_400_000

export const KEYS = 'a secret for rules, 0123456789 abcdefghij'

/** What the fake rotator has done, over all engines that share it. */
export interface Rotations {
  /** The ids of rotations that were begun, each once, with the token and the slot. */
  readonly done: Map<string, { readonly service: string; readonly slot: number | undefined }>
  /** The ids of batches, as often as they were called. */
  readonly batches: string[]
  /** Services that nothing would reach. */
  readonly nobody: Set<string>
  /** Thrown by the next calls. */
  readonly failures: unknown[]
  /** How every rotation stands afterwards. */
  status: string
}

export function rotations(): Rotations {
  return { done: new Map(), batches: [], nobody: new Set(), failures: [], status: 'done' }
}

/** A rotator that keeps to what automation asks of one, on the real store: the same rotationId is the same rotation. */
export function fakeRotator(base: Foundation<TokenEvents>, generator: Generator, log: Rotations): RuleRotator {
  const { store, clock, commits } = base
  const rotate = (ref: { readonly id: string }, options: RuleRotateOptions) =>
    retryStale(async () => {
      const failure = log.failures.shift()
      if (failure !== undefined) throw failure
      const id = options.rotationId ?? `r${log.done.size}`
      const rotation = { rotation: { id, status: log.status } }
      const stored = await store.get(tokenKind, ref.id)
      if (stored === undefined) throw new Error('no token')
      const { value: token, revision } = stored
      if (log.nobody.has(token.service)) throw new NoRecipientError(token.service)
      // Told by the version's preview, which holds the rotation's id: what a rotation record would tell.
      if (log.done.has(id) || token.versions.some((v) => v.preview === id)) return rotation
      const now = clock.now()
      const fresh = { preview: id, digests: { k: id } } as const
      const versions = supersede(token.versions.slice(-2), fresh, token.lifetime, now, HOUR).map((version) =>
        version.preview === id && options.origin?.slot !== undefined
          ? { ...version, datedAt: options.origin.slot }
          : version,
      )
      const { n } = currentOf(versions)
      const row = { kind: activityKind, id: activityId(ref.id, n), value: { calls: 0, lastAt: now } }
      await commits.write(
        options,
        [{ kind: tokenKind, id: ref.id, revision, to: { value: { ...token, versions } }, action: 'token.rotated' }],
        [row],
      )
      log.done.set(id, { service: token.service, slot: options.origin?.slot })
      return rotation
    })
  return {
    rotate,
    async issue(input, options) {
      const rotation = { rotation: { id: options.rotationId ?? '', status: log.status } }
      if (log.nobody.has(input.service)) throw new NoRecipientError(input.service)
      if (log.done.has(options.rotationId ?? '')) return rotation
      await generator.generate(input)
      log.done.set(options.rotationId ?? '', { service: input.service, slot: options.origin?.slot })
      return rotation
    },
    async bulkRotate({ services, olderThan, batchId = '', ...options }) {
      log.batches.push(batchId)
      const report = {
        total: 0,
        omitted: 0,
        rotated: 0,
        failed: [] as { code: string }[],
        skipped: [] as { code: string }[],
      }
      const to = olderThan === undefined ? undefined : clock.now() - Number(olderThan) + 1
      const page = await store.list(tokenKind, { index: 'rotated', to, limit: 1000 })
      for (const { id, value } of page.items) {
        if (services !== undefined && !services.includes(value.service)) continue
        options.signal?.throwIfAborted()
        report.total += 1
        if (log.nobody.has(value.service)) report.skipped.push({ code: 'no_recipient' })
        else {
          await rotate({ id }, { ...options, rotationId: `${batchId}.${id}` })
          report.rotated += 1
        }
      }
      return report
    },
    hasRecipient: (service, retrievable) => retrievable || !log.nobody.has(service),
  }
}

/** An instance: an engine with what it calls, on a store that others may share. */
export function instance(
  store: TokenStore,
  clock: Clock,
  options: RuleEngineSettings & { readonly log?: Rotations } = {},
) {
  const { log = rotations(), ...settings } = options
  const emitter = new Emitter<TokenEvents>()
  const seed = `rules ${Math.random()}`
  const base = Foundation.of<TokenEvents>({ store, keys: KEYS, clock, random: seededRandom(seed), events: emitter })
  const generator = new Generator({ foundation: base })
  const registry = new Registry({ foundation: base })
  const rotator = fakeRotator(base, generator, log)
  const rules = new RuleEngine({ ...settings, foundation: base, rotator, registry })
  const recorder = recordEvents(emitter)
  /** The payloads of one sort of event so far. */
  const of = (name: keyof TokenEvents): object[] =>
    recorder.events.filter((event) => event.name === name).map(({ payload }) => payload)
  const events = { of, names: () => recorder.names() }
  return { rules, generator, registry, base, log, events }
}

/** One instance on a memory store, with a clock that moves when told. */
export function setUp(options: Parameters<typeof instance>[2] = {}, start = START) {
  const clock = fakeClock({ now: start })
  const store = new MemoryTokenStore({ clock })
  return { clock, store, ...instance(store, clock, options) }
}

/** As {@link instance}, with a Rotator as services have it, and a consumer of every new value. */
export function realInstance(store: TokenStore, clock: Clock, settings: RuleEngineSettings = {}) {
  const base = Foundation.of<TokenEvents>({ store, keys: KEYS, clock })
  const published: string[] = []
  const publish = ({ service }: { readonly service: string }) => void published.push(service)
  const rotator = new Rotator({ foundation: base, rotation: { hooks: { '*': { publish } } } })
  const generator = new Generator({ foundation: base })
  const registry = new Registry({ foundation: base })
  const rules = new RuleEngine({ ...settings, foundation: base, rotator, registry })
  return { rules, rotator, generator, registry, published }
}
