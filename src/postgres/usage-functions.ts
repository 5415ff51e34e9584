import { forget, REINDEXED } from './commit-function.ts'
import { FUNCTION_SETTINGS } from './function-settings.ts'
import type { Names } from './names.ts'

const FLUSHES_REMEMBERED = 100_000

/** The instant before which usage is kept by the day, as `dailyBefore` of stores/usage-rows.ts. */
const DAILY = (nowMs: string): string => `(floor((${nowMs}() - ${30 * 86_400_000}) / 86400000.0) * 86400000)::bigint`

const DAY_OF = (hour: string): string => `(floor(${hour} / 86400000.0) * 86400000)::bigint`

const SUMS = (n: Names): string => `
      ON CONFLICT (hour, token, tool, outcome) DO UPDATE SET calls = x.calls + excluded.calls, cost = x.cost + excluded.cost,
        failures = x.failures + excluded.failures, duration = x.duration + excluded.duration,
        latency = ${n.add_latency}(x.latency, excluded.latency), last_at = greatest(x.last_at, excluded.last_at)`

/**
 * The functions that add usage and that sum old hours up to days.
 *
 * Rows are taken in the order in which they come, which is that of their keys: two flushes don't wait for each other in a
 * circle. Summing up is a statement of its own for the same reason.
 */
export function usageFunctions(n: Names): readonly string[] {
  return [
    `
CREATE FUNCTION ${n.add_latency}(a float8[], b float8[]) RETURNS float8[] LANGUAGE sql IMMUTABLE
AS $body$
  SELECT CASE WHEN a IS NULL OR b IS NULL THEN coalesce(a, b)
    ELSE ARRAY(SELECT coalesce(t.x, 0) + coalesce(t.y, 0) FROM unnest(a, b) WITH ORDINALITY AS t(x, y, i) ORDER BY t.i) END
$body$`,
    `
CREATE FUNCTION ${n.add_usage_1}(p_text text) RETURNS text LANGUAGE plpgsql ${FUNCTION_SETTINGS}
AS $body$
DECLARE
  p jsonb := p_text::jsonb;
  w record;
  r record;
  num bigint;
  daily bigint := ${DAILY(n.now_ms)};
  activity int := (p->'q'->>0)::int;
  unused_ind int := (p->'q'->>2)::int;
  calls_ind int := (p->'q'->>3)::int;
  calls_now bigint;
  last_now bigint;
BEGIN
  INSERT INTO ${n.flushes} AS x (id, at) VALUES (p->>'id', ${n.now_ms}()) ON CONFLICT (id) DO NOTHING
    RETURNING x.n INTO num;
  IF NOT FOUND THEN RETURN 'added'; END IF;
  ${forget(n.flushes, n.now_ms, FLUSHES_REMEMBERED)}
  FOR w IN SELECT * FROM jsonb_to_recordset(p->'u') AS c(h bigint, t text, l text, r text, n bigint, c float8, f float8,
      d float8, y jsonb, z bigint) LOOP
    INSERT INTO ${n.usage} AS x (hour, token, tool, outcome, calls, cost, failures, duration, latency, last_at)
      VALUES (CASE WHEN w.h < daily THEN ${DAY_OF('w.h')} ELSE w.h END, w.t, w.l, w.r, w.n, w.c, w.f, w.d,
        CASE WHEN w.y IS NOT NULL THEN ARRAY(SELECT v::float8 FROM jsonb_array_elements_text(w.y) v) END, w.z)
      ${SUMS(n)};
  END LOOP;
  FOR w IN SELECT * FROM jsonb_to_recordset(p->'a') AS c(id text, n bigint, z bigint) LOOP
    SELECT x.body::json AS body, x.gone INTO r FROM ${n.record} x WHERE x.kind = activity AND x.id = w.id FOR UPDATE;
    -- After the first lock, as in a commit.
    IF NOT EXISTS (SELECT 1 FROM ${n.kind} x WHERE x.id = activity AND x.version = (p->'q'->>1)::int) THEN
      RAISE EXCEPTION 'tokenwright: try again' USING ERRCODE = '${REINDEXED}';
    END IF;
    CONTINUE WHEN r.gone IS DISTINCT FROM false;
    calls_now := (r.body->>'calls')::bigint + w.n;
    last_now := greatest((r.body->>'lastAt')::bigint, w.z);
    DELETE FROM ${n.ord} x WHERE x.id = w.id AND x.part = '' AND (
      x.ind = unused_ind AND x.at = (r.body->>'lastAt')::bigint OR x.ind = calls_ind AND x.at = (r.body->>'calls')::bigint);
    INSERT INTO ${n.ord} (ind, part, at, id)
      VALUES (unused_ind, '', last_now, w.id), (calls_ind, '', calls_now, w.id) ON CONFLICT DO NOTHING;
    UPDATE ${n.record} x SET body = '{"calls":' || calls_now || ',"lastAt":' || last_now || '}',
        o = jsonb_build_array(jsonb_build_array(unused_ind, '', last_now), jsonb_build_array(calls_ind, '', calls_now))
      WHERE x.kind = activity AND x.id = w.id;
  END LOOP;
  IF EXISTS (SELECT 1 FROM ${n.meta} x WHERE x.name = 'usage_rolled' AND x.value < daily) THEN RETURN 'roll'; END IF;
  RETURN 'added';
END
$body$`,
    `
CREATE FUNCTION ${n.roll_usage_1}(p_limit int) RETURNS text LANGUAGE plpgsql ${FUNCTION_SETTINGS}
AS $body$
DECLARE
  w record;
  rolled bigint;
  last bigint;
  num int := 0;
  daily bigint := ${DAILY(n.now_ms)};
BEGIN
  -- One at a time; another that comes meanwhile has nothing to do.
  SELECT x.value INTO rolled FROM ${n.meta} x WHERE x.name = 'usage_rolled' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND OR rolled >= daily THEN RETURN 'done'; END IF;
  FOR w IN SELECT x.hour, x.token, x.tool, x.outcome FROM ${n.usage} x WHERE x.hour >= rolled AND x.hour < daily
      ORDER BY x.hour, x.token, x.tool, x.outcome LIMIT p_limit LOOP
    num := num + 1;
    last := w.hour;
    CONTINUE WHEN w.hour = ${DAY_OF('w.hour')};
    WITH old AS (
      DELETE FROM ${n.usage} x
        WHERE x.hour = w.hour AND x.token = w.token AND x.tool = w.tool AND x.outcome = w.outcome RETURNING *
    ) INSERT INTO ${n.usage} AS x (hour, token, tool, outcome, calls, cost, failures, duration, latency, last_at)
      SELECT ${DAY_OF('o.hour')}, o.token, o.tool, o.outcome, o.calls, o.cost, o.failures, o.duration, o.latency, o.last_at
      FROM old o ${SUMS(n)};
  END LOOP;
  -- Within an hour that was cut in two it begins again: what has been summed up is gone from there.
  UPDATE ${n.meta} x SET value = CASE WHEN num < p_limit THEN daily ELSE last END WHERE x.name = 'usage_rolled';
  RETURN CASE WHEN num < p_limit THEN 'done' ELSE 'more' END;
END
$body$`,
  ]
}
