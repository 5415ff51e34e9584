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
