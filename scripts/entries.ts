import { existsSync, readFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)

/** One public entry of the package. */
export interface PublicEntry {
  /** As package.json names it: `./http`. */
  readonly subpath: string
  /** As users import it: `tokenwright/http`. */
  readonly specifier: string
  /** Its file under dist/, without extension: `http/index`. */
  readonly name: string
  /** Its source: `src/http/index.ts`. */
  readonly source: string
}

/** The public entries, read from the exports map of package.json, which is the one list of them. */
export function publicEntries(): PublicEntry[] {
  const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { exports: object }
  return Object.keys(manifest.exports)
    .filter((subpath) => subpath !== './package.json')
    .map((subpath) => {
      const room = subpath.slice(2)
      const name = room === '' ? 'index' : `${room}/index`
      return { subpath, specifier: room === '' ? 'tokenwright' : `tokenwright/${room}`, name, source: `src/${name}.ts` }
    })
}

/** Those whose source is there. The packaging test and publint see to it that none is missing in the end. */
export function builtEntries(): PublicEntry[] {
  return publicEntries().filter((entry) => existsSync(new URL(entry.source, root)))
}
