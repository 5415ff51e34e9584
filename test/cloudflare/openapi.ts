import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A part of an OpenAPI schema, as far as it is used here. */
interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly nullable?: boolean
  readonly readOnly?: boolean
  readonly required?: readonly string[]
  readonly properties?: { readonly [name: string]: Schema }
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
}

interface Operation {
  readonly requestBody?: {
    readonly required?: boolean
    readonly content: { readonly [type: string]: { readonly schema: Schema } }
  }
  readonly responses: {
    readonly [status: string]: { readonly content: { readonly [type: string]: { readonly schema: Schema } } }
  }
}

interface Spec {
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
  readonly components: { readonly schemas: { readonly [name: string]: Schema } }
}

/** The part of Cloudflare's OpenAPI description that is about tokens; it isn't part of this repository. */
const PATH =
  process.env['CLOUDFLARE_OPENAPI'] ??
  fileURLToPath(new URL('../../../shared/facts/cloudflare-tokens.openapi.json', import.meta.url))

const spec: Spec | undefined = existsSync(PATH) ? (JSON.parse(readFileSync(PATH, 'utf8')) as Spec) : undefined

/** Whether the description is there. */
export const hasOpenApi: boolean = spec !== undefined
if (!hasOpenApi) {
  console.log('skipped: the OpenAPI description of token endpoints is not there; CLOUDFLARE_OPENAPI may name it')
}

/** What an exchange does against the description; nothing where that isn't there, or doesn't know the path. */
export function breaches(exchange: {
  method: string
  path: string
  body: unknown
  status: number
  answer: string
}): string[] {
  if (spec === undefined) return []
  const path = Object.keys(spec.paths)
    .sort((a, b) => a.split('{').length - b.split('{').length)
    .find((template) => matches(template, exchange.path))
  const operation = path === undefined ? undefined : spec.paths[path]?.[exchange.method.toLowerCase()]
  if (operation === undefined) return []
  const found: string[] = []
  const asked = operation.requestBody?.content['application/json']?.schema
  if (asked !== undefined) {
    if (exchange.body === undefined) found.push(`${exchange.method} ${exchange.path}: the body is missing`)
    else check(asked, exchange.body, 'request', 'request', found)
  }
  const response =
    operation.responses[String(exchange.status)] ?? operation.responses[`${String(exchange.status)[0]}XX`]
  const told = response?.content['application/json']?.schema
  if (told !== undefined) check(told, JSON.parse(exchange.answer), 'answer', 'answer', found)
  return found.map((each) => `${exchange.method} ${exchange.path} ${exchange.status}: ${each}`)
}

function matches(template: string, path: string): boolean {
  const a = template.split('/')
  const b = path.split('/')
  return a.length === b.length && a.every((part, i) => part.startsWith('{') || part === b[i])
}

function check(given: Schema, value: unknown, at: string, side: 'request' | 'answer', found: string[]): void {
  const { $ref, ...own } = given
  if ($ref !== undefined) {
    check(spec?.components.schemas[$ref.split('/').at(-1) ?? ''] ?? {}, value, at, side, found)
    if (Object.keys(own).length === 0) return
  }
  if (value === null && (own.nullable === true || own.enum?.includes(null) === true)) return
  for (const part of own.allOf ?? []) check(part, value, at, side, found)
  const choices = own.anyOf ?? own.oneOf
  if (choices !== undefined) {
    const tried = choices.map((choice) => {
      const inner: string[] = []
      check(choice, value, at, side, inner)
      return inner
    })
    if (tried.every((inner) => inner.length > 0)) found.push(...(tried[0] ?? []))
  }
  if (own.enum !== undefined && !own.enum.includes(value))
    found.push(`${at} is ${JSON.stringify(value)}, none of its values`)
  switch (own.type) {
    case 'object':
      checkObject(own, value, at, side, found)
      return
    case 'array':
      if (!Array.isArray(value)) found.push(`${at} is no array`)
      else if (own.items !== undefined)
        for (const [i, item] of value.entries()) check(own.items, item, `${at}[${i}]`, side, found)
      return
    case 'string':
      if (typeof value !== 'string') found.push(`${at} is no string`)
      else if (value.length < (own.minLength ?? 0) || value.length > (own.maxLength ?? Infinity)) {
        found.push(`${at} has ${value.length} characters`)
      }
      return
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || value < (own.minimum ?? -Infinity)) found.push(`${at} is no such number`)
      return
    case 'boolean':
      if (typeof value !== 'boolean') found.push(`${at} is no boolean`)
  }
}

function checkObject(schema: Schema, value: unknown, at: string, side: 'request' | 'answer', found: string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    found.push(`${at} is no object`)
    return
  }
  const properties = propertiesOf(schema)
  for (const name of schema.required ?? []) {
    const readOnly = properties[name] === undefined ? false : isReadOnly(properties[name])
    if (!(name in value) && !(side === 'request' && readOnly)) found.push(`${at}.${name} is missing`)
  }
  for (const [name, inner] of Object.entries(value)) {
    const known =
      properties[name] ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined)
    if (known !== undefined) check(known, inner, `${at}.${name}`, side, found)
    else if (side === 'request' && Object.keys(properties).length > 0) found.push(`${at}.${name} is not described`)
  }
}

/** A body of a token refers to the token's fields and adds what is required. */
function propertiesOf(schema: Schema): { readonly [name: string]: Schema } {
  const base = schema.$ref === undefined ? undefined : spec?.components.schemas[schema.$ref.split('/').at(-1) ?? '']
  return { ...base?.properties, ...schema.properties }
}

function isReadOnly(schema: Schema): boolean {
  if (schema.readOnly === true) return true
  const of = schema.$ref === undefined ? undefined : spec?.components.schemas[schema.$ref.split('/').at(-1) ?? '']
  return of?.readOnly === true
}
