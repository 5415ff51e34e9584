import { readdirSync, readFileSync } from 'node:fs'
import { posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** The folder of the project. */
export const ROOT: string = fileURLToPath(new URL('../', import.meta.url))

/** One import, export-from or dynamic import of a file. */
export interface ImportEdge {
  /** As written. */
  readonly specifier: string
  /** The file in src that it names, such as `kernel/clock.ts`; absent for packages. */
  readonly target: string | undefined
  /** Whether nothing of it is left at run time. */
  readonly typeOnly: boolean
}

/** A source file, parsed. */
export interface SourceFile {
  /** Path under src, such as `kernel/clock.ts`. */
  readonly path: string
  readonly lines: number
  readonly tree: ts.SourceFile
  readonly imports: readonly ImportEdge[]
}

/** Every TypeScript file of src. */
export function readSources(): SourceFile[] {
  return readdirSync(`${ROOT}src`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(`${ROOT}src`, `${entry.parentPath}/${entry.name}`))
    .sort()
    .map((path) => parseSource(path, readFileSync(`${ROOT}src/${path}`, 'utf8')))
}

/** One file, from its text. */
export function parseSource(path: string, text: string): SourceFile {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const imports: ImportEdge[] = []
  const add = (specifier: string, typeOnly: boolean) => {
    const target = specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(path), specifier)) : undefined
    imports.push({ specifier, target, typeOnly })
  }
  walk(tree, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      add(node.moduleSpecifier.text, importsTypesOnly(node.importClause))
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
      const named = node.exportClause && ts.isNamedExports(node.exportClause) ? node.exportClause.elements : undefined
      add(node.moduleSpecifier.text, node.isTypeOnly || (named?.every((element) => element.isTypeOnly) ?? false))
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments
      if (argument && ts.isStringLiteralLike(argument)) add(argument.text, false)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (ts.isStringLiteral(node.argument.literal)) add(node.argument.literal.text, true)
    }
  })
  return { path, lines: text.split('\n').length - 1, tree, imports }
}

function importsTypesOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  if (clause.name !== undefined || clause.namedBindings === undefined) return false
  return ts.isNamedImports(clause.namedBindings) && clause.namedBindings.elements.every((element) => element.isTypeOnly)
}

/** Visits a node and all below it. Comments aren't nodes. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}
