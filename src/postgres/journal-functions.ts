import { FUNCTION_SETTINGS } from './function-settings.ts'
import type { Names } from './names.ts'

/**
 * The functions that seal the journal and that make index entries anew.
 *
 * Sealing is a compare-and-set on the head: whoever links entries to a head that has moved meanwhile has lost, and its
 * links are thrown away. The update of the head's row is the lock.
 */
export function journalFunctions(n: Names): readonly string[] {
  return [
    `
CREATE FUNCTION ${n.seal_1}(p_text text) RETURNS boolean LANGUAGE plpgsql ${FUNCTION_SETTINGS}
AS $body$
DECLARE
  p jsonb := p_text::jsonb;
  w record;
BEGIN
  UPDATE ${n.head} x SET seq = (p->'to'->>0)::bigint, mac = p->'to'->>1
    WHERE x.one AND x.seq = (p->'from'->>0)::bigint AND x.mac = p->'from'->>1;
  IF NOT FOUND THEN RETURN false; END IF;
  FOR w IN SELECT (e->>0)::bigint AS n, (e->>1)::bigint AS seq, e->>2 AS mac FROM jsonb_array_elements(p->'entries') e LOOP
    UPDATE ${n.journal} x SET seq = w.seq, mac = w.mac WHERE x.n = w.n AND x.seq IS NULL;
    IF NOT FOUND THEN RAISE EXCEPTION 'tokenwright: try again' USING ERRCODE = '40001'; END IF;
  END LOOP;
  RETURN true;
END
$body$`,
    `
CREATE FUNCTION ${n.reindex_1}(p_text text) RETURNS void LANGUAGE plpgsql ${FUNCTION_SETTINGS}
AS $body$
DECLARE
  w record;
BEGIN
  FOR w IN SELECT * FROM jsonb_to_recordset(p_text::jsonb) AS c(k int, id text, u jsonb, o jsonb) LOOP
    UPDATE ${n.record} x SET u = w.u, o = w.o WHERE x.kind = w.k AND x.id = w.id;
    INSERT INTO ${n.uniq} (ind, key, id)
      SELECT (e->>0)::int, e->>1, w.id FROM jsonb_array_elements(w.u) e;
    INSERT INTO ${n.ord} (ind, part, at, id)
      SELECT (e->>0)::int, e->>1, (e->>2)::bigint, w.id FROM jsonb_array_elements(w.o) e;
  END LOOP;
END
$body$`,
  ]
}
