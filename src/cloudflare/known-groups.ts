/** What a permission group applies to. */
export type Scope =
  | 'com.cloudflare.api.account'
  | 'com.cloudflare.api.account.zone'
  | 'com.cloudflare.api.user'
  | 'com.cloudflare.edge.r2.bucket'

/** The scopes by their short names. */
export const SCOPES: { readonly [name in 'account' | 'zone' | 'user' | 'bucket']: Scope } = {
  account: 'com.cloudflare.api.account',
  zone: 'com.cloudflare.api.account.zone',
  user: 'com.cloudflare.api.user',
  bucket: 'com.cloudflare.edge.r2.bucket',
}

/** A permission group as it is known here. */
export interface KnownGroup {
  readonly name: string
  readonly id: string
  readonly scope: Scope
}

/** The groups by what they apply to, each as `name id`; ids from a public mirror of the catalogue (2026). */
const BY_SCOPE: { readonly [scope in keyof typeof SCOPES]: readonly string[] } = {
  account: [
    'Workers Scripts Write e086da7e2179491d91ee5f35b3ca210a',
    'Workers Scripts Read 1a71c399035b4950a1bd1466bbe4f420',
    'Workers KV Storage Write f7f0eda5697f475c90846e879bab8666',
    'Workers KV Storage Read 8b47d2786a534c08a1f94ee8f9f599ef',
    'D1 Write 09b2857d1c31407795e75e3fed8617a1',
    'D1 Read 192192df92ee43ac90f2aeeffce67e35',
    'Workers R2 Storage Write bf7481a1826f439697cb59a20b22293e',
    'Workers R2 Storage Read b4992e1108244f5d8bfbd5744320c2e1',
    'Workers AI Write bacc64e0f6c34fc0883a1223f938a104',
    'Workers AI Read a92d2450e05d4e7bb7d0a64968f83d11',
    'AI Gateway Write 6c8a3737f07f46369c1ea1f22138daaf',
    'AI Gateway Read 4dc8917b4b40457d88d3035d5dadb054',
    'AI Gateway Run 644535f4ed854494a59cb289d634b257',
    'Queues Write 366f57075ffc42689627bcf8242a1b6d',
    'Queues Read 84a7755d54c646ca87cd50682a34bf7c',
    'Vectorize Write 64156ba5be47441096c83c7fc17c488b',
    'Vectorize Read 1799edaae5db489294430e20d9b519e0',
    'Hyperdrive Write 721b2f51fba74871bd361de65aeb7e03',
    'Hyperdrive Read 4d62ccf834df44808bc9283d65c4e4e9',
    'Workers Tail Read 05880cd1bdc24d8bae0be2136972816b',
    'Pages Write 8d28297797f24fb8a0c332fe0866ec89',
    'Pages Read e247aedd66bd41cc9193af0213416666',
    'Images Write 618ec6c64a3a42f8b08bdcb147ded4e4',
    'Images Read 0cf6473ad41449e7b7b743d14fc20c60',
    'Cloudflare Tunnel Write c07321b023e944ff818fec44d8203567',
    'Cloudflare Tunnel Read efea2ab8357b47888938f101ae5e053f',
    'Account Analytics Read b89a480218d04ceb98b4fe57ca29dc1f',
    'Account API Tokens Write 5bc3f8b21c554832afc660159ab75fa4',
    'Account API Tokens Read eb56a6953c034b9d97dd838155666f06',
    'Account Settings Write 1af1fa2adc104452b74a9a3364202f20',
    'Account Settings Read c1fde68c7bcc44588cbb6ddbc16d6480',
    'Billing Write 6c80e02421494afc9ae14414ed442632',
    'Billing Read 7cf72faf220841aabcfdfab81c43c4f6',
    'Secrets Store Write adc8fa2bc6124928a8b3314dc63a1235',
    'Pipelines Write e34111af393449539859485aa5ddd5bd',
    'Workers CI Write 2e095cf436e2455fa62c9a9c2e18c478',
    'Workers CI Read ad99c5ae555e45c4bef5bdf2678388ba',
    'Workers Observability Write 82c075da3f4647a2a03becd0fe240f8a',
    'Workers Containers Write bdbcd690c763475a985e8641dddc09f7',
    'Browser Rendering Write adddda876faa4a0590f1b23a038976e4',
    'Stream Write 714f9c13a5684c2885a793f5edb36f59',
    'Turnstile Sites Write 755c05aa014b4f9ab263aa80b8167bd8',
  ],
  zone: [
    'Zone Write e6d2666161e84845a636613608cee8d5',
    'Zone Read c8fed203ed3043cba015a93ad1616f1f',
    'DNS Write 4755a26eedb94da69e1066d98aa820be',
    'DNS Read 82e64a83756745bbbb1c9c2701bf816b',
    'Workers Routes Write 28f4b596e7d643029c524985477ae49a',
    'Workers Routes Read 2072033d694d415a936eaeb94e6405b8',
    'Cache Purge e17beae8b8cb423a99b1730f21238bed',
    'Analytics Read 9c88f9c5bce24ce7af9a958ba9c504db',
  ],
  user: [
    'API Tokens Write 686d18d5ac6c441c867cbf6771e58a0a',
    'API Tokens Read 0cc3a61731504c89b99ec1be78b77aa0',
    'User Details Write 55a5e17cc99e4a3fa1f3432d262f2e55',
    'User Details Read 8acbe5bb0d54464ab867149d7f7cf8ac',
    'Memberships Write 9201bc6f42d440968aaab0c6f17ebb1d',
    'Memberships Read 3518d0f75557482e952c6762d3e64903',
  ],
  bucket: [
    'Workers R2 Storage Bucket Item Write 2efd5506f9c8494dacb1fa10a3e7d5b6',
    'Workers R2 Storage Bucket Item Read 6a018a9f2fc74eb6b293b0c548f38b39',
  ],
}

/**
 * Groups by name and id, for messages, for the check of sensitive ones before anything is asked, and for fixtures. What is
 * written to a token is always resolved by the live catalogue: ids in public files are wrong often enough.
 */
export const KNOWN_GROUPS: readonly KnownGroup[] = (Object.keys(BY_SCOPE) as (keyof typeof SCOPES)[]).flatMap((scope) =>
  BY_SCOPE[scope].map((line) => ({ name: line.slice(0, -33), id: line.slice(-32), scope: SCOPES[scope] })),
)

/** The group that a credential needs to read and write tokens of a family. */
export const TOKEN_WRITE: { readonly [kind in 'account' | 'user']: string } = {
  account: 'Account API Tokens Write',
  user: 'API Tokens Write',
}

/**
 * Names that go round, such as `com.cloudflare.api.account.d1:edit`, and don't exist: what is meant by each, without the common
 * beginning.
 */
const DOTTED: { readonly [name: string]: string } = {
  'account.workers.script:edit': 'Workers Scripts Write',
  'account.workers.kv:edit': 'Workers KV Storage Write',
  'account.d1:edit': 'D1 Write',
  'account.workers.r2:edit': 'Workers R2 Storage Write',
  'account.ai:edit': 'Workers AI Write',
  'account.ai_gateway:edit': 'AI Gateway Write',
  'account.workers.queues:edit': 'Queues Write',
  'account.vectorize:edit': 'Vectorize Write',
  'account.hyperdrive:edit': 'Hyperdrive Write',
  'account.workers.tail:read': 'Workers Tail Read',
  'account.pages:edit': 'Pages Write',
  'account.images:edit': 'Images Write',
  'account.tunnel:edit': 'Cloudflare Tunnel Write',
  'account.workers.analytics_engine:edit': 'Account Analytics Read',
  'user.tokens:edit': 'API Tokens Write',
}

const DOTTED_PREFIX = 'com.cloudflare.api.'

/** Names of the dashboard that aren't the API's with another last word. */
const DASHBOARD: { readonly [name: string]: string } = {
  'Cloudflare Pages Edit': 'Pages Write',
  'Cloudflare Pages Read': 'Pages Read',
  'Cloudflare Images Edit': 'Images Write',
  'Workers Builds Configuration Edit': 'Workers CI Write',
  'Workers Builds Configuration Read': 'Workers CI Read',
}

/** A name as the API has it, and what is to be said of the spelling that was given. */
export interface Spelling {
  readonly name: string
  readonly warning?: string
}

/**
 * The API's name for a spelling: dotted names by a table, the dashboard's `Edit` for `Write`. `undefined` for a dotted name that
 * isn't in the table. Nothing is guessed from parts of names.
 */
export function spellingOf(given: string): Spelling | undefined {
  if (given.startsWith(DOTTED_PREFIX)) {
    const key = given.slice(DOTTED_PREFIX.length)
    if (!Object.hasOwn(DOTTED, key)) return undefined
    const name = DOTTED[key] as string
    return { name, warning: `'${given}' is no name that the API knows; the permission group is '${name}'` }
  }
  const shown = Object.hasOwn(DASHBOARD, given) ? DASHBOARD[given] : undefined
  if (shown !== undefined)
    return { name: shown, warning: `'${given}' is the dashboard's name; the API's is '${shown}'` }
  return { name: given }
}

/** The API's spelling of a dashboard name that ends in `Edit`; `Zaraz Edit` is one that really does. */
export function editAlias(given: string): string | undefined {
  return given.endsWith(' Edit') ? `${given.slice(0, -5)} Write` : undefined
}
