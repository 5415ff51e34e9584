import { InvalidInputError, TokenwrightError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { sha256 } from './digest.ts'
import type { HealReport } from './heal-report.ts'
import type { HistoryRow } from './history.ts'
import type { HealerStatus, HistoryQuery } from './recorder.ts'
import type { CheckReport } from './report.ts'

/** What the routes need of a healer. */
export interface RoutedHealer {
  /** What the last run found. */
  status(): Promise<HealerStatus>
  /** Looks. */
  check(options: { readonly actor: string }): Promise<CheckReport>
  /** Looks, and heals what is approved. */
  heal(options: { readonly actor: string }): Promise<HealReport>
  /** Rows, newest first. */
  history(query?: HistoryQuery): Promise<readonly HistoryRow[]>
}

/** How {@link createHealerRoutes} answers. */
export interface HealerRoutesOptions {
  /** What callers send as `Authorization: Bearer …`; at least 32 characters. Compared in constant time. */
  readonly secret: string
  /** What the paths begin with. Default `/tokens`. */
  readonly prefix?: string | undefined
}

type Act = (healer: RoutedHealer, url: URL) => Promise<object>

/** Nothing but POST changes anything. */
const ROUTES: { readonly [path: string]: { readonly method: 'GET' | 'POST'; readonly act: Act } } = {
  '/status': { method: 'GET', act: (healer) => healer.status() },
  '/health': { method: 'POST', act: (healer) => healer.check({ actor: 'http' }) },
  '/history': { method: 'GET', act: history },
  '/heal': { method: 'POST', act: (healer) => healer.heal({ actor: 'http' }) },
}

/**
 * Routes over a healer, as a `fetch` handler for Workers and servers of the web's kind: `GET /tokens/status` and
 * `GET /tokens/history?limit=&before=` answer from the history, `POST /tokens/health` checks now, `POST /tokens/heal` heals what is
 * approved. Without the secret 401, with another method 405, a bad query 400; what fails is 503 with a code and no stack. Bodies are
 * neither read nor needed.
 *
 * @param healer - a healer, or what makes one of the Worker's bindings
 * @param options - the secret, or what tells it of the bindings
 * @throws InvalidInputError for a secret under 32 characters, where it is given at once
 * @example
 * ```ts sketch
 * const routes = createHealerRoutes(healerOf, (env: Env) => ({ secret: env.ADMIN_SECRET }))
 * export default { fetch: routes }
 * ```
 */
export function createHealerRoutes<Env = unknown>(
  healer: RoutedHealer | ((env: Env) => RoutedHealer),
  options: HealerRoutesOptions | ((env: Env) => HealerRoutesOptions),
): (request: Request, env: Env) => Promise<Response> {
  if (typeof options !== 'function') checkOptions(options)
  return async (request, env) => {
    try {
      const { secret, prefix = '/tokens' } = checkOptions(typeof options === 'function' ? options(env) : options)
      // Before anything else, a path that isn't there included.
      if (!(await isAllowed(request, secret)))
        return answer(401, { error: 'unauthorized' }, { 'www-authenticate': 'Bearer' })
      const url = new URL(request.url)
      const path = url.pathname.startsWith(prefix) ? url.pathname.slice(prefix.length) : ''
      const route = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined
      if (route === undefined) return answer(404, { error: 'not_found' })
      if (request.method !== route.method) return answer(405, { error: 'method_not_allowed' }, { allow: route.method })
      return answer(200, await route.act(typeof healer === 'function' ? healer(env) : healer, url))
    } catch (error) {
      if (error instanceof InvalidInputError && error.field === 'query') return answer(400, { error: error.code })
      return answer(503, { error: error instanceof TokenwrightError ? error.code : 'failed' })
    }
  }
}

function checkOptions(options: HealerRoutesOptions): HealerRoutesOptions {
  const { secret, prefix = '/tokens' } = checkFields('options', options, ['secret', 'prefix'])
  if (typeof secret !== 'string' || secret.length < 32) {
    throw new InvalidInputError('secret', 'is shorter than 32 characters', 'make one with generateSecret()')
  }
  if (typeof prefix !== 'string' || !/^(?:\/[\w-]+)*$/.test(prefix)) {
    throw new InvalidInputError('prefix', 'is no path', "write '/tokens'")
  }
  return options
}

async function isAllowed(request: Request, secret: string): Promise<boolean> {
  const header = request.headers.get('authorization') ?? ''
  const given = header.startsWith('Bearer ') && header.length < 600 ? header.slice(7) : ''
  const [a, b] = [await sha256(given), await sha256(secret)]
  // Digests of one length, every character looked at.
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return difference === 0
}

async function history(healer: RoutedHealer, { searchParams }: URL): Promise<object> {
  const limit = searchParams.get('limit') ?? '50'
  const before = searchParams.get('before')
  if (
    !/^\d{1,4}$/.test(limit) ||
    Number(limit) < 1 ||
    Number(limit) > 1000 ||
    (before !== null && !/^\d{1,15}$/.test(before))
  ) {
    throw new InvalidInputError('query', 'has a limit or a position that is none', 'write ?limit=50&before=<epoch ms>')
  }
  return { rows: await healer.history({ limit: Number(limit), ...(before !== null && { before: Number(before) }) }) }
}

function answer(status: number, body: object, headers: { readonly [name: string]: string } = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  })
}
