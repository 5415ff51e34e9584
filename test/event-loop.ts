/** The longest turn of the event loop while something is done, and how long it took in all, ms. */
export async function turnsOf(
  work: () => Promise<unknown>,
): Promise<{ readonly longest: number; readonly total: number }> {
  const start = performance.now()
  let before = start
  let longest = 0
  let stop = false
  const turn = () => {
    const now = performance.now()
    longest = Math.max(longest, now - before)
    before = now
    if (!stop) setImmediate(turn)
  }
  turn()
  await work()
  stop = true
  turn()
  return { longest, total: performance.now() - start }
}
