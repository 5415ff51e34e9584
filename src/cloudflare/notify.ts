/** What somebody should look at. Plain JSON; `text` is what a chat shows. */
export interface Notice {
  readonly type: 'degraded' | 'recovered' | 'healed' | 'healFailed' | 'rolledBack' | 'expiringSoon' | 'circuitOpened'
  /** When, epoch ms. */
  readonly at: number
  /** The target's name. */
  readonly target: string
  /** One line in plain words. */
  readonly text: string
  /** What the event of that name tells. */
  readonly detail: object
}

/**
 * Tells somebody, as by Slack or mail. What it throws is a `listenerError`; nothing waits for it but the end of the run, and that for
 * 10 seconds at most.
 */
export type Notify = (notice: Notice) => unknown

/** How long a run waits for its notices, ms. */
export const NOTIFY_LIMIT_MS = 10_000

/** A notice's line. */
export function noticeText(type: Notice['type'], target: string, detail: { readonly [key: string]: unknown }): string {
  switch (type) {
    case 'degraded': {
      const lacks =
        typeof detail['missing'] === 'number'
          ? `lacks ${permissions(detail['missing'])}`
          : 'its permissions are not known'
      return `Cloudflare token ${target} is ${String(detail['health'])}: ${detail['reason'] ?? lacks}`
    }
    case 'recovered':
      return `Cloudflare token ${target} is healthy again`
    case 'healed':
      return `Cloudflare token ${target} was changed: ${permissions(count(detail['added']))} added, ${count(detail['removed'])} removed; approved by ${String(detail['approvedBy'])}, taken back by rollback('${String(detail['snapshot'])}')`
    case 'healFailed':
      return `Cloudflare token ${target} could not be changed as planned (${String(detail['outcome'])}, ${String(detail['code'])})`
    case 'rolledBack':
      return `Cloudflare token ${target} was put back as it was before a change`
    case 'expiringSoon':
      return `Cloudflare token ${target} ends within ${String(detail['days'])} days`
    case 'circuitOpened':
      return `Cloudflare token ${target} is not healed any more: somebody keeps removing ${permissions(count(detail['groups']))}`
  }
}

function permissions(n: number): string {
  return n === 1 ? '1 permission' : `${n} permissions`
}

function count(list: unknown): number {
  return Array.isArray(list) ? list.length : 0
}
