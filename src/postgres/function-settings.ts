/**
 * What every function of the store is set to. Plans are made once for each connection, often while the tables are still
 * small: they are held to the indexes, whatever the statistics say, and joins of tables are avoided in the functions. The lock of another writer is waited for 5 s at most.
 */
export const FUNCTION_SETTINGS = `
  SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off
  SET enable_mergejoin = off SET jit = off`
