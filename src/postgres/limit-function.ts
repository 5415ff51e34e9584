import { FUNCTION_SETTINGS } from './function-settings.ts'
import type { Names } from './names.ts'

/** How long a row is left alone at least, ms; how many are looked at when one is added: more than one, so that full ones go faster than others come. */
const LOOK_AFTER_MS = 60_000
const SWEEP = 2
/** Nobody waits longer for a bucket, ms. */
const LONGEST_MS = 40_000_000_000

/**
 * The function that reserves units of all limits of a key, or of none; or gives them back (a negative cost); or only tells
 * whether they could be had. The state of a key is one row, whose lock puts its callers into one line.
 *
 * The arithmetic is that of `access/gcra.ts`, in the same floating-point numbers: a unit adds `unit` to a level, a
 * millisecond drains `drain`. A limit that has changed keeps the share that is used up, told apart by its name. Those that
 * aren't named stay until they are full again: other instances may still know them, or know them already.
 *
 * Takes the names, and unit, drain, capacity and slack of each, as literals of arrays, and how long the row's lock is
 * waited for, ms; answers `granted:level,level`.
 */
export function limitFunction(n: Names): string {
  return `
CREATE FUNCTION ${n.reserve_1}(
  p_key text, p_cost float8, p_take boolean, p_names text, p_numbers text, p_wait int) RETURNS text
LANGUAGE plpgsql ${FUNCTION_SETTINGS}
AS $body$
DECLARE
  wanted text[] := p_names::text[];
  num float8[] := p_numbers::float8[];
  many int := cardinality(wanted);
  r record;
  w record;
  there boolean;
  granted boolean;
  time float8;
  j int;
  level float8;
  longest float8;
  new_levels float8[];
  new_at float8[];
  new_capacities float8[];
  new_drains float8[];
BEGIN
  PERFORM set_config('lock_timeout', p_wait::text, true);
  LOOP
    IF p_take THEN
      SELECT x.names, x.levels, x.at, x.capacities, x.drains INTO r FROM ${n.limits} x WHERE x.key = p_key FOR UPDATE;
    ELSE
      SELECT x.names, x.levels, x.at, x.capacities, x.drains INTO r FROM ${n.limits} x WHERE x.key = p_key;
    END IF;
    there := FOUND;
    -- Not before the lock is held: who waited for it would come out of the past.
    time := ${n.now_ms}();
    granted := true;
    new_levels := '{}';
    new_at := '{}';
    new_capacities := '{}';
    new_drains := '{}';
    longest := ${LOOK_AFTER_MS};
    FOR i IN 1 .. many LOOP
      level := 0;
      j := CASE WHEN NOT there THEN NULL WHEN r.names[i] = wanted[i] THEN i ELSE array_position(r.names, wanted[i]) END;
      IF j IS NOT NULL THEN
        level := greatest(0, r.levels[j] - greatest(0, time - r.at[j]) * r.drains[j]);
        IF r.capacities[j] <> num[4 * i - 1] OR r.drains[j] <> num[4 * i - 2] THEN
          level := least(num[4 * i - 1], ceil(level / r.capacities[j] * num[4 * i - 1]));
        END IF;
      END IF;
      IF p_cost > 0 AND level + p_cost * num[4 * i - 3] > num[4 * i - 1] + num[4 * i] THEN granted := false; END IF;
      new_levels := array_append(new_levels, level);
      new_at := array_append(new_at, time);
      new_capacities := array_append(new_capacities, num[4 * i - 1]);
      new_drains := array_append(new_drains, num[4 * i - 2]);
      longest := greatest(longest, num[4 * i - 1] / num[4 * i - 2]);
    END LOOP;
    EXIT WHEN NOT granted OR NOT p_take OR p_cost = 0 OR p_cost < 0 AND NOT there;

    FOR i IN 1 .. many LOOP
      new_levels[i] := greatest(0, new_levels[i] + p_cost * num[4 * i - 3]);
    END LOOP;
    IF there THEN
      IF r.names <> wanted THEN
        FOR i IN 1 .. cardinality(r.names) LOOP
          CONTINUE WHEN r.names[i] = ANY (wanted) OR r.levels[i] <= (time - r.at[i]) * r.drains[i];
          wanted := array_append(wanted, r.names[i]);
          new_levels := array_append(new_levels, r.levels[i]);
          new_at := array_append(new_at, r.at[i]);
          new_capacities := array_append(new_capacities, r.capacities[i]);
          new_drains := array_append(new_drains, r.drains[i]);
        END LOOP;
      END IF;
      UPDATE ${n.limits} x SET names = wanted, levels = new_levels, at = new_at, capacities = new_capacities,
        drains = new_drains WHERE x.key = p_key;
      EXIT;
    END IF;
    INSERT INTO ${n.limits} AS x (key, names, levels, at, capacities, drains, look_at)
      VALUES (p_key, wanted, new_levels, new_at, new_capacities, new_drains, time + least(longest, ${LONGEST_MS}))
      ON CONFLICT (key) DO NOTHING;
    -- Else somebody has just made the row: once more, with that.
    CONTINUE WHEN NOT FOUND;
    FOR w IN SELECT x.key, x.levels, x.at, x.drains FROM ${n.limits} x WHERE x.look_at <= time::bigint
        ORDER BY x.look_at LIMIT ${SWEEP} FOR UPDATE SKIP LOCKED LOOP
      longest := 0;
      FOR i IN 1 .. cardinality(w.levels) LOOP
        longest := greatest(longest, w.levels[i] / w.drains[i] - (time - w.at[i]));
      END LOOP;
      IF longest <= 0 THEN
        DELETE FROM ${n.limits} x WHERE x.key = w.key;
      ELSE
        UPDATE ${n.limits} x SET look_at = time + least(greatest(longest, ${LOOK_AFTER_MS}), ${LONGEST_MS})
          WHERE x.key = w.key;
      END IF;
    END LOOP;
    EXIT;
  END LOOP;
  RETURN granted::int || ':' || array_to_string(new_levels[1:many], ',');
END
$body$`
}
