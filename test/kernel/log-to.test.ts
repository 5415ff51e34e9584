import { Console } from 'node:console'
import { Writable } from 'node:stream'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { Emitter } from '../../src/kernel/emitter.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { type LogLevel, levelOf, logTo } from '../../src/kernel/log-to.ts'
import { Secret } from '../../src/kernel/secret.ts'

interface Any {
  readonly [key: string]: unknown
}
interface Events {
  'token.rotated': Any
  'token.expiring': Any
  'rule.failed': Any
  'vault.checked': Any
}

const CANARY = 'sk_canary_77aa'

function sink() {
  const chunks: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  return { stream, text: () => chunks.join('') }
}

/** Collects the calls as they come. */
function collector() {
  const lines: { level: LogLevel; fields: Any; message: string }[] = []
  const at = (level: LogLevel) => (fields: object, message: string) =>
    lines.push({ level, fields: fields as Any, message })
  return { lines, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

describe('levelOf', () => {
  it.each([
    ['listenerError', 'error'],
    ['rule.failed', 'error'],
    ['renewalFailed', 'error'],
    ['reauthFailed', 'error'],
    ['circuitOpened', 'error'],
    ['token.expiring', 'warn'],
    ['expiringSoon', 'warn'],
    ['clock.jumped', 'warn'],
    ['token.denied', 'warn'],
    ['vault.expired', 'warn'],
    ['rotation.stalled', 'warn'],
    ['nonRenewable', 'warn'],
    ['maxTtlApproaching', 'warn'],
    ['vault.checked', 'debug'],
    ['token.rotated', 'info'],
    ['renewed', 'info'],
    ['constructor', 'info'],
    ['', 'info'],
    ['door.unfailed', 'info'],
    ['store.opened', 'info'],
  ] as const)('%s is %s', (name, level) => {
    expect(levelOf(name)).toBe(level)
  })
})

describe('logTo', () => {
  it('logs each event once, from the lowest level up, until stopped', () => {
    const events = new Emitter<Events>()
    const { lines, logger } = collector()
    const stop = logTo(events, logger)
    events.emit('vault.checked', {})
    events.emit('token.rotated', { service: 'a' })
    events.emit('rule.failed', { rule: 'r', event: 'mine' })
    expect(lines).toEqual([
      { level: 'info', fields: { event: 'token.rotated', service: 'a' }, message: 'token.rotated' },
      { level: 'error', fields: { event: 'rule.failed', rule: 'r' }, message: 'rule.failed' },
    ])
    stop()
    events.emit('token.rotated', {})
    expect(lines).toHaveLength(2)
    logTo(events, logger, { level: 'warn' })
    events.emit('token.rotated', {})
    events.emit('token.expiring', {})
    expect(lines.slice(2).map((line) => line.message)).toEqual(['token.expiring'])
    logTo(events, logger, { level: 'debug' })
    events.emit('vault.checked', {})
    expect(lines.at(-1)?.level).toBe('debug')
  })

  it('prints no secret', () => {
    const events = new Emitter<Events>()
    const { lines, logger } = collector()
    logTo(events, logger)
    events.emit('token.rotated', {
      token: CANARY,
      newToken: CANARY,
      tokens: [CANARY],
      secret: CANARY,
      clientSecret: CANARY,
      password: CANARY,
      Authorization: `Bearer ${CANARY}`,
      headers: { authorization: CANARY, cookie: CANARY, 'x-api-key': CANARY, 'set-cookie': [CANARY] },
      privateKey: CANARY,
      tokenFormat: CANARY,
      api_key: CANARY,
      wrapped: new Secret(CANARY),
      deep: { list: [{ secret: CANARY }] },
      bytes: Buffer.from(CANARY),
      map: new Map([['token', CANARY]]),
    })
    expect(JSON.stringify(lines)).not.toContain(CANARY)
    expect(lines[0]?.fields['token']).toBe('[secret]')
  })

  it('prints what is no secret', () => {
    const events = new Emitter<Events>()
    const { lines, logger } = collector()
    logTo(events, logger)
    const at = new Date(0)
    const harmless = {
      tokenId: 'tok_1',
      token_id: 'tok_1',
      tokenIds: ['tok_1'],
      tokenName: 'a',
      tokenCount: 5,
      secretVersion: '3',
      tokens: 5,
      token: { id: 'tok_1', preview: 'sk_abc…' },
      key: 'digest',
      tokenType: 'api_key',
      keyId: 'k1',
      secretExpiresAt: '2030',
      at,
      none: null,
      list: [1, 'x'],
    }
    events.emit('token.rotated', harmless)
    expect(lines[0]?.fields).toEqual({ ...harmless, event: 'token.rotated' })
  })

  it('cuts what is long, deep, or circular, and prints errors short', () => {
    const events = new Emitter<Events>()
    const { lines, logger } = collector()
    logTo(events, logger)
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    events.emit('rule.failed', {
      cycle,
      long: 'x'.repeat(5000),
      list: Array.from({ length: 60 }, (_, i) => i),
      big: 5n,
      fn: () => 1,
      bytes: new Uint8Array(9),
      error: new InvalidInputError('service', 'is empty', 'name it'),
      other: Object.assign(new TypeError('bad'), { code: 'EX', token: CANARY }),
    })
    const fields = lines[0]?.fields as { long: string; list: unknown[]; [key: string]: unknown }
    expect(fields.long).toHaveLength(2001)
    expect(fields.list).toHaveLength(51)
    expect(fields.list[50]).toBe('… 10 more')
    expect(fields['big']).toBe('5')
    expect(fields['bytes']).toBe('[9 bytes]')
    expect(fields['error']).toMatchObject({ code: 'ERR_INVALID_INPUT', retryable: false })
    expect(fields['other']).toEqual({ name: 'TypeError', message: 'bad', code: 'EX' })
    expect(JSON.stringify(fields)).toContain('[…]')
  })

  it('reads well in pino and on the console', () => {
    const events = new Emitter<Events>()
    const json = sink()
    const plain = sink()
    logTo(events, pino({ base: null, timestamp: false }, json.stream))
    logTo(events, new Console(plain.stream))
    events.emit('token.rotated', { service: 'billing', token: CANARY })
    expect(json.text()).toBe(
      '{"level":30,"service":"billing","token":"[secret]","event":"token.rotated","msg":"token.rotated"}\n',
    )
    expect(plain.text()).toBe("{ service: 'billing', token: '[secret]', event: 'token.rotated' } token.rotated\n")
  })

  it('survives a logger that throws', () => {
    const events = new Emitter<Events>()
    const broken = () => {
      throw new Error('disk full')
    }
    logTo(events, { debug: broken, info: broken, warn: broken, error: broken })
    const { lines, logger } = collector()
    logTo(events, logger)
    events.emit('token.rotated', {})
    expect(lines.map((line) => line.message)).toEqual(['listenerError', 'token.rotated'])
    expect(lines[0]?.fields).toMatchObject({ event: 'listenerError', error: { message: 'disk full' } })
    expect(events.lostErrors).toBe(1)
  })
})
