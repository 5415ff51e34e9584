/** What a policy allows on a path. */
interface Rule {
  readonly path: string
  readonly capabilities: readonly string[]
}

/** The policy `default`, as far as the simulator's routes go. */
const DEFAULT_RULES: readonly Rule[] = [
  { path: 'auth/token/lookup-self', capabilities: ['read'] },
  { path: 'auth/token/renew-self', capabilities: ['update'] },
  { path: 'auth/token/revoke-self', capabilities: ['update'] },
  { path: 'sys/leases/renew', capabilities: ['update'] },
  { path: 'sys/leases/lookup', capabilities: ['update'] },
  { path: 'cubbyhole/*', capabilities: ['create', 'read', 'update', 'delete', 'list'] },
  { path: 'sys/wrapping/wrap', capabilities: ['update'] },
  { path: 'sys/wrapping/lookup', capabilities: ['update'] },
  { path: 'sys/wrapping/unwrap', capabilities: ['update'] },
]

const NEEDED: { readonly [method: string]: readonly string[] } = {
  GET: ['read'],
  POST: ['update', 'create'],
  PUT: ['update', 'create'],
  DELETE: ['delete'],
  LIST: ['list'],
}

/** The policies of a namespace. */
export class Policies {
  readonly #rules = new Map<string, readonly Rule[]>([['default', DEFAULT_RULES]])

  /** Writes one, in HCL as the server takes it. */
  put(name: string, text: string): void {
    const rules: Rule[] = []
    for (const [, path = '', list = ''] of text.matchAll(
      /path\s+"([^"]+)"\s*\{[^}]*capabilities\s*=\s*\[([^\]]*)\]/g,
    )) {
      rules.push({ path, capabilities: [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1] as string) })
    }
    this.#rules.set(name, rules)
  }

  /** Whether there is one of that name. */
  has(name: string): boolean {
    return name === 'root' || this.#rules.has(name)
  }

  /** Whether any of these policies allows it. */
  allow(names: readonly string[], method: string, path: string): boolean {
    if (names.includes('root')) return true
    const needed = NEEDED[method] ?? []
    const rules = names.flatMap((name) => this.#rules.get(name) ?? []).filter((rule) => matches(rule.path, path))
    if (rules.some(({ capabilities }) => capabilities.includes('deny'))) return false
    return rules.some(({ capabilities }) => capabilities.some((each) => needed.includes(each)))
  }
}

function matches(pattern: string, path: string): boolean {
  const open = pattern.endsWith('*')
  const wanted = (open ? pattern.slice(0, -1) : pattern).split('/')
  const given = path.split('/')
  if (open ? given.length < wanted.length : given.length !== wanted.length) return false
  return wanted.every((part, index) => {
    const found = given[index] ?? ''
    if (part === '+') return true
    return open && index === wanted.length - 1 ? given.slice(index).join('/').startsWith(part) : found === part
  })
}
