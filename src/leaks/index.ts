/** What helps against leaked tokens: the public names of this room. */
export { type LeakErrorCode, NoFormatsError } from './errors.ts'
export type { LeakEvents, ReportFailedEvent } from './events.ts'
export type { FetchKeys, KeysResponse } from './github-keys.ts'
export type { GithubAnswer, GithubRequest, HeaderReader, LeakFinding, LeakResponse } from './github-webhook.ts'
export {
  type GithubHandlerOptions,
  LeakKit,
  type LeakKitOptions,
  type ScanFinding,
  type ScanSource,
} from './leak-kit.ts'
export type { FoundSigned, FoundToken, SignedLookup, TokenLookup, TokenRevoker } from './token-lookup.ts'
