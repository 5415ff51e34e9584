/**
 * Looks at the memory of this process again and again: the maximum that the system keeps counts the process that it was
 * forked from.
 *
 * @returns ends it, and answers the most that there was, MB
 */
export function watchMemory() {
  let most = 0
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss())
  }
  const looking = setInterval(look, 10)
  return () => {
    look()
    clearInterval(looking)
    return most / 1e6
  }
}
