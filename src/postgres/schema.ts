import { commitFunction } from './commit-function.ts'
import { journalFunctions } from './journal-functions.ts'
import { limitFunction } from './limit-function.ts'
import type { Names } from './names.ts'
import { usageFunctions } from './usage-functions.ts'

/** One step of the schema: the statements that make version n + 1 of version n. They run within one transaction. */
export type SchemaStep = (names: Names) => readonly string[]

/**
 * The steps from nothing to the present schema. A step that was released is never changed; what is new comes as another
 * step at the end. Functions carry a version in their names, so that instances of two releases can work side by side
 * while one replaces the other.
 *
 * `record` holds every record and tombstone, with the index entries that it has: `u` as [index, key], `o` as
 * [index, partition, position]. `uniq` and `ord` are the entries of all unique and order indexes, by the numbers in
 * `ind`; the partition of those that name none is the empty text. Texts that are compared are compared bytewise.
 */
export const SCHEMA_STEPS: readonly SchemaStep[] = [
  (n) => [
    `CREATE TABLE ${n.meta} (name text PRIMARY KEY, value bigint NOT NULL)`,
    `INSERT INTO ${n.meta} VALUES ('version', 0), ('usage_rolled', 0)`,
    `CREATE TABLE ${n.kind} (
       id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE, schema int NOT NULL,
       shape text NOT NULL, version int NOT NULL DEFAULT 1)`,
    `CREATE TABLE ${n.ind} (
       id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind int NOT NULL, sort text NOT NULL, name text NOT NULL,
       UNIQUE (kind, sort, name))`,
    `CREATE TABLE ${n.record} (
       kind int NOT NULL, id text COLLATE "C" NOT NULL, revision bigint NOT NULL, gone boolean NOT NULL,
       event_at bigint, body text NOT NULL, u jsonb NOT NULL, o jsonb NOT NULL, PRIMARY KEY (kind, id)
     ) WITH (fillfactor = 85)`,
    `CREATE TABLE ${n.uniq} (
       ind int NOT NULL, key text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, PRIMARY KEY (ind, key))`,
    `CREATE TABLE ${n.ord} (
       ind int NOT NULL, part text COLLATE "C" NOT NULL, at bigint NOT NULL, id text COLLATE "C" NOT NULL,
       PRIMARY KEY (ind, part, at, id))`,
    `CREATE TABLE ${n.journal} (
       n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seq bigint, mac text, kind text NOT NULL,
       subject text COLLATE "C" NOT NULL, body text NOT NULL)`,
    `CREATE UNIQUE INDEX ON ${n.journal} (seq) WHERE seq IS NOT NULL`,
    `CREATE INDEX ON ${n.journal} (subject, seq) WHERE seq IS NOT NULL`,
    `CREATE INDEX ON ${n.journal} (n) WHERE seq IS NULL`,
    `CREATE TABLE ${n.head} (one boolean PRIMARY KEY CHECK (one), seq bigint NOT NULL, mac text NOT NULL)`,
    `INSERT INTO ${n.head} VALUES (true, 0, '')`,
    `CREATE TABLE ${n.commits} (
       id text COLLATE "C" PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, at bigint NOT NULL, caller text NOT NULL,
       revisions text NOT NULL)`,
    `CREATE INDEX ON ${n.commits} (n)`,
    `CREATE TABLE ${n.flushes} (
       id text COLLATE "C" PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, at bigint NOT NULL)`,
    `CREATE INDEX ON ${n.flushes} (n)`,
    `CREATE TABLE ${n.usage} (
       hour bigint NOT NULL, token text COLLATE "C" NOT NULL, tool text COLLATE "C" NOT NULL,
       outcome text COLLATE "C" NOT NULL, calls bigint NOT NULL, cost float8 NOT NULL, failures float8 NOT NULL,
       duration float8 NOT NULL, latency float8[], last_at bigint NOT NULL, PRIMARY KEY (hour, token, tool, outcome))`,
    `CREATE INDEX ON ${n.usage} (token, hour)`,
    `CREATE SEQUENCE ${n.event_order}`,
    `CREATE FUNCTION ${n.now_ms}() RETURNS bigint LANGUAGE sql VOLATILE
       AS $body$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $body$`,
    ...usageFunctions(n),
    ...journalFunctions(n),
  ],
  // The levels of rate limits. Not logged: a crash of the server fills the buckets, as a restart does a process's own. An
  // update changes no index, so that it stays on its page; `look_at` is when it is worth looking whether a row is full.
  (n) => [
    `CREATE UNLOGGED TABLE ${n.limits} (
       key text COLLATE "C" PRIMARY KEY, names text[] NOT NULL, levels float8[] NOT NULL, at float8[] NOT NULL,
       capacities float8[] NOT NULL, drains float8[] NOT NULL, look_at bigint NOT NULL
     ) WITH (fillfactor = 50)`,
    `CREATE INDEX ON ${n.limits} (look_at)`,
    limitFunction(n),
  ],
  // A write may name the revision that it makes.
  (n) => [commitFunction(n)],
]
