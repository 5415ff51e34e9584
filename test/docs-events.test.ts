import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { ROOT } from './source-tree.ts'

/** The payload of each event of `tokens.events` as the types tell it: `name?` where it may be absent. */
function eventsOfTypes(): Map<string, string[]> {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const program = ts.createProgram([`${ROOT}src/catalogue.ts`, `${ROOT}src/kernel/emitter.ts`], options)
  const checker = program.getTypeChecker()
  const typeIn = (path: string, name: string): ts.Type => {
    const source = program.getSourceFile(ROOT + path)
    const found = source?.statements.find((each) => ts.isInterfaceDeclaration(each) && each.name.text === name)
    if (found === undefined) throw new Error(`${path} has no interface ${name}`)
    return checker.getTypeAtLocation(found)
  }
  const fields = (type: ts.Type): string[] =>
    type.getProperties().map((field) => (field.flags & ts.SymbolFlags.Optional ? `${field.name}?` : field.name))
  const events = new Map<string, string[]>()
  for (const event of typeIn('src/catalogue.ts', 'TokenEvents').getProperties()) {
    events.set(event.name, fields(checker.getTypeOfSymbol(event)))
  }
  events.set('listenerError', fields(typeIn('src/kernel/emitter.ts', 'ListenerErrorEvent')))
  return events
}

/** The rows of the guide's tables: event, when, payload. */
function eventsOfGuide(): Map<string, { readonly when: string; readonly payload: string[] }> {
  const rows = new Map<string, { readonly when: string; readonly payload: string[] }>()
  for (const line of readFileSync(`${ROOT}docs/events.md`, 'utf8').split('\n')) {
    const [, name, when, payload] = /^\| `([\w.]+)` +\| (.+?) +\| (.+?) +\|$/.exec(line) ?? []
    if (name === undefined || when === undefined || payload === undefined) continue
    if (rows.has(name)) throw new Error(`docs/events.md has two rows of ${name}`)
    rows.set(name, { when, payload: [...payload.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string) })
  }
  return rows
}

describe('docs/events.md', () => {
  const types = eventsOfTypes()
  const guide = eventsOfGuide()

  it('has a row for every event, and none for another', () => {
    expect(types.size).toBeGreaterThan(10)
    expect([...guide.keys()].sort()).toEqual([...types.keys()].sort())
  })

  it('names the fields of each payload', () => {
    const told = [...guide].map(([name, { payload }]) => [name, [...payload].sort()])
    expect(Object.fromEntries(told)).toEqual(
      Object.fromEntries([...types].map(([name, fields]) => [name, [...fields].sort()])),
    )
  })
})
