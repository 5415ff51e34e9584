import type { ApprovalSettings } from './access/approval-gate.ts'
import type { RateLimiter } from './access/rate-limiter.ts'
import type { MaxTtl } from './access/scope-authorizer.ts'
import type { ScopeCatalog, ScopeCatalogOptions } from './access/scope-catalog.ts'
import type { RuleEngineSettings } from './automation/rule-engine.ts'
import type { CheckReport } from './automation/rule-runner.ts'
import type { BackupSettings } from './backup/backup-options.ts'
import type { TokenEvents } from './catalogue.ts'
import type { OutboxReport, OutboxSettings } from './events/outbox.ts'
import type { Subscriber } from './events/subscribers.ts'
import type { CleanupReport } from './issuing/cleanup.ts'
import type { GenerateDefaults } from './issuing/generator.ts'
import type { TokenAgesSettings } from './issuing/token-age-health.ts'
import type { FailMode } from './issuing/verifier.ts'
import type { AuditSettings } from './journal/audit-log.ts'
import type { Clock } from './kernel/clock.ts'
import type { Duration } from './kernel/duration.ts'
import type { Emitter } from './kernel/emitter.ts'
import type { Random } from './kernel/random.ts'
import type { RotationTick } from './rotation/rotation-turn.ts'
import type { RotationSettings } from './rotation/settings.ts'
import type { SignerSettings } from './signed/signer-options.ts'
import type { ChangeChannel } from './stores/change-channel.ts'
import type { TokenStore } from './stores/token-store.ts'
import type { FormatInput } from './tokens/format.ts'
import type { KeyInput, KeyRing } from './tokens/key-ring.ts'
import type { UsageOptions } from './usage/usage-tracker.ts'

/** What a `Tokenwright` is made from. Only `store` and `keys` have no default. */
export interface TokenwrightOptions {
  /** Where the records are. */
  readonly store: TokenStore
  /** A secret of at least 32 bytes (`generateSecret()` makes one), several keys with the active one first, or a ring. */
  readonly keys: string | readonly KeyInput[] | KeyRing
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Default: the system's. */
  readonly random?: Random | undefined
  /** Default: an emitter of its own. */
  readonly events?: Emitter<TokenEvents> | undefined
  /** The known scopes with their risk and tools; with it, unknown scopes are refused. */
  readonly scopes?: ScopeCatalog | ScopeCatalogOptions | undefined
  /** With it, calls of risky tools need an approval: by default those of critical risk. Needs `scopes`. */
  readonly approvals?: ApprovalSettings | undefined
  /** The longest life of signed tokens, by risk. Default: low and moderate 30 d, high 7 d, critical 24 h. */
  readonly maxTtl?: MaxTtl | undefined
  /** Forms with a prefix all of whose tokens carry a checksum: a typo is refused without a look-up. */
  readonly formats?: readonly FormatInput[] | undefined
  /** What new tokens get where the caller doesn't say. */
  readonly defaults?: GenerateDefaults | undefined
  /** Limits shared with other processes. Default: this process's own. */
  readonly limiter?: RateLimiter | undefined
  /** What to do when the store, the limiter or the request log doesn't answer. */
  readonly failMode?: FailMode | undefined
  /** What of the calls is written down. */
  readonly usage?: UsageOptions | undefined
  /** Where archives are kept, how many, and what else they hold. */
  readonly backups?: BackupSettings | undefined
  /** How long ended tokens stay before `tick()` removes them. Default 30 d; `false` = never by itself. */
  readonly retention?: Duration | false | undefined
  /** How signed tokens are made and proved. */
  readonly signed?: SignerSettings | undefined
  /** From when on `health()` counts a token as old, expiring or unused. */
  readonly ages?: TokenAgesSettings | undefined
  /** How rules are run on this instance. */
  readonly rules?: RuleEngineSettings | undefined
  /** How often the scheduler ticks. Default 5 s. */
  readonly tickInterval?: Duration | undefined
  /** How many proved strings are remembered, by their SHA-256. Default 65,536. */
  readonly cacheSize?: number | undefined
  /** On a store that is elsewhere: how old may be what was read of a token; 0 = every check reads. Default 5 s. */
  readonly maxStaleness?: Duration | undefined
  /** Tells of changes among processes, where the store's own `watch` doesn't: of tokens on a store that is elsewhere, of revocations and signing keys on any. */
  readonly channel?: ChangeChannel | undefined
  /** What is done when tokens get new versions: hooks, time limits, patience. */
  readonly rotation?: RotationSettings | undefined
  /** Checkpoints of the journal, and how long it is kept. */
  readonly audit?: AuditSettings | undefined
  /** Durable subscribers, who get every event at least once. Give every instance on a store the same. Default none. */
  readonly onEvent?: readonly Subscriber[] | undefined
  /** How events are handed to durable subscribers. */
  readonly outbox?: OutboxSettings | undefined
}

/** What one turn of `Tokenwright.tick` did. */
export interface TickReport {
  /** Expiry warnings sent. */
  readonly warned: number
  /** What was done for rotations; absent when that part failed. */
  readonly rotations?: RotationTick
  /** What became of events for durable subscribers; absent when that part failed. */
  readonly outbox?: OutboxReport
  /** What was removed and put away; absent when it wasn't due. */
  readonly cleanup?: CleanupReport
  /** What rules were run; absent when that failed, or isn't waited for. */
  readonly rules?: CheckReport
}

/** The options that there are. */
export const OPTIONS: readonly string[] = [
  ...['store', 'keys', 'clock', 'random', 'events', 'scopes', 'formats', 'defaults', 'limiter', 'failMode', 'usage'],
  ...['retention', 'ages', 'rules', 'tickInterval', 'cacheSize', 'maxStaleness', 'channel', 'rotation', 'audit'],
  ...['onEvent', 'outbox', 'backups', 'approvals', 'maxTtl', 'signed'],
]
