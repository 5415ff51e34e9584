import { Refusal } from './answer.ts'
import { randomText } from './identifiers.ts'
import { Policies } from './policies.ts'

/** Values by their names, of some kind that a mount knows: roles, users, secrets. */
export type Shelf = Map<string, { readonly [name: string]: unknown }>

/** A mounted engine or login method. */
export interface Mount {
  readonly type: string
  readonly shelves: Map<string, Shelf>
}

/** A namespace: its mounts and policies. */
export interface SimulatedNamespace {
  readonly id: string
  /** `team/`; empty for the root. */
  readonly path: string
  readonly policies: Policies
  /** By path: `secret`, `auth/approle`. */
  readonly mounts: Map<string, Mount>
}

/** A shelf of a mount, made where there is none yet. */
export function shelfOf(mount: Mount, name: string): Shelf {
  const found = mount.shelves.get(name) ?? new Map()
  mount.shelves.set(name, found)
  return found
}

/** The mount that a path leads to, and the rest of the path. */
export function mountOf(
  namespace: SimulatedNamespace,
  path: string,
): { mount: Mount; at: string; rest: string } | undefined {
  const parts = path.split('/')
  for (let length = parts.length; length > 0; length--) {
    const at = parts.slice(0, length).join('/')
    const mount = namespace.mounts.get(at)
    if (mount !== undefined) return { mount, at, rest: parts.slice(length).join('/') }
  }
  return undefined
}

/** All namespaces of a simulated server. */
export class Namespaces {
  readonly root: SimulatedNamespace = newNamespace('root', '')
  readonly #byPath = new Map<string, SimulatedNamespace>([['', this.root]])

  /** Makes one. */
  add(parent: SimulatedNamespace, name: string): SimulatedNamespace {
    const path = `${parent.path}${name}/`
    const made = this.#byPath.get(path) ?? newNamespace(randomText(6), path)
    this.#byPath.set(path, made)
    return made
  }

  /** The one that a header names. */
  find(header: string | undefined): SimulatedNamespace {
    const name = (header ?? '').replace(/^\/|\/$/g, '')
    const found = this.#byPath.get(name === '' || name === 'root' ? '' : `${name}/`)
    if (found === undefined) throw new Refusal(404, ['namespace not found'])
    return found
  }
}

function newNamespace(id: string, path: string): SimulatedNamespace {
  const mounts = new Map<string, Mount>([['secret', { type: 'kv', shelves: new Map() }]])
  return { id, path, policies: new Policies(), mounts: path === '' ? mounts : new Map() }
}
