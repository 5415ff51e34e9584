import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hostOperationsCatalog } from '../../src/access/host-operations.ts'
import { ScopeAuthorizer } from '../../src/access/scope-authorizer.ts'
import { defineScopes } from '../../src/access/scope-catalog.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { DAY, setUp } from '../issuing/fixture.ts'

const authorizer = new ScopeAuthorizer({ catalog: hostOperationsCatalog })

describe('hostOperationsCatalog', () => {
  it('has the ten scopes with their risks and tools, and two meta scopes', () => {
    const table = hostOperationsCatalog.scopes.map((scope) => [
      scope,
      hostOperationsCatalog.riskOf(scope),
      hostOperationsCatalog.tools.filter((tool) => hostOperationsCatalog.scopesForTool(tool).includes(scope)).join(' '),
    ])
    expect(table).toEqual([
      ['container:admin', 'critical', 'update_docker_container'],
      ['container:read', 'low', 'get_container_list list_docker_images'],
      ['container:write', 'high', 'manage_container'],
      ['docker:admin', 'critical', 'pull_docker_image'],
      ['docker:read', 'low', 'list_docker_networks'],
      ['file:read', 'moderate', 'file_operations'],
      ['network:diag', 'moderate', 'dns_lookup ping_host test_port_connectivity'],
      ['network:read', 'low', 'get_active_connections get_network_status'],
      ['system:admin', 'critical', 'install_package update_system_packages'],
      ['system:read', 'low', 'get_system_status get_top_processes'],
    ])
    expect(hostOperationsCatalog.expand(['readonly'])).toEqual([
      'container:read',
      'file:read',
      'network:read',
      'system:read',
    ])
    expect(hostOperationsCatalog.expand(['admin'])).toEqual(hostOperationsCatalog.scopes)
  })
})

describe('authorize', () => {
  it('allows, denies with what is missing, or asks for an approval of this very call', () => {
    const grant = {
      scopes: ['readonly', 'container:write', 'system:admin'],
      id: 'tok_1',
      service: 'AGENT',
      owner: 'ops',
    }
    expect(authorizer.authorize(grant, { tool: 'ping_host' })).toEqual({
      decision: 'denied',
      reason: 'scope',
      missing: ['network:diag'],
    })
    expect(authorizer.authorize(grant, { tool: 'get_system_status' })).toEqual({ decision: 'allowed' })
    expect(authorizer.authorize(grant, { tool: 'manage_container', args: { name: 'web' } })).toEqual({
      decision: 'allowed',
    })
    expect(authorizer.authorize(grant, { tool: 'rm' })).toEqual({
      decision: 'denied',
      reason: 'unknown_tool',
      missing: [],
    })
    expect(authorizer.authorize(grant, { scope: 'file:read' })).toEqual({ decision: 'allowed' })
    expect(authorizer.authorize(grant, { scope: 'docker:admin' })).toMatchObject({ missing: ['docker:admin'] })
    expect(authorizer.authorize(grant, { tool: 'install_package', args: { name: 'nginx' } })).toEqual({
      decision: 'approval_required',
      request: {
        token: 'tok_1',
        service: 'AGENT',
        owner: 'ops',
        tool: 'install_package',
        args: { name: 'nginx' },
        risk: 'critical',
      },
    })
    const held = { ...grant, tools: [{ name: 'manage_container', args: { name: ['web'] } }] }
    expect(authorizer.authorize(held, { tool: 'manage_container', args: { name: 'db' } })).toMatchObject({
      reason: 'tool',
    })
  })

  it('takes the same from a frozen list that it has seen, and notices one that is changed', () => {
    const scopes = ['file:read']
    expect(authorizer.authorize({ scopes }, { scope: 'file:read' }).decision).toBe('allowed')
    scopes[0] = 'docker:read'
    expect(authorizer.authorize({ scopes }, { scope: 'file:read' }).decision).toBe('denied')
    const frozen = Object.freeze(['file:read'])
    const tools = [{ name: 'file_operations', args: { op: ['read'] } }]
    for (let i = 0; i < 2; i++) {
      expect(authorizer.authorize({ scopes: frozen }, { tool: 'file_operations' }).decision).toBe('allowed')
      expect(authorizer.authorize({ scopes: frozen, tools }, { tool: 'file_operations' }).decision).toBe('denied')
    }
  })

  it('notices tools that are taken away beside a frozen list of scopes', () => {
    const scopes = Object.freeze(['file:read', 'system:read'])
    const tools = ['file_operations', 'get_system_status']
    expect(authorizer.authorize({ scopes, tools }, { tool: 'file_operations' }).decision).toBe('allowed')
    tools.shift()
    expect(authorizer.authorize({ scopes, tools }, { tool: 'file_operations' }).decision).toBe('denied')
  })

  it('a policy may ask for more or less', () => {
    const strict = new ScopeAuthorizer({
      catalog: hostOperationsCatalog,
      approvals: { from: 'high', tools: ['ping_host'] },
    })
    const grant = { scopes: ['admin'], id: 't' }
    const asks = (tool: string) => strict.authorize(grant, { tool }).decision === 'approval_required'
    expect([asks('manage_container'), asks('ping_host'), asks('dns_lookup')]).toEqual([true, true, false])
  })

  it('scopes that left the catalogue stand for themselves and hurt nobody', () => {
    expect(authorizer.authorize({ scopes: ['gone:read', 'file:read'] }, { scope: 'gone:read' }).decision).toBe(
      'allowed',
    )
    expect(authorizer.authorize({ scopes: ['gone:read'] }, { tool: 'file_operations' }).decision).toBe('denied')
  })

  it('refuses operations and options that can’t be used', () => {
    for (const operation of [{}, { tool: 'a', scope: 'b:c' }, { tool: 7 }, 'rm', { tool: 'x', extra: 1 }]) {
      expect(() => authorizer.authorize({ scopes: [] }, operation as never)).toThrow(InvalidInputError)
    }
    for (const grant of [{}, null, undefined, 'admin', { scopes: 'admin' }, { scopes: [7] }, { scopes: [null] }]) {
      expect(() => authorizer.authorize(grant as never, { tool: 'x' }), String(grant)).toThrow(InvalidInputError)
    }
    expect(() => authorizer.maxTtl([7] as never)).toThrow(InvalidInputError)
    expect(() => authorizer.authorize({ scopes: [], tools: 'rm' } as never, { tool: 'x' })).toThrow(InvalidInputError)
    for (const options of [
      {},
      { catalog: 7 },
      { catalog: hostOperationsCatalog, maxTtl: { huge: '1d' } },
      { catalog: hostOperationsCatalog, maxTtl: { low: 0 } },
      { catalog: hostOperationsCatalog, approvals: { from: 'huge' } },
    ]) {
      expect(() => new ScopeAuthorizer(options as never)).toThrow(InvalidInputError)
    }
  })

  it('wildcards are a whole last part, in linear time', () => {
    const catalog = defineScopes({
      scopes: {
        'docs:read': { risk: 'low', tools: ['read'] },
        'docs:a:b': { risk: 'low' },
        'doc:read': { risk: 'low' },
      },
    })
    const own = new ScopeAuthorizer({ catalog })
    const can = (scope: string, wanted: string) =>
      own.authorize({ scopes: [scope] }, { scope: wanted }).decision === 'allowed'
    expect([can('docs:*', 'docs:read'), can('docs:*', 'docs:a:b'), can('docs:*', 'doc:read')]).toEqual([
      true,
      true,
      false,
    ])
    expect(own.authorize({ scopes: ['docs:*'] }, { tool: 'read' }).decision).toBe('allowed')
    const started = performance.now()
    const hostile = 'a*'.repeat(60)
    for (let i = 0; i < 1000; i++) own.authorize({ scopes: [hostile] }, { scope: hostile })
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it('never allows what the scopes don’t open', () => {
    const { scopes, tools } = hostOperationsCatalog
    fc.assert(
      fc.property(fc.subarray([...scopes]), fc.constantFrom(...tools), (granted, tool) => {
        const { decision } = authorizer.authorize({ scopes: granted, id: 't' }, { tool })
        const opens = hostOperationsCatalog.scopesForTool(tool).some((scope) => granted.includes(scope))
        expect(decision === 'denied').toBe(!opens)
      }),
    )
  })
})

describe('maxTtl', () => {
  it('is that of the riskiest scope', () => {
    expect(authorizer.maxTtl(['system:read', 'file:read'])).toMatchObject({ ms: 30 * DAY })
    expect(authorizer.maxTtl(['file:read', 'container:write'])).toEqual({
      ms: 7 * DAY,
      scope: 'container:write',
      risk: 'high',
    })
    expect(authorizer.maxTtl(['admin'])).toMatchObject({ ms: DAY, risk: 'critical', scope: 'admin' })
    expect(authorizer.maxTtl([])).toBeUndefined()
    expect(() => authorizer.maxTtl(['nothing:here'])).toThrow(InvalidInputError)
    const own = new ScopeAuthorizer({ catalog: hostOperationsCatalog, maxTtl: { critical: '1h' } })
    expect(own.maxTtl(['system:admin', 'file:read'])?.ms).toBe(3_600_000)
  })
})

describe('leastPrivilege', () => {
  it('tells what was granted and not used, what is too broad, and what never ends', async () => {
    const { tokens } = setUp({ scopes: hostOperationsCatalog })
    const { token, record } = await tokens.generate({ service: 'AGENT', scopes: ['admin', 'file:read', 'docker:read'] })
    for (const tool of ['get_system_status', 'file_operations']) await tokens.verify(token, { tool })
    await tokens.usage.flush()
    const report = authorizer.leastPrivilege(record, await tokens.usage.query({ token: record.id }))
    expect(report).toMatchObject({
      unused: ['docker:read'],
      unknown: [],
      overBroad: [{ scope: 'admin', used: ['file:read', 'system:read'] }],
      noExpiry: true,
      anyAddress: true,
    })
    expect(report.recommendations).toEqual([
      'take docker:read away: none of its tools was used',
      'replace admin by file:read, system:read',
      'set expiresIn or expiresAt: it never ends',
    ])
  })
})
