import { BlockList, isIP, isIPv4 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileIpRules, parseCidr, parseCidrs } from '../../src/access/network.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { formatAddress, readAddress, words } from '../../src/kernel/ip-address.ts'

describe('readAddress', () => {
  /** What the system's parser takes; of zones it has rules of its own. */
  const known = (text: string) => {
    const zone = text.indexOf('%')
    return zone < 0 ? isIP(text) !== 0 : zone < text.length - 1 && isIP(text.slice(0, zone)) === 6
  }

  it('takes what the system takes', () => {
    const chars = fc.stringMatching(/^[0-9a-fA-F:.%]{0,45}$/)
    const near = fc
      .tuple(
        fc.oneof(fc.ipV4(), fc.ipV6(), fc.ipV4Extended()),
        fc.nat(50),
        fc.constantFrom('', ':', '::', '.', '0', '00', '%', '%e', ' ', 'g', '1'),
      )
      .map(([ip, at, part]) => ip.slice(0, at) + part + ip.slice(at))
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), near, chars), (text) => {
        expect(readAddress(text, true) !== 0).toBe(known(text))
      }),
      { numRuns: 5000 },
    )
  })

  it('writes back what means the same, in its shortest form', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const version = readAddress(text, false)
        if (version === 0) throw new Error(text)
        const before = Int32Array.from(words)
        const canonical = formatAddress(before, version)
        expect(readAddress(canonical, false)).toBe(version)
        expect(words[3]).toBe(before[3])
        // The URL parser writes IPv6 as RFC 5952 does.
        if (version === 6) expect(new URL(`http://[${text}]`).hostname).toBe(`[${canonical}]`)
        else if (isIPv4(text)) expect(canonical).toBe(text)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('parseCidr', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.0.0.1', '10.0.0.1/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['255.255.255.255/32', '255.255.255.255/32'],
    ['2001:DB8::/32', '2001:db8::/32'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1/128'],
    ['::/0', '::/0'],
    ['::1', '::1/128'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3/128'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7/128'],
    ['::ffff:10.0.0.1', '10.0.0.1/32'],
    ['::ffff:a00:1', '10.0.0.1/32'],
    ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
    ['::10.0.0.1', '::a00:1/128'],
  ])('reads %s as %s', (text, canonical) => {
    expect(parseCidr('ipAllow', text)).toBe(canonical)
    expect(parseCidr('ipAllow', canonical)).toBe(canonical)
  })

  it.each([
    ['10.0.0.1/8', 'write 10.0.0.0/8'],
    ['2001:db8::1/32', 'write 2001:db8::/32'],
    ['::ffff:10.0.0.1/104', 'write 10.0.0.0/8'],
    ['128.0.0.0/0', 'write 0.0.0.0/0'],
    ['fe80::1%eth0', 'has a zone'],
    ['fe80::%1/64', 'has a zone'],
    ['::ffff:0.0.0.0/95', 'write /96 to /128'],
    ['10.0.0.0/33', 'write /0 to /32'],
    ['::/129', 'write /0 to /128'],
    ['10.0.0.0/08', 'has no good prefix length'],
    ['10.0.0.0/', 'has no good prefix length'],
    ['10.0.0.0/8/8', 'has no good prefix length'],
    ['10.0.0.0/+8', 'has no good prefix length'],
    ['10.0.0.0/-1', 'has no good prefix length'],
    ['10.0.0.0/8.0', 'has no good prefix length'],
    ['10.0.0.0/255.0.0.0', 'has no good prefix length'],
  ])('refuses %s and says why', (text, why) => {
    expect(() => parseCidr('ipAllow', text)).toThrow(InvalidInputError)
    expect(() => parseCidr('ipAllow', text)).toThrow(why)
  })

  it.each([
    '',
    ' ',
    '/',
    '/8',
    '1.2.3',
    '1.2.3/24',
    '1.2.3.4.5',
    '010.0.0.1',
    '10.0.0.01',
    '00.0.0.0',
    '0x0a.0.0.1',
    '167772161',
    '256.0.0.1',
    '10.0.0.',
    '.10.0.0.1',
    ' 10.0.0.1',
    '10.0.0.1 ',
    '10.0.0.1\n',
    '10.0.0.0 /8',
    '１０.0.0.1',
    '10.0.0.1:80',
    '[::1]',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::1::2',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '::1.2.3',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    'localhost',
    'example.org',
    `${'1'.repeat(70)}`,
    ...([null, undefined, 5, {}, ['10.0.0.1']] as unknown as string[]),
  ])('refuses %j', (text) => {
    expect(() => parseCidr('ipAllow', text)).toThrow(InvalidInputError)
    expect(() => parseCidr('ipAllow', text)).toThrow('ipAllow is not a network')
  })
})

describe('parseCidrs', () => {
  it('gives them canonical, once each, frozen', () => {
    const list = parseCidrs('ipAllow', ['10.0.0.0/8', '::ffff:10.0.0.0/104', '::1'])
    expect(list).toEqual(['10.0.0.0/8', '::1/128'])
    expect(Object.isFrozen(list)).toBe(true)
  })

  it('refuses an empty list, one too long, and what is none; names the entry', () => {
    expect(() => parseCidrs('ipAllow', [])).toThrow('ipAllow is empty')
    expect(() => parseCidrs('ipAllow', new Array(1001).fill('10.0.0.1'))).toThrow('ipAllow has over 1000 entries')
    expect(() => parseCidrs('ipAllow', '10.0.0.1' as unknown as string[])).toThrow('ipAllow is not a list')
    expect(() => parseCidrs('ipAllow', ['10.0.0.1', 'x'])).toThrow('ipAllow[1] is not a network')
  })
})

describe('compileIpRules', () => {
  it('agrees with net.BlockList', () => {
    const network4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }))
    const network6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 }))
    const familyOf = (ip: string) => (isIPv4(ip) ? 'ipv4' : 'ipv6')
    /** Addresses near the networks, so that some are inside. */
    const near = (ip: string, bit: number): string => {
      const version = readAddress(ip, false) as 4 | 6
      const address = Int32Array.from(words)
      const at = version === 4 ? 96 + (bit % 32) : bit
      address[at >> 5] = (address[at >> 5] as number) ^ (1 << (31 - (at & 31)))
      return formatAddress(address, version)
    }
    const cidrOf = (ip: string, bits: number): string => {
      try {
        return parseCidr('x', `${ip}/${bits}`)
      } catch (error) {
        return /write (\S+) for/.exec((error as Error).message)?.[1] as string
      }
    }
    fc.assert(
      fc.property(
        fc.array(fc.oneof(network4, network6), { minLength: 1, maxLength: 12 }),
        fc.array(fc.tuple(fc.nat(11), fc.nat(127)), { minLength: 1 }),
        (networks, probes) => {
          // A mapped address is IPv4 to us; its own test is below.
          fc.pre(networks.every(([ip]) => !/^(::|0{1,4}:0{1,4}:0)/.test(ip)))
          // One list a version: a BlockList maps IPv4 into its IPv6 networks, where `::/0` would allow all.
          const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
          for (const [ip, bits] of networks) lists[familyOf(ip)].addSubnet(ip, bits, familyOf(ip))
          const rules = compileIpRules(networks.map(([ip, bits]) => cidrOf(ip, bits)))
          for (const [index, bit] of probes) {
            const ip = near(networks[index % networks.length]?.[0] as string, bit)
            expect(rules.allows(ip)).toBe(lists[familyOf(ip)].check(ip, familyOf(ip)))
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  const rules = compileIpRules(['10.0.0.0/8', '192.168.1.7/32', 'fe80::/10', '2001:db8::/32'])

  it('knows the edges of a network', () => {
    for (const ip of [
      '10.0.0.0',
      '10.255.255.255',
      '192.168.1.7',
      '2001:db8::',
      '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
    ])
      expect(rules.allows(ip)).toBe(true)
    for (const ip of ['9.255.255.255', '11.0.0.0', '192.168.1.6', '192.168.1.8', '2001:db7:ffff::', '2001:db9::'])
      expect(rules.allows(ip)).toBe(false)
  })

  // CVE-2026-30827 (express-rate-limit): mapped addresses were masked as IPv6.
  it('takes mapped addresses for the IPv4 addresses that they are', () => {
    for (const ip of ['::ffff:10.1.2.3', '::FFFF:10.1.2.3', '::ffff:0a01:203', '0:0:0:0:0:ffff:10.1.2.3'])
      expect(rules.allows(ip)).toBe(true)
    for (const ip of ['::ffff:11.1.2.3', '::10.1.2.3', '::fffe:10.1.2.3', '64:ff9b::10.1.2.3'])
      expect(rules.allows(ip)).toBe(false)
    expect(compileIpRules(['::/0']).allows('::ffff:10.0.0.1')).toBe(false)
    expect(compileIpRules(['::/0']).allows('10.0.0.1')).toBe(false)
    expect(compileIpRules(['0.0.0.0/0']).allows('::ffff:10.0.0.1')).toBe(true)
    expect(compileIpRules(['0.0.0.0/0']).allows('::1')).toBe(false)
  })

  it('drops the zone of a presented address', () => {
    expect(rules.allows('fe80::1%eth0')).toBe(true)
    expect(rules.allows('::ffff:10.0.0.1%eth0')).toBe(true)
    for (const ip of ['fe80::1%', '10.0.0.1%eth0', `fe80::1%${'e'.repeat(200)}`]) expect(rules.allows(ip)).toBe(false)
  })

  it('denies what is no address, whatever it is', () => {
    const odd = [
      '',
      ' 10.0.0.1',
      '10.0.0.1 ',
      '010.0.0.1',
      '10.1',
      '10.0.0.1:80',
      '[::1]',
      '10.0.0.1, 1.1.1.1',
      'x'.repeat(1_000_000),
      '10.0.0.1\0',
      '\ud800',
      undefined,
      null,
      167772161,
      ['10.0.0.1'],
      {},
    ]
    for (const ip of odd) expect(rules.allows(ip as string)).toBe(false)
  })

  it('refuses rules that are none', () => {
    expect(() => compileIpRules(['10.0.0.1/8'])).toThrow(InvalidInputError)
  })
})
