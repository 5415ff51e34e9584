import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A process that runs a file of the tests. */
export interface Child {
  readonly process: ChildProcess
  /** The lines that it has printed. */
  readonly lines: string[]
  /** Resolves when it has printed so many lines, or has ended. */
  printed(count: number): Promise<void>
  /** Resolves when it has ended. */
  ended: Promise<void>
}

/** Starts a file, as a path under test/. */
export function startChild(file: string, ...values: string[]): Child {
  const path = fileURLToPath(new URL(`./${file}`, import.meta.url))
  const child = spawn(process.execPath, [path, ...values], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => {
    lines.push(line)
    for (const each of waiting) if (lines.length >= each.count) each.resolve()
  })
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close')]).then(() => {
    for (const each of waiting) each.resolve()
  })
  let over = false
  void ended.then(() => {
    over = true
  })
  const printed = (count: number): Promise<void> => {
    if (over || lines.length >= count) return Promise.resolve()
    return new Promise((resolve) => waiting.push({ count, resolve }))
  }
  return { process: child, lines, printed, ended }
}
