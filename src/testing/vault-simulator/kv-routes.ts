import { DONE, envelope, listed, Refusal, type SimulatedAnswer } from './answer.ts'
import { type Mount, shelfOf } from './namespaces.ts'
import type { RouteContext } from './routes.ts'

interface Version {
  readonly version: number
  readonly data: unknown
  readonly created: string
  deleted: string
  destroyed: boolean
}

interface Secret {
  readonly versions: Version[]
}

/** An engine `kv` of version 2. */
export function kvRoutes({ request, now }: RouteContext, mount: Mount, rest: string): SimulatedAnswer {
  const { method, body, query } = request
  const slash = rest.indexOf('/')
  const [kind, name] = slash < 0 ? [rest, ''] : [rest.slice(0, slash), rest.slice(slash + 1)]
  const secrets = shelfOf(mount, 'secrets') as unknown as Map<string, Secret>
  const found = secrets.get(name)
  const time = new Date(now).toISOString()
  if (kind === 'data' && name !== '') {
    if (method === 'GET') return read(found, Number(query.get('version') ?? 0))
    if (method === 'POST' || method === 'PUT') return write(secrets, name, body, time)
    if (method === 'DELETE') {
      const last = found?.versions.at(-1)
      if (last !== undefined) last.deleted = time
      return DONE
    }
  }
  if (kind === 'metadata') {
    if (method === 'LIST') {
      const prefix = name === '' ? '' : `${name}/`
      const below = [...secrets.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length))
      const keys = new Set(below.map((key) => (key.includes('/') ? key.slice(0, key.indexOf('/') + 1) : key)))
      if (keys.size === 0) throw new Refusal(404, [])
      return envelope({ data: { keys: [...keys].sort() } })
    }
    if (method === 'DELETE') {
      secrets.delete(name)
      return DONE
    }
    if (method === 'GET' && found !== undefined) {
      return envelope({ data: { current_version: found.versions.at(-1)?.version, cas_required: false } })
    }
    throw new Refusal(404, [])
  }
  throw new Refusal(404, [listed('unsupported path')])
}

function metadata({ version, created, deleted, destroyed }: Version): object {
  return { created_time: created, custom_metadata: null, deletion_time: deleted, destroyed, version }
}

function read(secret: Secret | undefined, wanted: number): SimulatedAnswer {
  const found = wanted > 0 ? secret?.versions.find(({ version }) => version === wanted) : secret?.versions.at(-1)
  if (found === undefined) throw new Refusal(404, [])
  const gone = found.deleted !== '' || found.destroyed
  const answer = envelope({ data: { data: gone ? null : found.data, metadata: metadata(found) } })
  return gone ? { ...answer, status: 404 } : answer
}

function write(
  secrets: Map<string, Secret>,
  name: string,
  body: { readonly [name: string]: unknown },
  created: string,
): SimulatedAnswer {
  const { data, options } = body
  if (typeof data !== 'object' || data === null) throw new Refusal(400, ['no data provided'])
  const secret = secrets.get(name) ?? { versions: [] }
  const last = secret.versions.at(-1)?.version ?? 0
  const cas = (options as { readonly cas?: unknown } | undefined)?.cas
  if (cas !== undefined && Number(cas) !== last) {
    throw new Refusal(400, ['check-and-set parameter did not match the current version'])
  }
  const version: Version = { version: last + 1, data: structuredClone(data), created, deleted: '', destroyed: false }
  secret.versions.push(version)
  secrets.set(name, secret)
  return envelope({ data: metadata(version) })
}
