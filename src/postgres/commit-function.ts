import { FUNCTION_SETTINGS } from './function-settings.ts'
import type { Names } from './names.ts'

/** SQLSTATEs of our own. */
export const KEY_TAKEN = 'TW001'
export const EVENT_EXISTS = 'TW002'
export const REINDEXED = 'TW003'

/** How many commits between two looks for old ones to forget, how many are forgotten at a time, and what is kept. */
const FORGET_EVERY = 256
const FORGET_AT_ONCE = 512
const COMMITS_REMEMBERED = 100_000
const REMEMBERED_MS = 24 * 3_600_000

/**
 * The statement that forgets old rows of `commits` or `flushes`, every now and then.
 *
 * @param keep - how many are kept whatever their age
 */
export function forget(table: string, nowMs: string, keep: number): string {
  return `
  IF num % ${FORGET_EVERY} = 0 THEN
    DELETE FROM ${table} WHERE id IN (
      SELECT id FROM ${table} WHERE n < num - ${keep} AND at < ${nowMs}() - ${REMEMBERED_MS} ORDER BY n
      LIMIT ${FORGET_AT_ONCE} FOR UPDATE SKIP LOCKED);
  END IF;`
}

/**
 * The function that does one commit: one statement, so one round trip and one transaction without a BEGIN. What refuses
 * the commit because of what it read is answered, not raised, before anything is written; only lost races for keys raise.
 *
 * It takes a {@link CommitDocument} as JSON. Rows are locked in the order in which they come there (by kind and id), keys
 * are claimed in their order, and what concerns one token's events is done under a lock of that token that is taken
 * before all others: so two commits don't wait for each other in a circle, save by swapping keys, which is retried.
 */
export function commitFunction(n: Names): string {
  return `
CREATE FUNCTION ${n.commit_2}(p_text text) RETURNS text LANGUAGE plpgsql ${FUNCTION_SETTINGS}
AS $body$
DECLARE
  p jsonb := p_text::jsonb;
  w record;
  r record;
  i int := 0;
  num bigint;
  stands bigint;
  changed boolean;
  claims boolean := false;
  guards boolean := false;
  stale text;
  removed text;
  due bigint;
  known text;
  known_by text;
  event_kind int := (p->'q'->>0)::int;
  order_ind int := (p->'q'->>1)::int;
  due_ind int := (p->'q'->>2)::int;
  before bigint[] := '{}';
  u_before jsonb[] := '{}';
  o_before jsonb[] := '{}';
  revisions bigint[] := array_fill(0::bigint, ARRAY[(p->>'m')::int]);
  tokens text[] := '{}';
  told text[] := '{}';
BEGIN
  -- The events of one token come and go one commit at a time.
  IF event_kind IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock(hashtext('${n.mark}'), l.h) FROM (
      SELECT DISTINCT hashtext(t.token) & 1023 AS h FROM (
        SELECT e->>1 AS token FROM jsonb_array_elements(p->'e') e
        UNION ALL
        SELECT point->>1 FROM jsonb_to_recordset(p->'w') AS c(k int, id text, a int)
          CROSS JOIN LATERAL (SELECT x.o FROM ${n.record} x WHERE x.kind = c.k AND x.id = c.id LIMIT 1) x
          CROSS JOIN LATERAL jsonb_array_elements(x.o) point
          WHERE c.k = event_kind AND c.a > 1 AND (point->>0)::int = order_ind
      ) t ORDER BY h) l;
  END IF;

  -- Lock what is there, and judge.
  FOR w IN SELECT * FROM jsonb_to_recordset(p->'w') AS c(k int, id text, x bigint, a int, i int, r bigint) LOOP
    SELECT x.revision, x.gone, x.u, x.o INTO r FROM ${n.record} x WHERE x.kind = w.k AND x.id = w.id FOR UPDATE;
    stands := coalesce(r.revision, 0);
    IF w.x >= 0 AND w.x <> stands THEN
      stale := jsonb_build_object('stale', jsonb_build_array(w.k, w.id, w.x, stands));
      EXIT;
    END IF;
    IF r.gone AND w.a > 0 THEN
      removed := jsonb_build_object('removed', jsonb_build_array(w.k, w.id));
    END IF;
    before := array_append(before, stands);
    u_before := array_append(u_before, r.u);
    o_before := array_append(o_before, r.o);
    IF w.a = 1 OR w.a = 2 THEN revisions[w.i] := coalesce(w.r, stands + 1); END IF;
  END LOOP;
  -- After the first lock: whoever makes indexes anew waits for us, or we have waited for him.
  SELECT count(*) INTO num FROM jsonb_array_elements(p->'k') v
    JOIN ${n.kind} x ON x.id = (v->>0)::int AND x.version = (v->>1)::int;
  IF num < jsonb_array_length(p->'k') THEN RETURN '{"reindexed":true}'; END IF;
  IF stale IS NOT NULL OR removed IS NOT NULL THEN
    SELECT x.revisions, x.caller INTO known, known_by FROM ${n.commits} x WHERE x.id = p->>'id';
    IF FOUND THEN RETURN jsonb_build_object('replayed', known::jsonb, 'by', known_by); END IF;
    RETURN coalesce(stale, removed);
  END IF;

  -- Claim the commit's id: the same one again waits here until this one has ended.
  INSERT INTO ${n.commits} AS x (id, at, caller, revisions)
    VALUES (p->>'id', ${n.now_ms}(), p->>'by', to_jsonb(revisions)::text)
    ON CONFLICT (id) DO NOTHING RETURNING x.n INTO num;
  IF NOT FOUND THEN
    SELECT x.revisions, x.caller INTO known, known_by FROM ${n.commits} x WHERE x.id = p->>'id';
    IF FOUND THEN RETURN jsonb_build_object('replayed', known::jsonb, 'by', known_by); END IF;
    RAISE EXCEPTION 'tokenwright: try again' USING ERRCODE = '40001';
  END IF;
  ${forget(n.commits, n.now_ms, COMMITS_REMEMBERED)}

  -- The records, and the entries that they give up or whose place is sure.
  FOR w IN SELECT * FROM jsonb_to_recordset(p->'w')
      AS c(k int, id text, x bigint, a int, b text, r bigint, e bigint, u jsonb, o jsonb) LOOP
    i := i + 1;
    stands := before[i];
    IF stands = 0 THEN
      CONTINUE WHEN w.a = 3 OR w.a = 0 AND w.x < 0;
      -- What is only expected to be absent is made, and taken away at the end: so nobody else can make it meanwhile.
      INSERT INTO ${n.record} (kind, id, revision, gone, event_at, body, u, o)
        VALUES (w.k, w.id, coalesce(w.r, 1), w.a = 2, w.e, coalesce(w.b, ''), coalesce(w.u, '[]'), coalesce(w.o, '[]'))
        ON CONFLICT (kind, id) DO NOTHING;
      IF NOT FOUND THEN RAISE EXCEPTION 'tokenwright: try again' USING ERRCODE = '40001'; END IF;
      guards := guards OR w.a = 0;
      CONTINUE WHEN w.a = 0;
      changed := w.o <> '[]';
      claims := claims OR w.u <> '[]';
    ELSE
      CONTINUE WHEN w.a = 0;
      IF w.a > 1 AND w.k = event_kind THEN
        tokens := tokens || ARRAY(
          SELECT point->>1 FROM jsonb_array_elements(o_before[i]) point WHERE (point->>0)::int = order_ind);
      END IF;
      IF u_before[i] <> w.u THEN
        FOR r IN SELECT (e->>0)::int AS ind, e->>1 AS key FROM jsonb_array_elements(u_before[i]) e
            EXCEPT SELECT (e->>0)::int, e->>1 FROM jsonb_array_elements(w.u) e LOOP
          DELETE FROM ${n.uniq} x WHERE x.ind = r.ind AND x.key = r.key;
        END LOOP;
        claims := claims OR w.u <> '[]';
      END IF;
      changed := o_before[i] <> w.o;
      IF changed THEN
        FOR r IN SELECT (e->>0)::int AS ind, e->>1 AS part, (e->>2)::bigint AS at FROM jsonb_array_elements(o_before[i]) e
            EXCEPT SELECT (e->>0)::int, e->>1, (e->>2)::bigint FROM jsonb_array_elements(w.o) e LOOP
          DELETE FROM ${n.ord} x WHERE x.ind = r.ind AND x.part = r.part AND x.at = r.at AND x.id = w.id;
        END LOOP;
      END IF;
      IF w.a = 3 THEN
        DELETE FROM ${n.record} x WHERE x.kind = w.k AND x.id = w.id;
      ELSE
        UPDATE ${n.record} x SET revision = coalesce(w.r, stands + 1), gone = w.a = 2, event_at = w.e, body = w.b, u = w.u, o = w.o
          WHERE x.kind = w.k AND x.id = w.id;
      END IF;
    END IF;
    IF changed THEN
      INSERT INTO ${n.ord} (ind, part, at, id)
        SELECT (e->>0)::int, e->>1, (e->>2)::bigint, w.id FROM jsonb_array_elements(w.o) e
        ON CONFLICT DO NOTHING;
    END IF;
  END LOOP;

  -- The keys that are taken, after all that are given up.
  IF claims THEN
    WITH claim AS (
      SELECT (e->>0)::int AS ind, e->>1 AS key, c.id FROM jsonb_to_recordset(p->'w') AS c(id text, u jsonb),
        jsonb_array_elements(c.u) e
    ), taken AS (
      INSERT INTO ${n.uniq} (ind, key, id) SELECT c.ind, c.key, c.id FROM claim c ORDER BY c.ind, c.key
      ON CONFLICT (ind, key) DO NOTHING RETURNING 1
    ) SELECT (SELECT count(*) FROM claim) - (SELECT count(*) FROM taken) INTO num;
    IF num > 0 THEN
      -- Some were there before: kept, or held by another.
      num := 0;
      FOR r IN SELECT c.k, c.id, (e->>0)::int AS ind, x.id AS holder
          FROM jsonb_to_recordset(p->'w') AS c(k int, id text, u jsonb) CROSS JOIN LATERAL jsonb_array_elements(c.u) e
          LEFT JOIN LATERAL (
            SELECT x.id FROM ${n.uniq} x WHERE x.ind = (e->>0)::int AND x.key = e->>1 LIMIT 1
          ) x ON true LOOP
        -- Given up by its holder since we wanted it.
        IF r.holder IS NULL THEN RAISE EXCEPTION 'tokenwright: try again' USING ERRCODE = '40001'; END IF;
        CONTINUE WHEN r.holder = r.id;
        RAISE EXCEPTION 'tokenwright: a key is held by another record' USING ERRCODE = '${KEY_TAKEN}',
          DETAIL = jsonb_build_object('ind', r.ind, 'holder', r.holder, 'removed', coalesce(
            (SELECT x.gone FROM ${n.record} x WHERE x.kind = r.k AND x.id = r.holder), false))::text;
      END LOOP;
    END IF;
  END IF;

  -- Events: those behind a removed one become due, then the new ones come.
  FOR w IN SELECT DISTINCT t FROM unnest(tokens) t LOOP
    SELECT x.id, x.o, x.event_at INTO r FROM ${n.record} x WHERE x.kind = event_kind AND x.id = (
      SELECT f.id FROM ${n.ord} f WHERE f.ind = order_ind AND f.part = w.t ORDER BY f.at, f.id LIMIT 1);
    CONTINUE WHEN NOT FOUND OR r.event_at IS NULL
      OR EXISTS (SELECT 1 FROM jsonb_array_elements(r.o) point WHERE (point->>0)::int = due_ind);
    UPDATE ${n.record} x SET revision = x.revision + 1, body = '{"dueAt":' || r.event_at || ',' || substr(x.body, 2),
        o = x.o || jsonb_build_array(jsonb_build_array(due_ind, '', r.event_at))
      WHERE x.kind = event_kind AND x.id = r.id;
    INSERT INTO ${n.ord} (ind, part, at, id) VALUES (due_ind, '', r.event_at, r.id);
    told := told || r.id;
  END LOOP;
  FOR w IN SELECT e->>0 AS id, e->>1 AS token, (e->>2)::bigint AS at, e->>3 AS b
      FROM jsonb_array_elements(p->'e') e LOOP
    IF EXISTS (SELECT 1 FROM ${n.record} x WHERE x.kind = event_kind AND x.id = w.id) THEN
      RAISE EXCEPTION 'tokenwright: an event of that id exists' USING ERRCODE = '${EVENT_EXISTS}', DETAIL = w.id;
    END IF;
    due := CASE WHEN EXISTS (SELECT 1 FROM ${n.ord} f WHERE f.ind = order_ind AND f.part = w.token) THEN NULL ELSE w.at END;
    num := nextval('${n.event_order}');
    INSERT INTO ${n.record} (kind, id, revision, gone, event_at, body, u, o) VALUES (event_kind, w.id, 1, false, w.at,
      '{"order":' || num || coalesce(',"dueAt":' || due, '') || ',' || substr(w.b, 2), '[]',
      jsonb_build_array(jsonb_build_array(order_ind, w.token, num))
        || CASE WHEN due IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_array(due_ind, '', due)) END)
      ON CONFLICT (kind, id) DO NOTHING;
    IF NOT FOUND THEN RAISE EXCEPTION 'tokenwright: try again' USING ERRCODE = '40001'; END IF;
    INSERT INTO ${n.ord} (ind, part, at, id) VALUES (order_ind, w.token, num, w.id);
    IF due IS NOT NULL THEN INSERT INTO ${n.ord} (ind, part, at, id) VALUES (due_ind, '', due, w.id); END IF;
    told := told || w.id;
  END LOOP;

  IF guards THEN
    FOR w IN SELECT * FROM jsonb_to_recordset(p->'w') AS c(k int, id text, x bigint, a int) LOOP
      CONTINUE WHEN w.a <> 0 OR w.x <> 0;
      DELETE FROM ${n.record} x WHERE x.kind = w.k AND x.id = w.id;
    END LOOP;
  END IF;
  INSERT INTO ${n.journal} (kind, subject, body)
    SELECT j->>0, j->>1, j->>2 FROM jsonb_array_elements(p->'j') WITH ORDINALITY AS t(j, at) ORDER BY t.at;
  IF p ? 'n' THEN
    PERFORM pg_notify('${n.channel}', m) FROM jsonb_array_elements_text(p->'n') m;
  END IF;
  RETURN jsonb_build_object('revisions', to_jsonb(revisions), 'told', to_jsonb(told));
END
$body$`
}
