import { createHash, randomBytes } from 'node:crypto'
import type { GenerateInput, Tokenwright } from 'tokenwright'
import type { Transcript } from './transcript.ts'

/** The texts of the tour's tokens, newest last. A real host hands each over once and keeps none. */
export class Texts {
  readonly #texts = new Map<string, string[]>()

  add(service: string, text: string): void {
    this.#texts.set(service, [...(this.#texts.get(service) ?? []), text])
  }

  /** The newest text of a token. */
  of(service: string): string {
    const text = this.#texts.get(service)?.at(-1)
    if (text === undefined) throw new Error(`the tour has issued no ${service}`)
    return text
  }

  /** Every text of a token, oldest first. */
  versions(service: string): readonly string[] {
    return this.#texts.get(service) ?? []
  }

  all(): readonly string[] {
    return [...this.#texts.values()].flat()
  }
}

/** Issues a token of every type, and those that the later chapters need. */
export async function issueTokens(tokens: Tokenwright, transcript: Transcript): Promise<Texts> {
  const texts = new Texts()

  async function issue(input: GenerateInput, form: RegExp): Promise<void> {
    const { token, record } = await tokens.generate({ actor: 'tour', ...input })
    texts.add(record.service, token)
    const came = form.test(token) ? 'as it should' : 'another form'
    transcript.step(
      `${record.service}: ${record.type}, ${token.length} characters, ${record.preview}`,
      'as it should',
      came,
    )
  }

  transcript.chapter('Issue a token of every type')
  const reader = { prefix: 'sk_live_', scopes: ['orders:read'], owner: 'team-a', tags: ['tour'] }
  await issue({ service: 'READER', ...reader }, /^sk_live_[0-9A-Za-z]{64}$/)
  await issue({ service: 'GITHUB', type: 'github' }, /^ghp_[0-9A-Za-z]{36}$/)
  await issue({ service: 'OAUTH', type: 'oauth' }, /^[\w-]{64}$/)
  await issue({ service: 'SIGNING_SECRET', type: 'jwt' }, /^[\w-]{86}$/)
  const alphabet = '23456789ABCDEFGHJKMNPQRSTVWXYZ'
  await issue({ service: 'READ_ALOUD', charset: { alphabet }, length: 40 }, /^[2-9A-HJKMNP-TV-Z]{40}$/)

  // A key that another system issued, of which that system kept only the SHA-256.
  const legacy = `legacy_${randomBytes(24).toString('hex')}`
  texts.add('LEGACY', legacy)
  const digest = createHash('sha256').update(legacy).digest('hex')
  const imported = await tokens.import({ service: 'LEGACY', digest: { scheme: 'sha256', digest }, actor: 'tour' })
  transcript.step(`LEGACY: ${imported.type}, by its SHA-256 alone`, '…', imported.preview)

  transcript.chapter('Issue tokens that may do less')
  await issue({ service: 'OFFICE', ipAllow: ['10.0.0.0/8', '2001:db8::/32'] }, /./)
  await issue({ service: 'LOOPBACK', ipAllow: ['127.0.0.0/8', '::1'] }, /./)
  await issue({ service: 'VIEWER', level: 'read_only', scopes: ['orders:*'] }, /./)
  await issue({ service: 'BILLING_BOT', tools: [{ name: 'get_bill', args: { account: ['acme'] } }] }, /./)
  await issue({ service: 'LIMITED', rateLimit: { limit: 5, per: '1h' } }, /./)
  await issue({ service: 'TRIAL', quota: { limit: 3 } }, /./)
  await issue({ service: 'SHORT', expiresIn: '1s' }, /./)
  await issue({ service: 'PAUSED' }, /./)
  await issue({ service: 'LEAKED', prefix: 'sk_live_' }, /^sk_live_/)
  return texts
}
