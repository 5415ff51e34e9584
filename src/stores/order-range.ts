/** Where a page begins: strictly after this point in the direction of reading. */
export interface OrderPoint {
  readonly at: number
  readonly id: string
}

/** A range of one partition, bounds as in a ListQuery. */
export interface OrderRange {
  readonly part: string | undefined
  readonly from: number
  readonly to: number
  readonly reverse: boolean
  readonly after: OrderPoint | undefined
  readonly limit: number
}
