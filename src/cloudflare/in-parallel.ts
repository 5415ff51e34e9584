/**
 * Does something with each item, at most `limit` at a time; the results in the order of the items. The first failure ends it: no
 * further item is begun.
 */
export async function inParallel<T, R>(items: readonly T[], limit: number, act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array<R>(items.length)
  let next = 0
  let failed = false
  const work = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const at = next
      next += 1
      try {
        results[at] = await act(items[at] as T)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const workers = Array.from({ length: Math.min(limit, items.length) }, work)
  const settled = await Promise.allSettled(workers)
  for (const each of settled) if (each.status === 'rejected') throw each.reason
  return results
}
