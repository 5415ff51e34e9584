/** The parts of the benchmark, in the order in which they run. */
export const SECTIONS = [
  'verify',
  'signed',
  'authorize',
  'generate',
  'limiter',
  'memory',
  'file-store',
  'postgres',
  'postgres-1m',
  'redis',
  'rules',
  'bulk',
  'journal',
  'backup',
  'middleware',
  'imports',
  'peers',
] as const

export type Section = (typeof SECTIONS)[number]

/** What a case is counted in. `H` is one raw HMAC of a token; `x` is a plain ratio, named in the case. */
export type Unit = 'H' | 'ms' | 'MB' | 'B' | 'x' | 'packages'

/** One line of the table. */
export interface Case {
  readonly id: string
  readonly section: Section
  readonly what: string
  readonly unit: Unit
  /** What it must not exceed, or must reach; absent = told, not gated. */
  readonly budget?: { readonly atMost: number } | { readonly atLeast: number }
  /** The cases of peers that stand beside it. */
  readonly peers?: readonly string[]
}

const VERIFY_PEERS = ['peer.prefixed-api-key', 'peer.passport-headerapikey', 'peer.better-auth.verify']

/** Every case, with what it must reach. */
export const CASES: readonly Case[] = [
  {
    id: 'verify.seen.100k',
    section: 'verify',
    what: 'verify, 100,000 stored, seen before',
    unit: 'H',
    budget: { atMost: 1 },
    peers: VERIFY_PEERS,
  },
  {
    id: 'verify.first.100k',
    section: 'verify',
    what: 'verify, 100,000 stored, first sight',
    unit: 'H',
    budget: { atMost: 1.9 },
  },
  {
    id: 'verify.seen.1m',
    section: 'verify',
    what: 'verify, 1,000,000 stored, seen before',
    unit: 'H',
    budget: { atMost: 1.1 },
  },
  {
    id: 'verify.first.1m',
    section: 'verify',
    what: 'verify, 1,000,000 stored, first sight',
    unit: 'H',
    budget: { atMost: 2 },
  },
  { id: 'verify.new.100k', section: 'verify', what: 'verify, 100,000 stored, first call of a process', unit: 'H' },
  { id: 'verify.uniform.1m', section: 'verify', what: 'verify, uniform over 200,000 of 1,000,000', unit: 'H' },
  {
    id: 'signed.hmac.first',
    section: 'signed',
    what: 'signed, compact, first sight',
    unit: 'H',
    budget: { atMost: 1.6 },
  },
  {
    id: 'signed.hmac.again',
    section: 'signed',
    what: 'signed, compact, seen before',
    unit: 'H',
    budget: { atMost: 1 },
  },
  {
    id: 'signed.jwt.first',
    section: 'signed',
    what: "signed, JWT (EdDSA), first sight, over jose's jwtVerify",
    unit: 'x',
    budget: { atMost: 1.1 },
  },
  {
    id: 'signed.jwt.again',
    section: 'signed',
    what: 'signed, JWT, seen before',
    unit: 'H',
    budget: { atMost: 1 },
    peers: ['peer.fast-jwt', 'peer.jsonwebtoken', 'peer.jose'],
  },
  {
    id: 'generate.text',
    section: 'generate',
    what: 'generate, text alone',
    unit: 'H',
    budget: { atMost: 0.35 },
    peers: ['peer.nanoid'],
  },
  {
    id: 'generate.memory',
    section: 'generate',
    what: 'generate, into the memory store',
    unit: 'H',
    budget: { atMost: 6 },
    peers: ['peer.better-auth.create'],
  },
  { id: 'limiter.slot', section: 'limiter', what: 'limiter, slot at hand', unit: 'H' },
  { id: 'limiter.key', section: 'limiter', what: 'limiter, by key', unit: 'H' },
  {
    id: 'limiter.reserve',
    section: 'limiter',
    what: 'limiter, reservation by key',
    unit: 'H',
    budget: { atMost: 0.09 },
    peers: ['peer.rate-limiter-flexible'],
  },
  {
    id: 'memory.token',
    section: 'memory',
    what: 'memory store, a token of 1,000,000',
    unit: 'B',
    budget: { atMost: 900 },
  },
  { id: 'memory.owned', section: 'memory', what: 'memory store, a token with owner and tag', unit: 'B' },
  { id: 'memory.cache', section: 'memory', what: 'verifier cache, a remembered string', unit: 'B' },
  {
    id: 'file.commit.cost',
    section: 'file-store',
    what: 'file store, a commit of 64 callers over its bare statements',
    unit: 'x',
    budget: { atMost: 1.5 },
  },
  {
    id: 'file.commit.group',
    section: 'file-store',
    what: 'file store, 64 callers over one, 5 ms a sync',
    unit: 'x',
    budget: { atLeast: 8 },
  },
  {
    id: 'file.writers.delay',
    section: 'file-store',
    what: 'file store, four writing processes: longest delay of an event loop',
    unit: 'ms',
    budget: { atMost: 50 },
  },
  {
    id: 'file.writers.share',
    section: 'file-store',
    what: 'file store, four writing processes: smallest share over an even one',
    unit: 'x',
    budget: { atLeast: 0.5 },
  },
  {
    id: 'file.open.ms',
    section: 'file-store',
    what: 'file store, open with 1,000,000 tokens',
    unit: 'ms',
    budget: { atMost: 100 },
  },
  {
    id: 'file.open.rss',
    section: 'file-store',
    what: 'file store, open with 1,000,000 tokens: memory',
    unit: 'MB',
    budget: { atMost: 200 },
  },
  {
    id: 'file.verify.warm',
    section: 'file-store',
    what: 'verify, file store, warm',
    unit: 'H',
    budget: { atMost: 1.2 },
  },
  {
    id: 'file.verify.exact',
    section: 'file-store',
    what: 'verify, file store, warm, crossProcessStaleness 0',
    unit: 'H',
    budget: { atMost: 2 },
  },
  {
    id: 'file.verify.cold',
    section: 'file-store',
    what: 'verify, file store, cold',
    unit: 'H',
    budget: { atMost: 12 },
  },
  {
    id: 'postgres.verify.warm',
    section: 'postgres',
    what: 'verify, PostgreSQL, warm',
    unit: 'H',
    budget: { atMost: 1 },
  },
  {
    id: 'postgres.verify.cold',
    section: 'postgres',
    what: 'verify, PostgreSQL, cold, over a raw select',
    unit: 'x',
    budget: { atMost: 1.3 },
  },
  {
    id: 'postgres.commit',
    section: 'postgres',
    what: 'PostgreSQL, a commit over a transaction by hand',
    unit: 'x',
    budget: { atMost: 1.5 },
  },
  { id: 'postgres.limiter', section: 'postgres', what: 'limiter, PostgreSQL, over a raw upsert', unit: 'x' },
  {
    id: 'postgres.processes',
    section: 'postgres',
    what: 'verify, PostgreSQL, two processes together over one',
    unit: 'x',
    budget: { atLeast: 1.7 },
  },
  {
    id: 'postgres.revocation.listen',
    section: 'postgres',
    what: 'a revocation holds in another process, by LISTEN',
    unit: 'ms',
    budget: { atMost: 1000 },
  },
  {
    id: 'postgres.revocation.stale',
    section: 'postgres',
    what: 'a revocation holds in another process, without a channel',
    unit: 'ms',
  },
  {
    id: 'postgres.1m.cold',
    section: 'postgres-1m',
    what: 'verify, PostgreSQL, cold, 1,000,000 stored over 10,000',
    unit: 'x',
    budget: { atMost: 1.5 },
  },
  {
    id: 'postgres.1m.due',
    section: 'postgres-1m',
    what: 'PostgreSQL, a page of what is due, 1,000,000 stored over 10,000',
    unit: 'x',
    budget: { atMost: 1.5 },
  },
  {
    id: 'redis.limiter',
    section: 'redis',
    what: 'limiter, Redis, over a raw EVALSHA',
    unit: 'x',
    budget: { atMost: 1.2 },
  },
  { id: 'redis.limiter.ioredis', section: 'redis', what: 'limiter, Redis by ioredis, over a raw EVALSHA', unit: 'x' },
  {
    id: 'redis.limiter.empty',
    section: 'redis',
    what: 'limiter, Redis, over a raw EVALSHA that does nothing',
    unit: 'x',
  },
  {
    id: 'redis.revocation',
    section: 'redis',
    what: 'a revocation holds in another process, by the channel in Redis',
    unit: 'ms',
    budget: { atMost: 1000 },
  },
  { id: 'authorize.1000', section: 'authorize', what: 'authorize, 1000 scopes', unit: 'H' },
  {
    id: 'authorize.growth',
    section: 'authorize',
    what: 'authorize, 1000 scopes over 10',
    unit: 'x',
    budget: { atMost: 1.2 },
  },
  {
    id: 'rules.idle',
    section: 'rules',
    what: 'rules, 1,000,000, a check with nothing due',
    unit: 'H',
    budget: { atMost: 0.01 },
  },
  {
    id: 'rules.select.1',
    section: 'rules',
    what: 'rules, 1,000,000, selecting what is due: 1',
    unit: 'H',
  },
  {
    id: 'rules.select.100',
    section: 'rules',
    what: 'rules, 1,000,000, selecting what is due: each of 100',
    unit: 'H',
    budget: { atMost: 0.5 },
  },
  {
    id: 'rules.select.1999',
    section: 'rules',
    what: 'rules, 1,000,000, selecting what is due: each of 1999',
    unit: 'H',
    budget: { atMost: 0.5 },
  },
  {
    id: 'rules.scan',
    section: 'rules',
    what: 'rules, a scan of 1,000,000 objects over selecting 100',
    unit: 'x',
    budget: { atLeast: 100 },
  },
  {
    id: 'rules.tokens.1999',
    section: 'rules',
    what: 'tokens, 1,000,000, selecting by age: each of 1999',
    unit: 'H',
    budget: { atMost: 0.5 },
  },
  { id: 'rules.run', section: 'rules', what: 'rules, 1,000,000, claim, run and ending of a slot', unit: 'H' },
  {
    id: 'journal.append',
    section: 'journal',
    what: 'journal: a durable commit of 64 callers over the same without an entry',
    unit: 'x',
    budget: { atMost: 1.15 },
  },
  {
    id: 'journal.append.one',
    section: 'journal',
    what: 'journal: a durable commit of one caller over the same without an entry',
    unit: 'x',
    budget: { atMost: 1.15 },
  },
  {
    id: 'journal.verify.rss',
    section: 'journal',
    what: 'journal: verify() of 1,000,000 entries, memory',
    unit: 'MB',
    budget: { atMost: 100 },
  },
  {
    id: 'bulk.speed',
    section: 'bulk',
    what: 'bulk rotation in the file store: how much faster than one at a time',
    unit: 'x',
    budget: { atLeast: 2 },
  },
  {
    id: 'bulk.delay',
    section: 'bulk',
    what: 'bulk rotation in the file store: longest delay of the event loop',
    unit: 'ms',
    budget: { atMost: 50 },
  },
  {
    id: 'backup.create.aes',
    section: 'backup',
    what: 'archive of 1,000,000 tokens, file store, over raw AES-256-GCM of the same bytes',
    unit: 'x',
  },
  {
    id: 'backup.create.sqlite',
    section: 'backup',
    what: "archive of 1,000,000 tokens, file store, over SQLite's own backup()",
    unit: 'x',
  },
  {
    id: 'backup.create.rss',
    section: 'backup',
    what: 'archive of 1,000,000 tokens, file store: memory',
    unit: 'MB',
    budget: { atMost: 150 },
  },
  {
    id: 'backup.restore.aes',
    section: 'backup',
    what: 'restore of 1,000,000 tokens into a file store, over raw AES-256-GCM of the same bytes',
    unit: 'x',
  },
  {
    id: 'backup.restore.rss',
    section: 'backup',
    what: 'restore of 1,000,000 tokens into a file store, by a BackupWorker: memory',
    unit: 'MB',
    budget: { atMost: 150 },
  },
  {
    id: 'backup.replace.rss',
    section: 'backup',
    what: "the same again in mode 'replace', with an archive of what is there: memory",
    unit: 'MB',
    budget: { atMost: 150 },
  },
  {
    id: 'backup.restore.here.rss',
    section: 'backup',
    what: "restore of 1,000,000 tokens into a file store, in the host's own thread: memory",
    unit: 'MB',
  },
  {
    id: 'middleware.express',
    section: 'middleware',
    what: 'Express middleware, CPU added to a request',
    unit: 'H',
    budget: { atMost: 3 },
  },
  {
    id: 'middleware.express.rate',
    section: 'middleware',
    what: 'Express, requests/s over bare',
    unit: 'x',
  },
  {
    id: 'middleware.fastify',
    section: 'middleware',
    what: 'Fastify middleware, CPU added to a request',
    unit: 'H',
    budget: { atMost: 3 },
  },
  {
    id: 'middleware.fastify.rate',
    section: 'middleware',
    what: 'Fastify, requests/s over bare',
    unit: 'x',
  },
  {
    id: 'imports.core',
    section: 'imports',
    what: 'import of the core entry, over an empty script',
    unit: 'ms',
    budget: { atMost: 60 },
  },
  {
    id: 'imports.peers',
    section: 'imports',
    what: 'optional peers that the core entry loads',
    unit: 'packages',
    budget: { atMost: 0 },
  },
  { id: 'peer.prefixed-api-key', section: 'peers', what: 'prefixed-api-key, check', unit: 'H' },
  { id: 'peer.passport-headerapikey', section: 'peers', what: 'passport-headerapikey, plain keys in a Map', unit: 'H' },
  { id: 'peer.better-auth.verify', section: 'peers', what: 'better-auth, verify, 1000 keys in memory', unit: 'H' },
  { id: 'peer.better-auth.create', section: 'peers', what: 'better-auth, create, in memory', unit: 'H' },
  { id: 'peer.fast-jwt', section: 'peers', what: 'fast-jwt, HS256, its cache on', unit: 'H' },
  { id: 'peer.jsonwebtoken', section: 'peers', what: 'jsonwebtoken, HS256', unit: 'H' },
  { id: 'peer.jose', section: 'peers', what: 'jose, HS256', unit: 'H' },
  { id: 'peer.nanoid', section: 'peers', what: 'nanoid customAlphabet, 64 characters', unit: 'H' },
  { id: 'peer.rate-limiter-flexible', section: 'peers', what: 'rate-limiter-flexible, memory', unit: 'H' },
]

/** The case of an id. */
export function caseOf(id: string): Case {
  const found = CASES.find((one) => one.id === id)
  if (found === undefined) throw new TypeError(`budgets.ts has no case ${id}`)
  return found
}

/** By what part a value misses its case's budget, 0.2 = a fifth too much or too little; 0 = it is met, or there is none. */
export function missedBy({ budget }: Case, value: number): number {
  if (budget === undefined) return 0
  if ('atMost' in budget) return value <= budget.atMost ? 0 : budget.atMost === 0 ? value : value / budget.atMost - 1
  return value >= budget.atLeast ? 0 : 1 - value / budget.atLeast
}
