import { DONE, envelope, listed, Refusal, type SimulatedAnswer } from './answer.ts'
import type { RouteContext } from './routes.ts'
import type { SimulatedToken } from './tokens.ts'

/** What each token keeps for itself; it goes with the token. */
export class Cubbyholes {
  readonly #byToken = new WeakMap<SimulatedToken, Map<string, object>>()

  /** `cubbyhole/…` */
  routes({ request, token }: RouteContext, name: string): SimulatedAnswer {
    const { method, body } = request
    const kept = this.#byToken.get(token) ?? new Map<string, object>()
    this.#byToken.set(token, kept)
    if (method === 'DELETE') {
      kept.delete(name)
      return DONE
    }
    if (method === 'POST' || method === 'PUT') {
      if (Object.keys(body).length === 0) throw new Refusal(400, ['missing data fields'])
      kept.set(name, body)
      return DONE
    }
    if (method !== 'GET') throw new Refusal(405, [listed('unsupported operation')])
    const found = kept.get(name)
    if (found === undefined) throw new Refusal(404, [])
    return envelope({ data: found })
  }
}
