/** One finding as GitHub sends it. */
export interface GithubFinding {
  /** What was found. */
  readonly token: string
  /** The name of the form, as it was agreed with GitHub. */
  readonly type: string
  /** Where, if GitHub tells. */
  readonly url?: string
  /** The sort of place, such as `commit`. */
  readonly source?: string
}

/** Findings in one message, at most. */
export const MAX_FINDINGS = 1000

/**
 * The findings in a message of GitHub's.
 *
 * @returns `undefined` when it is no such message
 */
export function parseFindings(body: string): readonly GithubFinding[] | undefined {
  let list: unknown
  try {
    list = JSON.parse(body)
  } catch {
    return undefined
  }
  if (!Array.isArray(list) || list.length > MAX_FINDINGS) return undefined
  const findings: GithubFinding[] = []
  for (const entry of list as unknown[]) {
    const { token, type, url, source } = (entry ?? {}) as { [field: string]: unknown }
    if (typeof token !== 'string' || typeof type !== 'string') return undefined
    findings.push({
      token,
      type,
      ...(typeof url === 'string' && { url: url.slice(0, 2048) }),
      ...(typeof source === 'string' && { source: source.slice(0, 64) }),
    })
  }
  return findings
}
