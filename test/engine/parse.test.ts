import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Flag } from '../../src/engine/flag.ts'
import { isJsonObject } from '../../src/engine/json.ts'
import {
  isFlagKey,
  parseFlag,
  parseFlagConfiguration,
  parseFlagDefinition,
  parseRollout,
  parseSegment,
} from '../../src/engine/parse-flag.ts'
import { evaluateFlag, explainFlag, makeSnapshotOf } from '../support/engine.ts'
import { contents } from '../support/engine-arbitraries.ts'
import {
  FALL,
  FLAG,
  makeRule,
  manyForeignWeights,
  manyVariants,
  manyWeights,
  nested,
  type Path,
  PRO,
  problemsOf,
  R1,
  ROLLOUT,
  SEGMENT,
  SPLIT,
  times,
  WHEN,
  withValue,
} from '../support/engine-documents.ts'

describe('a flag', () => {
  it('comes out of JSON as it went in', () => {
    const parsed = parseFlag('flag', JSON.parse(JSON.stringify(FLAG)), JSON.parse(JSON.stringify(ROLLOUT)))
    expect(parsed).toEqual({ ok: true, value: { key: 'flag', ...FLAG, rollout: ROLLOUT } })
  })

  it('is filled up where something may be left out', () => {
    const short = {
      type: 'boolean',
      variants: [{ name: 'on', value: true }],
      clientVisible: false,
      enabled: true,
      fallthrough: { split: { weights: [{ variant: 'on', weight: 1 }], seed: 's' } },
    }
    const rollout = { id: 'r', variant: 'on', seed: 's', stage: 0 }
    const expected: Flag = {
      key: 'flag',
      type: 'boolean',
      variants: [{ name: 'on', value: true }],
      metadata: {},
      clientVisible: false,
      enabled: true,
      offVariant: null,
      prerequisites: [],
      targets: [],
      rules: [],
      fallthrough: { split: { weights: [{ variant: 'on', weight: 1 }], by: 'targetingKey', seed: 's' } },
      rollout: {
        id: 'r',
        variant: 'on',
        seed: 's',
        by: 'targetingKey',
        stage: 0,
        grants: [],
        measured: false,
      },
    }
    expect(parseFlag('flag', short, rollout)).toEqual({ ok: true, value: expected })
  })

  it('keeps a description that is empty, as it keeps that there is none', () => {
    const empty = parseFlag('flag', withValue(FLAG, [...R1, 'description'], ''), null)
    expect(empty.ok && empty.value.rules.map(({ description }) => description)).toEqual(['', undefined])
  })

  it('may lack a rollout, but not have one that cannot be read', () => {
    expect(parseFlag('flag', FLAG, null)).toEqual({
      ok: true,
      value: { key: 'flag', ...FLAG, rollout: null },
    })
    expect(problemsOf(parseFlag('flag', FLAG, undefined))[0]).toEqual(['rollout', 'type'])
  })

  it.each([[null], [[]], ['x'], [1], [undefined]])('that is %j is refused', (value) => {
    expect(problemsOf(parseFlag('flag', value, null))[0]).toEqual(['', 'type'])
  })

  it('names all of its problems at once', () => {
    const flag = withValue(withValue(withValue(FLAG, ['enabled'], 1), ['offVariant'], 'd'), WHEN, {})
    expect(problemsOf(parseFlag('flag', flag, null))).toEqual([
      ['rules[0].when', 'type'],
      ['enabled', 'type'],
      ['offVariant', 'unknown_variant'],
    ])
  })

  it('says what its problem is', () => {
    const parsed = parseFlag('flag', withValue(FLAG, [...WHEN, 'op'], 'between'), null)
    expect(parsed).toEqual({
      ok: false,
      error: [
        {
          path: 'rules[0].when.values',
          rule: 'operand',
          message: '"between" needs two numbers, the lower first',
        },
      ],
    })
  })
})

describe('limits', () => {
  it.each<readonly [string, Path, unknown]>([
    ['64 variants', ['variants'], manyVariants(64)],
    ['a variant name of 200 characters', ['variants', 3], { name: 'x'.repeat(200), value: '' }],
    ['100 prerequisites', ['prerequisites'], times(100, () => ({ flag: 'x', variants: ['on'] }))],
    ['a prerequisite whose flag has 200 characters', ['prerequisites', 0, 'flag'], 'x'.repeat(200)],
    ['a prerequisite with 64 variants', ['prerequisites', 0, 'variants'], times(64, String)],
    ['64 targets', ['targets'], times(64, () => ({ variant: 'a', units: [] }))],
    ['a target of 10,000 units', ['targets', 0, 'units'], times(10_000, String)],
    ['1,000 rules', ['rules'], times(1_000, (i) => makeRule(`r${i}`))],
    ['an id of 100 characters', [...R1, 'id'], 'x'.repeat(100)],
    ['an empty description', [...R1, 'description'], ''],
    ['a description of 2,000 characters', [...R1, 'description'], 'x'.repeat(2_000)],
    ['conditions 16 deep', WHEN, nested(16)],
    ['an any of 1,000 conditions', WHEN, { any: times(1_000, () => PRO) }],
    ['10,000 values', WHEN, { ...PRO, op: 'in', values: times(10_000, String) }],
    ['an attribute of 500 characters', [...WHEN, 'attribute'], 'x'.repeat(500)],
    ['a segment of 200 characters', WHEN, { segment: 'x'.repeat(200) }],
    ['1,000 weights of another system, all of one variant', [...FALL, 'weights'], manyForeignWeights(1_000)],
    ['a weight of another system of 2^31 - 1', [...FALL, 'weights', 0, 'weight'], 2 ** 31 - 1],
    ['a weight of a million', [...SPLIT, 'weights', 0, 'weight'], 1_000_000],
    ['a seed of 200 characters', [...SPLIT, 'seed'], 'x'.repeat(200)],
    ['a by of 500 characters', [...SPLIT, 'by'], 'x'.repeat(500)],
  ])('let through %s', (_name, path, value) => {
    expect(problemsOf(parseFlag('flag', withValue(FLAG, path, value), ROLLOUT))).toEqual([])
  })

  it.each<readonly [string, Path, unknown]>([
    ['50 grants', ['grants'], times(50, () => ({ audience: null, percentage: 1 }))],
    ['a percentage of 0', ['grants', 0, 'percentage'], 0],
    ['a percentage of 100', ['grants', 0, 'percentage'], 100],
    ['a percentage of 99.999', ['grants', 0, 'percentage'], 99.999],
    ['an id of 100 characters', ['id'], 'x'.repeat(100)],
  ])('let through a rollout with %s', (_name, path, value) => {
    expect(problemsOf(parseFlag('flag', FLAG, withValue(ROLLOUT, path, value)))).toEqual([])
  })

  it('let through every thousandth of a percent, as it is written', () => {
    const steps = times(100_001, (i) => Number((i / 1_000).toFixed(3)))
    for (let first = 0; first < steps.length; first += 50) {
      const grants = steps.slice(first, first + 50).map((percentage) => ({ audience: null, percentage }))
      expect(problemsOf(parseFlag('flag', FLAG, { ...ROLLOUT, grants }))).toEqual([])
    }
  })

  it('let through 64 weights, one for each variant', () => {
    const variants = times(64, (i) => ({ name: `v${i}`, value: i }))
    const flag = {
      type: 'number',
      variants,
      clientVisible: false,
      enabled: true,
      fallthrough: { split: { weights: manyWeights(64), seed: 's' } },
    }
    expect(problemsOf(parseFlag('flag', flag, null))).toEqual([])
  })

  it('let through a segment of 100,000 units', () => {
    expect(problemsOf(parseSegment('s', { included: times(100_000, String) }))).toEqual([])
  })
})

describe('a value of a variant', () => {
  it.each([
    ['boolean', [true, false], ['true', 0, 1, null, {}, []]],
    ['string', ['', 'x', '🚀'], [true, 0, null, {}, ['x']]],
    ['number', [0, -1.5, 1e300], ['1', true, null, Number.NaN, Number.POSITIVE_INFINITY, {}]],
    ['object', [{}, { a: [1, { b: null }] }], [null, [], 'x', 1, true]],
  ])('of type %s', (type, good, bad) => {
    const parse = (value: unknown) => {
      const variants = [{ name: 'v', value }]
      return problemsOf(parseFlagDefinition('flag', { type, variants, clientVisible: true }))
    }
    expect(good.map(parse)).toEqual(good.map(() => []))
    expect(bad.map(parse)).toEqual(bad.map(() => [['variants[0].value', 'type']]))
  })
})

describe('a key', () => {
  it.each([
    'a',
    'new-checkout',
    'a/b',
    '/',
    '100%',
    '%2F',
    'a b',
    '...',
    '.hidden',
    'a?b#c',
    '"quoted"',
    '\\',
    '__proto__',
    'constructor',
    'größe',
    '日本語',
    '🚀',
    '👩‍👩‍👧',
    '🚀'.repeat(100),
    'x'.repeat(200),
  ])('may be %j', (key) => {
    expect(isFlagKey(key)).toBe(true)
    expect(problemsOf(parseFlag(key, FLAG, null))).toEqual([])
  })

  it.each([
    '',
    '.',
    '..',
    ' ',
    ' a',
    'a ',
    '\u00a0a',
    'a\u2003',
    '\ufeffa',
    'a\nb',
    'a\tb',
    'a\u0000',
    'a\u007fb',
    'a\u0085b',
    'a\u2028b',
    'a\u2029b',
    '\ud83d',
    'a\udc00b',
    'x'.repeat(201),
    `${'🚀'.repeat(100)}x`,
  ])('may not be %j', (key) => {
    expect(isFlagKey(key)).toBe(false)
    expect(problemsOf(parseFlag(key, FLAG, null))).toEqual([['key', 'type']])
  })
})

describe('a segment', () => {
  it('comes out of JSON as it went in', () => {
    expect(parseSegment('s', SEGMENT)).toEqual({ ok: true, value: { key: 's', ...SEGMENT } })
  })

  it('may leave everything out', () => {
    const value = { key: 's', condition: null, included: [], excluded: [] }
    expect(parseSegment('s', {})).toEqual({ ok: true, value })
  })
})

describe('a flag in parts', () => {
  const { type, variants, metadata, clientVisible, ...configuration } = FLAG
  const definition = { key: 'flag', type: 'string', variants, metadata, clientVisible } as const

  it('has a definition', () => {
    const parsed = parseFlagDefinition('flag', { type, variants, metadata, clientVisible })
    expect(parsed).toEqual({ ok: true, value: definition })
  })

  it('has a configuration, whose variants are those of the definition', () => {
    expect(parseFlagConfiguration(configuration, definition)).toEqual({ ok: true, value: configuration })
    const fewer = { ...definition, variants: variants.slice(0, 2) }
    expect(problemsOf(parseFlagConfiguration(configuration, fewer))).toEqual([
      ['fallthrough.split.weights[1].variant', 'unknown_variant'],
    ])
  })

  it('has a rollout, whose variant is one of the definition', () => {
    expect(parseRollout(ROLLOUT, definition)).toEqual({ ok: true, value: ROLLOUT })
    const fewer = { ...definition, variants: variants.slice(0, 2) }
    expect(problemsOf(parseRollout(ROLLOUT, fewer))).toEqual([['rollout.variant', 'unknown_variant']])
  })

  it.each([
    ['definition', parseFlagDefinition('flag', null)],
    ['configuration', parseFlagConfiguration(null, definition)],
    ['rollout', parseRollout(null, definition)],
  ])('is refused as a whole where its %s is no object', (_part, parsed) => {
    expect(problemsOf(parsed)[0]?.[1]).toBe('type')
    expect(problemsOf(parsed)[0]?.[0]).toMatch(/^(rollout)?$/)
  })
})

describe('names of Object.prototype', () => {
  it('are variants, metadata and attributes like any other', () => {
    const text = `{"type":"string","variants":[{"name":"__proto__","value":"x"},{"name":"toString","value":"y"}],
      "metadata":{"__proto__":"m","constructor":1},"clientVisible":true,"enabled":true,"offVariant":"toString",
      "rules":[{"id":"r","when":{"attribute":"__proto__","op":"exists"},"serve":{"variant":"__proto__"}}],
      "fallthrough":{"variant":"toString"}}`
    const snapshot = makeSnapshotOf(JSON.parse(text))
    const [met, missed] = [JSON.parse('{"__proto__":1}'), {}].map((context) =>
      evaluateFlag(snapshot, context),
    )
    const metadata: unknown = JSON.parse('{"__proto__":"m","constructor":1}')
    expect(JSON.stringify([met, missed])).toBe(
      JSON.stringify([
        { flagKey: 'flag', reason: 'TARGETING_MATCH', variant: '__proto__', value: 'x', metadata },
        { flagKey: 'flag', reason: 'DEFAULT', variant: 'toString', value: 'y', metadata },
      ]),
    )
  })

  it('are no variants unless the flag has them', () => {
    expect(problemsOf(parseFlag('flag', withValue(FLAG, ['offVariant'], 'constructor'), null))).toEqual([
      ['offVariant', 'unknown_variant'],
    ])
  })

  it('stand for no field that a document leaves out', () => {
    const text = `{"__proto__":${JSON.stringify(FLAG)}}`
    expect(problemsOf(parseFlag('flag', JSON.parse(text), null))).toEqual([
      ['type', 'type'],
      ['variants', 'limit'],
      ['clientVisible', 'type'],
      ['enabled', 'type'],
      ['fallthrough', 'type'],
      ['fallthrough', 'type'],
    ])
  })
})

describe('whatever comes in', () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.json().map((text): unknown => JSON.parse(text)),
  )

  it('is parsed or refused with a path and a message, and never thrown back', () => {
    fc.assert(
      fc.property(fc.string(), anything, anything, (key, value, rollout) => {
        for (const parsed of [parseFlag(key, value, rollout), parseSegment(key, value)]) {
          const problems = parsed.ok ? [] : parsed.error
          expect(parsed.ok).toBe(problems.length === 0)
          expect(problems.filter(({ message }) => message === '')).toEqual([])
        }
      }),
      { seed: 31, numRuns: 2_000 },
    )
  })

  it('of valid flags is parsed as it is', () => {
    fc.assert(
      fc.property(contents, ({ flags, segments, rollouts }) => {
        for (const [key, flag] of Object.entries(flags)) {
          const rollout = rollouts[key] ?? null
          expect(parseFlag(key, flag, rollout)).toEqual({ ok: true, value: { key, ...flag, rollout } })
        }
        for (const [key, segment] of Object.entries(segments)) {
          expect(parseSegment(key, segment)).toEqual({ ok: true, value: { key, ...segment } })
        }
      }),
      { seed: 32, numRuns: 500 },
    )
  })

  it('in one place of a flag is refused there or makes a flag that answers', () => {
    const paths = pathsOf(FLAG)
    expect(paths.length).toBeGreaterThan(80)
    fc.assert(
      fc.property(fc.constantFrom(...paths), anything, fc.option(fc.string()), (path, value, unit) => {
        const flag = withValue(FLAG, path, value)
        const parsed = parseFlag('flag', flag, ROLLOUT)
        const snapshot = makeSnapshotOf(flag, ROLLOUT)
        const context = { targetingKey: unit, plan: unit, company: { id: unit } }
        const evaluation = evaluateFlag(snapshot, context)
        expect(explainFlag(snapshot, context).evaluation).toEqual(evaluation)
        if (!parsed.ok) expect(evaluation).toHaveProperty('errorCode', 'PARSE_ERROR')
        else expect(evaluation).not.toHaveProperty('errorCode', 'PARSE_ERROR')
      }),
      { seed: 33, numRuns: 3_000 },
    )
  })
})

/** Every place in a document. */
function pathsOf(document: unknown, path: Path = []): Path[] {
  if (Array.isArray(document)) {
    return [path, ...document.flatMap((entry, index) => pathsOf(entry, [...path, index]))]
  }
  if (!isJsonObject(document)) return [path]
  return [path, ...Object.entries(document).flatMap(([name, entry]) => pathsOf(entry, [...path, name]))]
}
