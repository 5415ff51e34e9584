import { createHmac, type KeyObject } from 'node:crypto'

/** A figure with its range over several runs. */
export interface Measured {
  /** The median of the runs. */
  readonly value: number
  readonly low: number
  readonly high: number
}

/** Something whose speed is measured. */
export interface Subject {
  /** One operation, the `i`-th since the start. A promise is awaited before the next. */
  readonly run: (i: number) => unknown
  /** Whether `run` answers promises. Default false. */
  readonly async?: boolean
  /** Called before each slice, outside of the time measured. */
  readonly before?: () => unknown
  /** Operations in a slice. Default: as many as take about {@link SLICE_MS}. */
  readonly operations?: number
}

/** How long a slice of one subject takes before it is the other's turn, ms. */
export const SLICE_MS = 12
/** Pairs of slices in a run. */
const PAIRS = 31
/** Runs of a case. */
const RUNS = 3
const WARM_UP_MS = 400

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new TypeError('nothing was measured')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/** The median of the runs and their range. */
export function summarize(runs: readonly number[]): Measured {
  return { value: median(runs), low: Math.min(...runs), high: Math.max(...runs) }
}

/** Two slices that were measured one after the other, in time an operation (any unit, the same for both). */
export interface Pair {
  readonly reference: number
  readonly subject: number
}

/** One run: the median of the pairs' ratios. What slows the machine down for a while slows both halves of a pair. */
export function ratioOf(pairs: readonly Pair[]): number {
  return median(pairs.map((pair) => pair.subject / pair.reference))
}

/** How {@link measure} measures; the defaults are what the table is made with. */
export interface MeasureOptions {
  readonly pairs?: number
  readonly runs?: number
  readonly warmUpMs?: number
  readonly sliceMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * The time of a subject over the time of a reference: slices of both take turns; a run is the median of the ratios of
 * its pairs, and the result is the median of the runs.
 */
export async function measure(subject: Subject, reference: Subject, options: MeasureOptions = {}): Promise<Measured> {
  const {
    pairs = PAIRS,
    runs = RUNS,
    warmUpMs = WARM_UP_MS,
    sliceMs = SLICE_MS,
    now = () => performance.now(),
  } = options
  const a = new Slices(reference, now)
  const b = new Slices(subject, now)
  await a.warmUp(warmUpMs, sliceMs)
  await b.warmUp(warmUpMs, sliceMs)
  const ratios: number[] = []
  for (let run = 0; run < runs; run++) {
    const measured: Pair[] = []
    for (let p = 0; p < pairs; p++) measured.push({ reference: await a.slice(), subject: await b.slice() })
    ratios.push(ratioOf(measured))
  }
  return summarize(ratios)
}

/** One subject, cut into slices. */
class Slices {
  readonly #subject: Subject
  readonly #now: () => number
  #operations: number
  #next = 0

  constructor(subject: Subject, now: () => number) {
    this.#subject = subject
    this.#now = now
    this.#operations = subject.operations ?? 1
  }

  /** Runs until the time is over, and finds how many operations make a slice. */
  async warmUp(warmUpMs: number, sliceMs: number): Promise<void> {
    const until = this.#now() + warmUpMs
    let perOperation: number
    do {
      perOperation = await this.slice()
      if (this.#subject.operations === undefined) {
        const wanted = Math.round(sliceMs / Math.max(perOperation, 1e-7))
        this.#operations = Math.max(1, Math.min(wanted, this.#operations * 4))
      }
    } while (this.#now() < until)
  }

  /** Runs a slice and answers the time of an operation, ms. */
  async slice(): Promise<number> {
    const { run, async: waits, before } = this.#subject
    const waiting = before?.()
    if (waiting instanceof Promise) await waiting
    const from = this.#next
    const to = from + this.#operations
    this.#next = to
    const start = this.#now()
    if (waits === true) for (let i = from; i < to; i++) await run(i)
    else for (let i = from; i < to; i++) run(i)
    return (this.#now() - start) / (to - from)
  }
}

/** What everything is measured in: one raw HMAC of a token, by a key that was imported once. */
export function rawHmac(key: KeyObject, texts: readonly string[]): Subject {
  return {
    run: (i) =>
      createHmac('sha256', key)
        .update(texts[i % texts.length] as string)
        .digest('base64url'),
  }
}
