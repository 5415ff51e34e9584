import { expect, it } from 'vitest'
import { RecentMap } from '../../src/stores/recent-map.ts'

it('remembers at least the last entries and at most twice as many', () => {
  const map = new RecentMap<number>(100)
  for (let n = 0; n < 5000; n++) {
    map.set(`k${n}`, n)
    for (const back of [0, 50, 99]) if (n >= back) expect(map.get(`k${n - back}`)).toBe(n - back)
    expect(map.get(`k${n - 200}`)).toBe(undefined)
  }
})
