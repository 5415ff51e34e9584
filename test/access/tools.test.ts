import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileTools, parseTools } from '../../src/access/tools.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import type { ArgValue, ToolRule } from '../../src/tokens/policy.ts'

describe('parseTools', () => {
  it('copies, drops duplicates, freezes all of it', () => {
    const args = { container: ['web', 'web', 1, true], b: ['x'] }
    const list = parseTools('tools', [
      'get_bill',
      { name: 'restart', args },
      'get_bill',
      { name: 'restart', args: { b: ['x'], container: ['web', 1, true] } },
    ])
    expect(list).toEqual(['get_bill', { name: 'restart', args: { b: ['x'], container: ['web', 1, true] } }])
    args.container.push('later')
    expect(JSON.stringify(list)).not.toContain('later')
    const rule = list[1] as Exclude<ToolRule, string>
    for (const value of [list, rule, rule.args, rule.args['container']]) expect(Object.isFrozen(value)).toBe(true)
  })

  it.each([
    ['no list', 'get_bill', 'tools is not a list'],
    ['an empty list', [], 'tools is empty'],
    ['too many', Array.from({ length: 257 }, (_, i) => `t${i}`), 'tools has over 256 entries'],
    ['an empty name', [''], 'tools[0] holds no good name'],
    ['a name with space', ['ok', 'a b'], 'tools[1] holds no good name'],
    ['a long name', ['x'.repeat(129)], 'tools[0] holds no good name'],
    ['a number', [5], 'tools[0] is not a tool'],
    ['null', [null], 'tools[0] is not a tool'],
    ['no args', [{ name: 'a' }], 'tools[0] is not a tool'],
    ['a bad inner name', [{ name: 5, args: { a: ['x'] } }], 'tools[0].name holds no good name'],
    ['empty args', [{ name: 'a', args: {} }], 'tools[0].args is empty'],
    ['args that are a list', [{ name: 'a', args: ['x'] }], 'tools[0].args is not an object'],
    ['no values', [{ name: 'a', args: { x: [] } }], 'tools[0].args holds an argument without a list of values'],
    [
      'values that are no list',
      [{ name: 'a', args: { x: 'web' } }],
      'tools[0].args holds an argument without a list of values',
    ],
    [
      'too many values',
      [{ name: 'a', args: { x: Array.from({ length: 101 }, (_, i) => i) } }],
      'holds an argument without a list of values',
    ],
    [
      'too many arguments',
      [{ name: 'a', args: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`x${i}`, [1]])) }],
      'tools[0].args has over 32 entries',
    ],
    ['NaN', [{ name: 'a', args: { x: [Number.NaN] } }], 'holds a value that is no text, number or boolean'],
    ['null as a value', [{ name: 'a', args: { x: [null] } }], 'holds a value that is no text, number or boolean'],
    ['an object as a value', [{ name: 'a', args: { x: [{}] } }], 'holds a value that is no text, number or boolean'],
    [
      'a long value',
      [{ name: 'a', args: { x: ['y'.repeat(1025)] } }],
      'holds a value that is no text, number or boolean',
    ],
    [
      'half a surrogate pair',
      [{ name: 'a', args: { x: ['\ud800'] } }],
      'holds a value that is no text, number or boolean',
    ],
    ['__proto__', [{ name: 'a', args: JSON.parse('{"__proto__":["x"]}') }], 'holds no good name of an argument'],
    ['an empty argument', [{ name: 'a', args: { '': ['x'] } }], 'holds no good name of an argument'],
  ])('refuses %s', (_name, value, message) => {
    expect(() => parseTools('tools', value as unknown as ToolRule[])).toThrow(InvalidInputError)
    expect(() => parseTools('tools', value as unknown as ToolRule[])).toThrow(message)
  })
})

describe('compileTools', () => {
  it('allows every tool without rules', () => {
    expect(compileTools(undefined).allows('anything', {})).toBe(true)
    expect(compileTools(undefined).allows(undefined)).toBe(true)
  })

  it('allows the tools named, and a call that uses none', () => {
    const tools = compileTools(['get_bill'])
    expect(tools.allows('get_bill')).toBe(true)
    expect(tools.allows('get_bill', { any: 'thing' })).toBe(true)
    expect(tools.allows(undefined)).toBe(true)
    for (const tool of ['get_bills', 'GET_BILL', '', 'constructor', '__proto__', 'toString'])
      expect(tools.allows(tool)).toBe(false)
  })

  it('holds arguments to their values', () => {
    const tools = compileTools([{ name: 'restart', args: { container: ['web', 'worker'], force: [false] } }])
    expect(tools.allows('restart', { container: 'web', force: false })).toBe(true)
    expect(tools.allows('restart', { container: 'worker', force: false, more: 1 })).toBe(true)
    const refused: unknown[] = [
      undefined,
      null,
      {},
      'web',
      { container: 'web' },
      { force: false },
      { container: 'db', force: false },
      { container: ['web'], force: false },
      { container: 'web', force: 0 },
      { container: 'web', force: 'false' },
      { container: { toString: () => 'web' }, force: false },
      { container: 'Web', force: false },
      { container: new String('web'), force: false },
      Object.create({ container: 'web', force: false }),
      [],
    ]
    for (const args of refused) expect(tools.allows('restart', args as { [name: string]: unknown })).toBe(false)
  })

  it("isn't fooled by what objects inherit", () => {
    const tools = compileTools(parseTools('tools', [{ name: 'a', args: { constructor: ['x'] } }]))
    expect(tools.allows('a', {})).toBe(false)
    expect(tools.allows('a', { constructor: 'x' })).toBe(true)
    expect(tools.allows('a', Object.assign(Object.create(null), { constructor: 'x' }))).toBe(true)
  })

  it('takes several rules for one tool as alternatives', () => {
    const tools = compileTools([
      { name: 'a', args: { x: [1] } },
      { name: 'a', args: { y: [2], z: [3] } },
    ])
    expect(tools.allows('a', { x: 1 })).toBe(true)
    expect(tools.allows('a', { y: 2, z: 3 })).toBe(true)
    expect(tools.allows('a', { y: 2 })).toBe(false)
    for (const rules of [
      ['a', { name: 'a', args: { x: [1] } }],
      [{ name: 'a', args: { x: [1] } }, 'a'],
    ] as ToolRule[][]) {
      expect(compileTools(rules).allows('a', {})).toBe(true)
    }
  })

  it('allows exactly what one of the rules allows', () => {
    const value = fc.constantFrom<ArgValue>('web', 'db', 1, 0, true, false, '1', '')
    const name = fc.constantFrom('a', 'b', 'constructor')
    const rule = fc.oneof(
      name,
      fc.record({
        name,
        args: fc.dictionary(fc.constantFrom('x', 'y', 'toString'), fc.array(value, { minLength: 1 }), { minKeys: 1 }),
      }),
    ) as fc.Arbitrary<ToolRule>
    const args = fc.dictionary(fc.constantFrom('x', 'y', 'toString'), value)
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 5 }), name, args, (rules, tool, given) => {
        const expected = rules.some((one) =>
          typeof one === 'string'
            ? one === tool
            : one.name === tool &&
              Object.entries(one.args).every(
                ([arg, values]) => Object.keys(given).includes(arg) && values.includes(given[arg] as ArgValue),
              ),
        )
        expect(compileTools(parseTools('tools', rules)).allows(tool, given)).toBe(expected)
      }),
      { numRuns: 1000 },
    )
  })
})
