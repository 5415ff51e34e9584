// Loaded with --import before a code block of the guides: the package's name leads to the sources.
import { registerHooks } from 'node:module'
import { publicEntries } from '../../scripts/entries.ts'

const sources = new Map(
  publicEntries().map(({ specifier, source }) => [specifier, new URL(`../../${source}`, import.meta.url).href]),
)

registerHooks({
  resolve(specifier, context, next) {
    const url = sources.get(specifier)
    return url === undefined ? next(specifier, context) : { url, shortCircuit: true }
  },
})
