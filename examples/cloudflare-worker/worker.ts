// A Worker that looks after tokens by its crons, with its memory in D1. In wrangler.jsonc:
//   "compatibility_flags": ["nodejs_compat"],
//   "triggers": { "crons": ["0 */6 * * *", "0 0 * * *"] },
//   "d1_databases": [{ "binding": "DB", "database_name": "healer", "database_id": "…" }]
// and `wrangler secret put HEALER_TOKEN`.
import {
  CloudflareTokenHealer,
  createScheduledHandler,
  type D1DatabaseLike,
  d1State,
  workersFullStack,
} from 'tokenwright/cloudflare'

interface Env {
  readonly DB: D1DatabaseLike
  readonly HEALER_TOKEN: string
  readonly ACCOUNT_ID: string
  readonly TOKEN_ID: string
  /** Only here: the simulated Cloudflare. */
  readonly BASE_URL?: string
}

const healerOf = (env: Env) =>
  new CloudflareTokenHealer({
    healerToken: env.HEALER_TOKEN,
    baseURL: env.BASE_URL,
    targets: [{ kind: 'account', accountId: env.ACCOUNT_ID, tokenId: env.TOKEN_ID, name: 'app' }],
    required: [workersFullStack],
    // What the cron may add by itself. Without autoHeal it only reports.
    ceiling: [workersFullStack],
    autoHeal: true,
    state: d1State({ database: env.DB }),
    notify: ({ text }) => console.log(text),
  })

export default {
  // Crons that meet at midnight run once.
  scheduled: createScheduledHandler(healerOf),

  // What the last run found, without a request to Cloudflare. Put it behind your own authentication.
  async fetch(_request: Request, env: Env): Promise<Response> {
    const { overall_health, at, row } = await healerOf(env).status()
    return Response.json({ overall_health, at, missing: row?.account_token_missing_perms ?? null })
  },
}
