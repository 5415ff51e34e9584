import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { describe, expect, it } from 'vitest'
import { publicEntries } from '../../scripts/entries.ts'
import { ROOT, readSources } from '../source-tree.ts'

const json = (path: string) => JSON.parse(readFileSync(ROOT + path, 'utf8'))
const manifest = json('package.json') as {
  exports: { [subpath: string]: { [condition: string]: string } | string }
  dependencies: { [name: string]: string }
  peerDependencies: { [name: string]: string }
  peerDependenciesMeta: { [name: string]: { optional?: boolean } }
}
const entries = publicEntries()

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

describe('package.json', () => {
  it('leads every subpath to the file that is built for it, types first', () => {
    for (const { subpath, name } of entries) {
      const target = manifest.exports[subpath]
      expect(target).toEqual({ types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` })
      expect(Object.keys(target ?? {})).toEqual(['types', 'default'])
    }
    expect(manifest.exports['./package.json']).toBe('./package.json')
  })

  it('has the same entries as typedoc.json', () => {
    expect(json('typedoc.json').entryPoints).toEqual(entries.map((entry) => entry.source))
  })

  it('marks every peer as optional', () => {
    const optional = Object.keys(manifest.peerDependencies).filter(
      (name) => manifest.peerDependenciesMeta[name]?.optional,
    )
    expect(optional).toEqual(Object.keys(manifest.peerDependencies))
  })
})

describe('the packages that src imports', () => {
  const imports = readSources().flatMap((file) =>
    file.imports.filter(({ target }) => target === undefined).map((edge) => ({ ...edge, path: file.path })),
  )

  it('are built in (with node:), dependencies or optional peers', () => {
    const allowed = { ...manifest.dependencies, ...manifest.peerDependencies }
    const stray = imports.filter(({ specifier }) =>
      isBuiltin(specifier) ? !specifier.startsWith('node:') : !(packageOf(specifier) in allowed),
    )
    expect(stray.map(({ path, specifier }) => `${path}: ${specifier}`)).toEqual([])
  })

  it('are imported as types only when they are peers, save by the room that is named after one, or lazily by the one that stands for it', () => {
    const rooms: { readonly [peer: string]: string } = { 'node-vault': 'vault' }
    const stray = imports.filter(({ specifier, typeOnly, path }) => {
      const peer = packageOf(specifier)
      return peer in manifest.peerDependencies && !typeOnly && !path.startsWith(`${rooms[peer] ?? peer}/`)
    })
    expect(stray.map(({ path, specifier }) => `${path}: ${specifier}`)).toEqual([])
  })
})
