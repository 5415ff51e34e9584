import Cloudflare from 'cloudflare'
import { expect, onTestFinished } from 'vitest'
import {
  type CloudflareClient,
  CloudflareTokenHealer,
  type CloudflareTokenHealerOptions,
  fromCloudflare,
  type HealerState,
  memoryState,
} from '../../src/cloudflare/index.ts'
import { KNOWN_GROUPS } from '../../src/cloudflare/known-groups.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import {
  CloudflareSimulator,
  type CloudflareSimulatorOptions,
  type EventRecorder,
  type FakeClock,
  fakeClock,
  recordEvents,
  type SimulatedPolicyInput,
} from '../../src/testing/index.ts'
import { breaches } from './openapi.ts'

/** What worlds are made with that don't say. */
export const defaults: { omission: 'keep' | 'clear' } = { omission: 'keep' }

/** The groups that most tests ask for. */
export const REQUIRED = ['Workers Scripts Write', 'D1 Write', 'Queues Write'] as const

/** The id of a group by its name. */
export const idOf = (name: string): string => KNOWN_GROUPS.find((group) => group.name === name)?.id ?? name

/** A fake clock on which a sleep passes at once: real requests are on their way between. */
export function patientClock(fake: FakeClock): Clock {
  return {
    now: () => fake.now(),
    monotonic: () => fake.monotonic(),
    setTimer: (delayMs, callback) => fake.setTimer(delayMs, callback),
    onJump: (listener) => fake.onJump(listener),
    sleep: async (delayMs, options) => {
      options?.signal?.throwIfAborted()
      await fake.advance(delayMs)
      options?.signal?.throwIfAborted()
    },
  }
}

/** A healer over the official client, over HTTP, with an account and its token. */
export interface World {
  readonly fake: FakeClock
  readonly clock: Clock
  readonly cloudflare: CloudflareSimulator
  readonly url: string
  readonly account: string
  /** The healer's own credential. */
  readonly own: { readonly id: string; readonly value: string }
  /** The token that is looked after. */
  readonly target: { readonly id: string; readonly value: string }
  readonly state: HealerState
  readonly client: CloudflareClient
  /** The official client, with another credential. */
  readonly clientOf: (value: string) => CloudflareClient
  readonly healer: (options?: Partial<CloudflareTokenHealerOptions>) => CloudflareTokenHealer
  readonly recorder: (healer: CloudflareTokenHealer) => EventRecorder<object>
}

/** What a world is made with. */
export interface WorldOptions extends CloudflareSimulatorOptions {
  /** What the target holds. Default: the first of {@link REQUIRED}, on its account. */
  readonly groups?: readonly string[]
  readonly policies?: (cloudflare: CloudflareSimulator, account: string) => readonly SimulatedPolicyInput[]
  /** Whether requests and answers are checked against the OpenAPI description at the end. Default true. */
  readonly described?: boolean
}

/** Makes one; it is closed when the test has ended, and every exchange compared with Cloudflare's own description. */
export async function setUp(options: WorldOptions = {}): Promise<World> {
  const { groups = [REQUIRED[0]], policies, described = true, ...behaviour } = options
  const fake = fakeClock()
  const clock = patientClock(fake)
  const cloudflare = new CloudflareSimulator({ clock, ...defaults, ...behaviour })
  const account = cloudflare.addAccount()
  const on = cloudflare.on(account)
  const own = cloudflare.addToken({
    account,
    name: 'healer',
    policies: [{ groups: ['Account API Tokens Write'], resources: on }],
  })
  const target = cloudflare.addToken({
    account,
    name: 'app',
    policies: policies?.(cloudflare, account) ?? [{ groups, resources: on }],
    expires_on: '2031-01-01T00:00:00Z',
  })
  const url = await cloudflare.listen()
  onTestFinished(async () => {
    await cloudflare.close()
    if (described) expect(cloudflare.requests.filter(({ faulty }) => !faulty).flatMap(breaches)).toEqual([])
  })
  const clientOf = (value: string) => fromCloudflare(new Cloudflare({ apiToken: value, baseURL: url }))
  const client = clientOf(own.value)
  const state = memoryState()
  const healer = (more: Partial<CloudflareTokenHealerOptions> = {}): CloudflareTokenHealer =>
    new CloudflareTokenHealer({
      client,
      clock,
      state,
      targets: [{ kind: 'account', accountId: account, tokenId: target.id, token: target.value }],
      required: [...REQUIRED],
      ...more,
    })
  return {
    ...{ fake, clock, cloudflare, url, account, own, target, state, client, clientOf, healer },
    recorder: (each) => recordEvents(each.events) as EventRecorder<object>,
  }
}
