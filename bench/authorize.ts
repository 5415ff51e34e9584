import { defineScopes, generateSecret, KeyRing, ScopeAuthorizer, type ScopeDefinition } from '../src/index.ts'
import { systemRandom } from '../src/kernel/random.ts'
import { generateText, parseFormat } from '../src/tokens/format.ts'
import { measure, rawHmac, type Subject } from './measure.ts'
import type { Report } from './result.ts'

/** What a decision costs as the catalogue grows. */
export async function authorizeSection(report: Report): Promise<void> {
  const texts = Array.from({ length: 64 }, () => generateText(parseFormat({}), systemRandom()))
  const h = rawHmac(KeyRing.from(generateSecret()).subkey('digest'), texts)
  report('authorize.1000', await measure(deciding(1000), h), 'allowed and denied by turns')
  report('authorize.growth', await measure(deciding(1000), deciding(10)))
}

/** Decisions for a token of eight scopes; every other one is denied. */
function deciding(count: number): Subject {
  const scopes: Record<string, ScopeDefinition> = {}
  for (let i = 0; i < count; i++) scopes[`part${i}:use`] = { risk: 'low', tools: [`tool_${i}`], description: 'A part.' }
  const authorizer = new ScopeAuthorizer({ catalog: defineScopes({ scopes }) })
  const grant = { scopes: Array.from({ length: 8 }, (_, i) => `part${Math.floor((i * count) / 10)}:use`) }
  const allowed = Array.from({ length: 8 }, (_, i) => ({ tool: `tool_${Math.floor((i * count) / 10)}` }))
  const denied = { tool: `tool_${count - 1}` }
  return {
    run: (i) => {
      const operation = i % 2 === 0 ? (allowed[(i >> 1) % 8] as { tool: string }) : denied
      const { decision } = authorizer.authorize(grant, operation)
      if ((decision === 'denied') !== (operation === denied)) throw new Error(`operation ${i} was ${decision}`)
    },
  }
}
