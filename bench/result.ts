import type { Measured } from './measure.ts'

/** What a section measured of one case of the table of budgets. */
export interface Result extends Measured {
  /** The case, as in budgets.ts. */
  readonly id: string
  /** What else the reader should know. */
  readonly note?: string
}

/** Where a section hands its results, one by one, as they come. */
export type Report = (id: string, measured: Measured | number, note?: string) => void

/** Sent in place of results by a section that can't be measured here. */
export interface Skipped {
  /** Why, such as that no server answers. */
  readonly skipped: string
}

/** Where a section says that it can't be measured here. */
export type Skip = (why: string) => void
