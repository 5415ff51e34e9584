import { defineConfig } from 'tsup'
import { builtEntries } from './scripts/entries.ts'

export default defineConfig({
  entry: Object.fromEntries(builtEntries().map((entry) => [entry.name, entry.source])),
  format: ['esm'],
  target: 'node22',
  tsconfig: 'tsconfig.build.json',
  dts: true,
  sourcemap: true,
  clean: true,
  splitting: true,
  // node:sqlite has no name without the prefix.
  removeNodeProtocol: false,
})
