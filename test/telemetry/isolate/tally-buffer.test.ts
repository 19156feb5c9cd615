import { array, assert, constantFrom, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Evaluation, fail, type Reason, type Resolution } from '../../../src/engine/evaluation.ts'
import { MAX_CONTEXT_BYTES, MAX_COUNTERS, TallyBuffer } from '../../../src/telemetry/isolate/tally-buffer.ts'

const MINUTE_MS = 60_000
const NOW = 30_000_000 * MINUTE_MS

function answer(flagKey: string, variant: string | undefined, reason: Reason = 'STATIC'): Resolution {
  return { flagKey, reason, variant, value: variant, metadata: {}, assignment: undefined }
}

/** A report's counts as lines, in order. */
function linesOf(buffer: TallyBuffer): string[] {
  const lines: string[] = []
  for (const [minute, flags] of buffer.take()?.minutes ?? []) {
    for (const [flag, counts] of flags) {
      for (const { variant, reason, evaluations } of counts) {
        lines.push(`${(minute - NOW) / MINUTE_MS} ${flag} ${variant} ${reason}: ${evaluations}`)
      }
    }
  }
  return lines.sort()
}

describe('counting', () => {
  it('goes by minute, flag, variant and reason', () => {
    const buffer = new TallyBuffer()
    buffer.count([answer('a', 'on'), answer('b', 'on', 'SPLIT')], NOW)
    buffer.count([answer('a', 'on'), answer('a', 'off'), answer('a', 'on', 'DEFAULT')], NOW + MINUTE_MS - 1)
    buffer.count([answer('a', 'on')], NOW + MINUTE_MS)
    buffer.count([answer('a', 'on')], NOW)
    expect(linesOf(buffer)).toEqual([
      '0 a off STATIC: 1',
      '0 a on DEFAULT: 1',
      '0 a on STATIC: 3',
      '0 b on SPLIT: 1',
      '1 a on STATIC: 1',
    ])
  })

  it.each<[name: string, evaluation: Evaluation, lines: string[]]>([
    ['a flag without a variant', answer('a', undefined, 'DISABLED'), ['0 a null DISABLED: 1']],
    ['a flag that fails', fail('a', 'TARGETING_KEY_MISSING', ''), ['0 a null ERROR: 1']],
    ['no flag that does not exist', fail('a', 'FLAG_NOT_FOUND', ''), []],
    [
      'a unit under measurement like any other',
      { ...answer('a', 'on'), assignment: { tag: 'r.1.1.t', by: 'targetingKey', unit: 'ada' } },
      ['0 a on STATIC: 1'],
    ],
    [
      'a flag with the name of a built-in',
      answer('__proto__', 'constructor'),
      ['0 __proto__ constructor STATIC: 1'],
    ],
  ])('counts %s', (_, evaluation, lines) => {
    const buffer = new TallyBuffer()
    buffer.count([evaluation], NOW)
    expect(linesOf(buffer)).toEqual(lines)
  })

  it('loses and invents nothing, however evaluations come and whenever they are taken', () => {
    const step = record({
      advance: integer({ min: 0, max: 90_000 }),
      flags: array(
        record({ flag: constantFrom('a', 'b', 'c'), variant: constantFrom('on', 'off', undefined) }),
        {
          maxLength: 5,
        },
      ),
      take: integer({ min: 0, max: 3 }),
    })
    assert(
      property(array(step), (steps) => {
        const buffer = new TallyBuffer()
        const expected = new Map<string, number>()
        const counted = new Map<string, number>()
        const drain = () => {
          for (const line of linesOf(buffer)) {
            const [cell = '', evaluations] = line.split(': ')
            counted.set(cell, (counted.get(cell) ?? 0) + Number(evaluations))
          }
        }
        let now = NOW
        for (const { advance, flags, take } of steps) {
          now += advance
          const minute = Math.floor((now - NOW) / MINUTE_MS)
          for (const { flag, variant } of flags) {
            const cell = `${minute} ${flag} ${variant ?? null} STATIC`
            expected.set(cell, (expected.get(cell) ?? 0) + 1)
          }
          buffer.count(
            flags.map(({ flag, variant }) => answer(flag, variant)),
            now,
          )
          if (take === 0) drain()
        }
        drain()
        expect(counted).toEqual(expected)
      }),
    )
  })

  it('has a bound, beyond which it is only known that something was not counted', () => {
    const buffer = new TallyBuffer()
    const flags = Array.from({ length: MAX_COUNTERS }, (_, index) => answer(`flag-${index}`, 'on'))
    buffer.count(flags, NOW)
    buffer.count([answer('flag-0', 'on'), answer('flag-0', 'off'), answer('another', 'on')], NOW)
    const first = buffer.take()
    const counters = [...(first?.minutes.values() ?? [])].flatMap((flags) => [...flags.values()].flat())
    expect([first?.uncounted, counters.length]).toEqual([true, MAX_COUNTERS])
    expect(counters.reduce((sum, { evaluations }) => sum + evaluations, 0)).toBe(MAX_COUNTERS + 1)
    buffer.count([answer('another', 'on')], NOW)
    expect(buffer.take()).toEqual({
      minutes: new Map([
        [NOW, new Map([['another', [{ variant: 'on', reason: 'STATIC', evaluations: 1 }]]])],
      ]),
      uncounted: false,
      contexts: null,
    })
  })
})

describe('what is there to send', () => {
  it('is nothing before anything is counted, and after it was taken', () => {
    const buffer = new TallyBuffer()
    buffer.count([], NOW)
    buffer.count([fail('a', 'FLAG_NOT_FOUND', '')], NOW)
    expect([buffer.oldestAt, buffer.take()]).toEqual([undefined, undefined])
    buffer.count([answer('a', 'on')], NOW + 1)
    buffer.count([answer('a', 'on')], NOW + 2)
    expect(buffer.oldestAt).toBe(NOW + 1)
    buffer.take()
    expect([buffer.oldestAt, buffer.take()]).toEqual([undefined, undefined])
  })

  it('is that flags were evaluated out of sight', () => {
    const buffer = new TallyBuffer()
    buffer.miss(NOW)
    expect(buffer.oldestAt).toBe(NOW)
    expect(buffer.take()).toEqual({ minutes: new Map(), uncounted: true, contexts: null })
  })
})

/** A buffer of an environment that keeps contexts. */
function makeKeeping(): TallyBuffer {
  const buffer = new TallyBuffer()
  buffer.allowContexts(true)
  return buffer
}

describe('contexts', () => {
  it('are not kept unless that is allowed', () => {
    const buffer = new TallyBuffer()
    buffer.keep({ a: 1 }, NOW)
    expect([buffer.oldestAt, buffer.take()]).toEqual([undefined, undefined])
  })

  it('may be none where they are kept, which is not the same', () => {
    const buffer = makeKeeping()
    buffer.miss(NOW)
    expect(buffer.take()?.contexts).toEqual([])
    buffer.miss(NOW)
    expect(buffer.take()?.contexts).toEqual([])
  })

  it('are kept at most once a second', () => {
    const buffer = makeKeeping()
    for (const milliseconds of [0, 999, 1_000, 1_500, 2_000]) {
      buffer.keep({ targetingKey: `at-${milliseconds}` }, NOW + milliseconds)
    }
    expect(buffer.take()?.contexts).toEqual(
      [0, 1_000, 2_000].map((milliseconds) => ({
        at: NOW + milliseconds,
        text: `{"targetingKey":"at-${milliseconds}"}`,
      })),
    )
  })

  const ofBytes = (bytes: number) => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) })
  const circular: { [name: string]: unknown } = {}
  circular.self = circular

  it.each<[name: string, context: { [name: string]: unknown }, kept: number]>([
    ['of 4 KiB', ofBytes(MAX_CONTEXT_BYTES), 1],
    ['larger than that', ofBytes(MAX_CONTEXT_BYTES + 1), 0],
    ['larger than that in UTF-8 alone', { a: 'ü'.repeat(MAX_CONTEXT_BYTES / 2) }, 0],
    ['with a number that JSON does not know', { a: 1n }, 0],
    ['that contains itself', circular, 0],
  ])('%s', (_, context, kept) => {
    const buffer = makeKeeping()
    buffer.keep(context, NOW)
    buffer.miss(NOW)
    expect(buffer.take()?.contexts).toHaveLength(kept)
  })

  it('are sixty at most while nothing can be sent: the newest', () => {
    const buffer = makeKeeping()
    for (let second = 0; second < 100; second++) buffer.keep({ second }, NOW + second * 1_000)
    const contexts = buffer.take()?.contexts ?? []
    expect([contexts.length, contexts[0]?.text, contexts.at(-1)?.text]).toEqual([
      60,
      '{"second":40}',
      '{"second":99}',
    ])
  })

  it('are forgotten when the environment keeps none any more', () => {
    const buffer = makeKeeping()
    buffer.keep({ a: 1 }, NOW)
    buffer.allowContexts(false)
    buffer.keep({ a: 2 }, NOW + 1_000)
    expect(buffer.take()?.contexts).toBeNull()
  })
})
