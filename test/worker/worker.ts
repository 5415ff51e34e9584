// A Worker as its authors write it; the tests bundle it from the sources and run it in workerd.
import {
  CloudflareTokenHealer,
  createScheduledHandler,
  type D1DatabaseLike,
  d1State,
  formatReport,
  workersFullStack,
} from '../../src/cloudflare/index.ts'

interface Env {
  readonly DB: D1DatabaseLike
  readonly HEALER_TOKEN: string
  readonly BASE_URL: string
  readonly ACCOUNT_ID: string
  readonly TOKEN_ID: string
}

const healerOf = (env: Env): CloudflareTokenHealer =>
  new CloudflareTokenHealer({
    healerToken: env.HEALER_TOKEN,
    baseURL: env.BASE_URL,
    targets: [{ kind: 'account', accountId: env.ACCOUNT_ID, tokenId: env.TOKEN_ID }],
    required: [workersFullStack],
    ceiling: [workersFullStack],
    autoHeal: true,
    state: d1State({ database: env.DB }),
  })

export default {
  scheduled: createScheduledHandler(healerOf),
  async fetch(request: Request, env: Env): Promise<Response> {
    const healer = healerOf(env)
    if (new URL(request.url).pathname === '/report') return new Response(formatReport(await healer.check()))
    return Response.json({ status: await healer.status(), history: await healer.history() })
  },
}
