// Opens nothing, and never answers.
import { writeSync } from 'node:fs'

export default (): Promise<never> => {
  setInterval(() => {}, 1000)
  writeSync(1, `${process.pid}\n`)
  return new Promise(() => {})
}
