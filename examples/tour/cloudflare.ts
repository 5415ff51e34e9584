import { CloudflareTokenHealer, formatReport } from 'tokenwright/cloudflare'
import { CloudflareSimulator, fakeClock } from 'tokenwright/testing'
import type { Transcript } from './transcript.ts'

/** A Cloudflare token that lost permissions: reported, planned, approved, healed, and taken back. */
export async function healCloudflare(transcript: Transcript): Promise<void> {
  transcript.chapter('Heal a Cloudflare token (a simulated Cloudflare, on a clock that the tour moves)')
  const clock = fakeClock({ now: '2030-01-01T00:00:00Z' })
  const cloudflare = new CloudflareSimulator({ clock, omission: 'clear' })
  const accountId = cloudflare.addAccount()
  const on = cloudflare.on(accountId)
  const manager = cloudflare.addToken({
    account: accountId,
    policies: [{ groups: ['Account API Tokens Write'], resources: on }],
  })
  const app = cloudflare.addToken({
    account: accountId,
    policies: [{ groups: ['Workers Scripts Write', 'Billing Read'], resources: on }],
    condition: { request_ip: { in: ['203.0.113.0/24'] } },
    expires_on: '2030-06-01T00:00:00Z',
  })
  const healer = new CloudflareTokenHealer({
    healerToken: manager.value,
    fetch: cloudflare.fetch,
    clock,
    targets: [{ kind: 'account', accountId, tokenId: app.id, token: app.value, name: 'app' }],
    required: ['Workers Scripts Write', 'D1 Write', 'Queues Write'],
  })
  const report = await healer.check()
  for (const line of formatReport(report).split('\n')) transcript.line(`   | ${line}`.trimEnd())
  const [found] = report.targets
  transcript.step('it lacks, and holds beyond its needs', '2 1', `${found?.missing?.length} ${found?.excessCount}`)
  const reported = await healer.heal()
  transcript.step('heal() without anybody to approve', 'report_only', reported.changes[0]?.outcome ?? '')
  const plan = await healer.plan()
  transcript.step('the plan adds', 'D1 Write, Queues Write', plan.added.map(({ name }) => name).join(', '))
  transcript.step('its risk', 'high', plan.risk)
  const refused = await healer
    .apply(plan, { approval: { planHash: 'f'.repeat(64), by: 'tour', expiresAt: clock.now() + 1000 } })
    .then(
      () => 'applied',
      (error: { code?: string }) => error.code ?? 'failed',
    )
  transcript.step('applied with the approval of another plan', 'ERR_APPROVAL', refused)
  const approval = { planHash: plan.planHash, by: 'tour', expiresAt: clock.now() + 60_000 }
  const healed = await healer.apply(plan, { approval, actor: 'tour' })
  transcript.step('applied with its own', 'healed', healed.outcome)
  const { condition, expires_on } = cloudflare.token(app.id)
  transcript.step(
    'its condition and its expiry',
    'as they were',
    condition !== undefined && expires_on?.startsWith('2030-06-01') ? 'as they were' : 'changed',
  )
  transcript.step('changes sent to Cloudflare', '1', String(cloudflare.count('PUT')))
  const { restored } = await healer.rollback(healed.snapshot ?? '', { actor: 'tour' })
  transcript.step('rolled back', 'true', String(restored))
  const rows = await healer.history()
  transcript.step(
    'the history, newest first',
    'rollback apply apply heal check',
    rows.map(({ action }) => action).join(' '),
  )
  const held = JSON.stringify([report, plan, healed, rows])
  transcript.step(
    'values of tokens in all of that',
    '0 found',
    `${[manager, app].filter(({ value }) => held.includes(value)).length} found`,
  )
}
