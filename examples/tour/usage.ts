import type { Tokenwright } from 'tokenwright'
import type { Transcript } from './transcript.ts'

/** What was counted, by token and outcome, and the last refusals one by one. */
export async function showUsage(tokens: Tokenwright, transcript: Transcript): Promise<void> {
  transcript.chapter('What was counted')
  await tokens.usage.flush()
  const { items } = await tokens.list({ limit: 1000 })
  const names = new Map(items.map((token) => [token.id, token.service]))
  const calls = new Map<string, { readonly service: string; readonly outcome: string; calls: number; ms: number }>()
  for (const row of await tokens.usage.query()) {
    const service = names.get(row.token) ?? '(no token proved)'
    const key = `${service} ${row.outcome}`
    const sum = calls.get(key) ?? { service, outcome: row.outcome, calls: 0, ms: 0 }
    sum.calls += row.calls
    sum.ms += row.durationMs
    calls.set(key, sum)
  }
  const rows = [...calls.values()].sort((a, b) => (a.service + a.outcome < b.service + b.outcome ? -1 : 1))
  transcript.table(
    ['token', 'outcome', 'calls', 'ms each'],
    rows.map((row) => [row.service, row.outcome, row.calls, (row.ms / row.calls).toFixed(1)]),
  )

  transcript.chapter('The last refusals in the request log')
  const { items: log } = await tokens.usage.requests({ limit: 8 })
  transcript.table(
    ['time', 'token', 'code', 'status', 'ip', 'tool'],
    log.map((row) => [
      new Date(row.at).toISOString().slice(11, 19),
      row.service || '-',
      row.code,
      row.status ?? '-',
      row.ip ?? '-',
      row.tool ?? '-',
    ]),
  )
  transcript.step('every row is a refusal', 'true', String(log.length === 8 && log.every((row) => row.code !== 'ok')))
}
