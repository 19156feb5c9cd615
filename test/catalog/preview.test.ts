import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MIN_SEEN_CONTEXTS,
  type Preview,
  previewChange,
  SYNTHETIC_CONTEXTS,
} from '../../src/catalog/preview.ts'
import { type Answer, answersOf } from '../../src/catalog/preview-answers.ts'
import { openSurroundings } from '../../src/catalog/surroundings.ts'
import type { EvaluationContext } from '../../src/engine/context.ts'
import { explain } from '../../src/engine/evaluate.ts'
import type { Condition, Flag, Rule, Serve } from '../../src/engine/flag.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import type { Explanation } from '../../src/engine/trace.ts'
import {
  makeFlag,
  makeGrant,
  makeRollout,
  makeSegment,
  makeSnapshotText,
  makeSplit,
  makeUnits,
  NOW,
  openSnapshot,
  type SnapshotContents,
  variantOf,
} from '../support/engine.ts'
import { contents, FLAG_KEYS, contexts as randomContexts } from '../support/engine-arbitraries.ts'

const ON: Serve = { variant: 'on' }
const OFF: Serve = { variant: 'off' }
const PRO: Condition = { attribute: 'plan', op: 'equals', values: ['pro'] }
const ADULT: Condition = { attribute: 'age', op: 'greater', values: [17] }

function flagWith(overrides: Partial<Flag> = {}): Flag {
  return { ...makeFlag(), key: 'flag', rollout: null, ...overrides }
}

function ruleOf(id: string, when: Condition, serve: Serve): Rule {
  return { id, when, serve }
}

function sectionsOf(contents: SnapshotContents) {
  const read = readSnapshotText(makeSnapshotText(contents))
  if (!read.ok) throw new Error(read.error)
  return read.value.sections
}

type Surroundings = SnapshotContents & { readonly contexts?: readonly EvaluationContext[] }

function preview(
  before: Partial<Flag>,
  after: Partial<Flag>,
  { contexts = [], ...others }: Surroundings = {},
) {
  return previewChange({
    before: flagWith(before),
    after: flagWith(after),
    others: sectionsOf(others),
    contexts,
    now: NOW,
  })
}

function codesOf({ warnings }: Preview): string[] {
  return warnings.map(({ code }) => code)
}

/** Contexts with a unit each, and what `more` says of the one at an index. */
function makeContexts(count: number, more: (index: number) => EvaluationContext = () => ({})) {
  return makeUnits(count).map((targetingKey, index) => ({ targetingKey, ...more(index) }))
}

const half = makeSplit({ on: 50, off: 50 })
const most = makeSplit({ on: 60, off: 40 })

describe('a preview of a flag that is one place', () => {
  it.each<[string, Partial<Flag>, Partial<Flag>, number, number, boolean]>([
    ['a weight raised', { fallthrough: half }, { fallthrough: most }, 0.1, 0.1, true],
    [
      'a new seed',
      { fallthrough: half },
      { fallthrough: makeSplit({ on: 1, off: 1 }, { seed: 'x' }) },
      0.5,
      0.5,
      false,
    ],
    ['a split that begins', { fallthrough: OFF }, { fallthrough: most }, 0.6, 0, true],
    ['a split that ends', { fallthrough: most }, { fallthrough: ON }, 0.4, 0, true],
    ['another fixed variant', { fallthrough: OFF }, { fallthrough: ON }, 1, 0, true],
    ['nothing', { fallthrough: half }, { fallthrough: half }, 0, 0, true],
    ['turned on', { enabled: false, fallthrough: most }, { fallthrough: most }, 0.6, 0, true],
    [
      'turned on with another split',
      { enabled: false, fallthrough: half },
      { fallthrough: most },
      0.6,
      0,
      true,
    ],
    ['turned off', { fallthrough: most }, { enabled: false, fallthrough: most }, 0.6, 0, true],
    [
      'turned off without an off variant',
      { fallthrough: most },
      { enabled: false, offVariant: null, fallthrough: most },
      1,
      0,
      true,
    ],
    [
      'weights of a flag that is off',
      { enabled: false, fallthrough: half },
      { enabled: false, fallthrough: most },
      0,
      0,
      true,
    ],
  ])('counts the whole flag: %s', (_, before, after, changed, moved, exact) => {
    const result = preview(before, after)
    expect(result.changed).toEqual({ share: changed, exact })
    expect(result.moved).toEqual({ share: moved, exact: exact || moved === 0 })
    expect(result.sample.changed).toBeCloseTo(changed, 1)
    expect(result.sample.moved).toBeCloseTo(moved, 1)
    expect(codesOf(result).includes('moves_units')).toBe(moved > 0)
  })

  it('says from which variant to which', () => {
    const result = preview({ enabled: false, offVariant: null, fallthrough: half }, { fallthrough: half })
    expect(result.sample.transitions.map(({ from, to }) => [from, to]).sort()).toEqual([
      [null, 'off'],
      [null, 'on'],
    ])
    expect(result.splits).toEqual([])
  })

  it('agrees with the sample, within the error of the sample', () => {
    const weights = fc.integer({ min: 0, max: 1_000 })
    fc.assert(
      fc.property(weights, weights, fc.constantFrom('split-seed', 'other'), (before, after, seed) => {
        const [from, to] = [
          makeSplit({ on: before, off: 1_000 - before }),
          makeSplit({ on: after, off: 1_000 - after }, { seed }),
        ]
        const { changed, moved, sample } = preview({ fallthrough: from }, { fallthrough: to })
        const error = 5 * Math.sqrt((changed.share * (1 - changed.share)) / sample.size) + 5 / sample.size
        expect(Math.abs(sample.changed - changed.share)).toBeLessThan(error)
        expect(sample.moved).toBe(sample.changed)
        expect(moved).toEqual(changed)
      }),
      { numRuns: 25 },
    )
  })
})

describe('a preview of a flag with rules', () => {
  const contexts = makeContexts(1_000, (index) => ({ plan: index % 4 === 0 ? 'pro' : 'free' }))
  const split = ruleOf('pro', PRO, half)

  it('counts the place exactly and the flag by the contexts seen', () => {
    const result = preview({ rules: [split] }, { rules: [ruleOf('pro', PRO, most)] }, { contexts })
    const transitions = [{ from: 'off', to: 'on', share: 0.1 }]
    const figures = { changed: 0.1, moved: 0.1, transitions, exact: true }
    expect(result.splits).toEqual([{ place: { rule: 'pro' }, ...figures }])
    expect([result.sample.size, result.sample.source]).toEqual([1_000, 'seen'])
    expect(result.sample.changed).toBeGreaterThan(0.01)
    expect(result.sample.changed).toBeLessThan(0.04)
    expect(result.changed).toEqual({ share: result.sample.changed, exact: false })
    expect(result.moved).toEqual(result.changed)
    expect(codesOf(result)).toEqual(['moves_units'])
  })

  it.each<[string, Partial<Flag>, Partial<Flag>, number, number]>([
    [
      'a rule with one variant comes',
      { fallthrough: half },
      { fallthrough: half, rules: [ruleOf('a', PRO, ON)] },
      0.125,
      0,
    ],
    [
      'a rule with one variant goes',
      { fallthrough: half, rules: [ruleOf('a', PRO, ON)] },
      { fallthrough: half },
      0.125,
      0,
    ],
    [
      'a rule that splits goes before another that does',
      { fallthrough: half },
      { fallthrough: half, rules: [ruleOf('a', PRO, makeSplit({ off: 1, on: 1 }))] },
      0.25,
      0.25,
    ],
    [
      'a condition is wider, and all splits are the same',
      { rules: [split] },
      { rules: [ruleOf('pro', { all: [] }, half)] },
      0.375,
      0,
    ],
    [
      'a target',
      { fallthrough: half },
      { fallthrough: half, targets: [{ variant: 'on', units: makeUnits(1_000) }] },
      0.5,
      0,
    ],
    [
      'a prerequisite that fails',
      { fallthrough: half },
      { fallthrough: half, prerequisites: [{ flag: 'none', variants: ['on'] }] },
      0.5,
      0,
    ],
    [
      'the order of rules that split alike',
      { rules: [split, ruleOf('b', ADULT, half)] },
      { rules: [ruleOf('b', ADULT, half), split] },
      0,
      0,
    ],
  ])('tells what moves from what was meant to change: %s', (_, before, after, changed, moved) => {
    const result = preview(before, after, { contexts })
    expect(result.sample.changed).toBeCloseTo(changed, 1)
    expect(result.sample.moved).toBeCloseTo(moved, 1)
    expect(result.moved).toEqual({ share: result.sample.moved, exact: moved === 0 })
  })

  it('counts nobody of a rollout as moved', () => {
    const rollout = makeRollout({ grants: [makeGrant({ percentage: 100 })] })
    const result = preview(
      { fallthrough: half, rollout },
      { fallthrough: makeSplit({ off: 1, on: 1 }), rollout },
    )
    expect([result.sample.changed, result.sample.moved, result.changed.share]).toEqual([0, 0, 0])
    expect(result.splits.map(({ moved }) => moved)).toEqual([1])
    expect(codesOf(result)).toEqual([])
  })

  it('counts those whom a rollout leaves to the fallthrough', () => {
    const rollout = makeRollout({ grants: [makeGrant({ percentage: 40 })] })
    const result = preview(
      { fallthrough: half, rollout },
      { fallthrough: makeSplit({ off: 1, on: 1 }), rollout },
    )
    expect(result.moved.exact).toBe(false)
    expect(result.moved.share).toBeCloseTo(0.6, 1)
  })

  it('takes contexts that were made while fewer than 50 were seen', () => {
    const few = preview({}, { fallthrough: ON }, { contexts: makeContexts(MIN_SEEN_CONTEXTS - 1) })
    const enough = preview({}, { fallthrough: ON }, { contexts: makeContexts(MIN_SEEN_CONTEXTS) })
    expect([few.sample.source, few.sample.size]).toEqual(['synthetic', SYNTHETIC_CONTEXTS])
    expect([enough.sample.source, enough.sample.size]).toEqual(['seen', MIN_SEEN_CONTEXTS])
  })

  it('is exact where only a description changes', () => {
    const result = preview({ rules: [split] }, { rules: [{ ...split, description: 'new' }] }, { contexts })
    expect(result.changed).toEqual({ share: 0, exact: true })
  })

  it('follows segments and prerequisites', () => {
    const segments = { staff: makeSegment({ included: ['user-1'] }) }
    const flags = { other: makeFlag({ rules: [ruleOf('s', { segment: 'staff' }, ON)] }) }
    const prerequisites = [{ flag: 'other', variants: ['on'] }]
    const rules = [ruleOf('s', { segment: 'staff' }, ON)]
    const inputs = { contexts: makeContexts(100), segments, flags }
    expect(preview({}, { rules }, inputs).sample.changed).toBe(0.01)
    expect(preview({}, { fallthrough: ON, prerequisites }, inputs).sample.changed).toBe(0.01)
  })

  it('is the same for the same input, and plain JSON', () => {
    const run = () => preview({ rules: [split] }, { rules: [ruleOf('pro', ADULT, most)], fallthrough: half })
    expect(run()).toEqual(run())
    expect(JSON.parse(JSON.stringify(run()))).toEqual(run())
  })
})

/** Edits that leave the splits of a flag and the conditions before them alone. */
const edits: fc.Arbitrary<(flag: Flag) => Flag> = fc
  .record({
    enabled: fc.boolean(),
    offVariant: fc.constantFrom(null, 'a', 'b'),
    targets: fc.constantFrom<Flag['targets']>([], [{ variant: 'c', units: ['ann', 'user-1'] }]),
    description: fc.string({ minLength: 1 }),
    fixed: fc.array(fc.constantFrom<Condition>(PRO, ADULT, { all: [] }), { maxLength: 2 }),
    at: fc.nat(3),
  })
  .map(({ fixed, at, description, ...overrides }) => (flag) => ({
    ...flag,
    ...overrides,
    rules: [
      ...flag.rules.slice(0, at),
      ...fixed.map((when, index) => ruleOf(`new-${index}`, when, { variant: 'b' })),
      ...flag.rules.slice(at),
    ].map((rule) => ({ ...rule, description })),
  }))

const samples = fc.array(randomContexts, { minLength: MIN_SEEN_CONTEXTS, maxLength: MIN_SEEN_CONTEXTS })

function flagsOf(contents: SnapshotContents): Flag[] {
  const snapshot = openSnapshot(makeSnapshotText(contents))
  return FLAG_KEYS.flatMap((key) => {
    const parsed = snapshot.parsedFlag(key)
    return parsed?.ok ? [parsed.value] : []
  })
}

describe('the promise that nobody moves by accident', () => {
  it('holds for every edit that leaves the splits alone', () => {
    fc.assert(
      fc.property(contents, samples, edits, (contents, contexts, edit) => {
        for (const before of flagsOf(contents)) {
          const others = sectionsOf(contents)
          const result = previewChange({ before, after: edit(before), others, contexts, now: NOW })
          expect(result.moved).toEqual({ share: 0, exact: true })
          expect(result.sample.moved).toBe(0)
          expect(codesOf(result)).not.toContain('moves_units')
        }
      }),
    )
  })

  it('is never given where a sample says otherwise', () => {
    fc.assert(
      fc.property(contents, contents, samples, (contents, drafts, contexts) => {
        const others = sectionsOf(contents)
        const after = flagsOf(drafts)
        for (const [index, before] of flagsOf(contents).entries()) {
          const draft = { ...before, ...after[index], rollout: before.rollout }
          const { moved, changed, sample } = previewChange({
            before,
            after: draft,
            others,
            contexts,
            now: NOW,
          })
          if (moved.exact && moved.share === 0) expect(sample.moved).toBe(0)
          // Who lacks the unit of a split is no unit: they get nothing from it, whatever its weights are.
          const amongUnits = sample.transitions.filter(({ from, to }) => from !== null && to !== null)
          if (changed.exact && changed.share === 0) expect(amongUnits).toEqual([])
          expect(sample.moved).toBeLessThanOrEqual(sample.changed)
        }
      }),
      { numRuns: 300 },
    )
  })
})

/** Whom an explanation says that the answer is of. */
function deciderOf({ evaluation, steps }: Explanation, flag: Flag): Answer {
  const variant = variantOf(evaluation) ?? null
  const step = steps.at(-1)
  const none = { variant, split: false, rule: -1 }
  if (step?.step === 'rule') {
    const rule = flag.rules.findIndex(({ id }) => id === step.id)
    return { variant, step: 'rule', split: step.split !== undefined, rule }
  }
  if (step?.step === 'target' || step?.step === 'rollout') return { ...none, step: step.step }
  if (step?.step !== 'fallthrough') return { ...none, step: 'off' }
  if (evaluation.reason === 'ERROR') return { ...none, step: 'nobody' }
  return { ...none, step: 'fallthrough', split: step.split !== undefined }
}

describe('what a context is answered', () => {
  it('is what the engine answers, decided where an explanation says', () => {
    fc.assert(
      fc.property(contents, randomContexts, (contents, context) => {
        const snapshot = openSnapshot(makeSnapshotText(contents))
        const surroundings = openSurroundings(sectionsOf(contents))
        for (const flag of flagsOf(contents)) {
          const explanation = explain(snapshot, flag.key, context, NOW)
          const { evaluation } = explanation
          // A flag that is a prerequisite of itself cannot be saved.
          if (evaluation.reason === 'ERROR' && evaluation.errorCode === 'GENERAL') continue
          expect(answersOf(flag, surroundings, [context], NOW)).toEqual([deciderOf(explanation, flag)])
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('a warning', () => {
  const contexts = makeContexts(60, (index) => ({ plan: index % 2 === 0 ? 'pro' : 'free', age: 20 }))
  const half = makeSplit({ on: 50, off: 50 }, { by: 'company.id' })
  const bucketing = { scheme: 'launchdarkly', prefix: 'x' } as const
  const imported = makeSplit({ on: 50_000, off: 50_000 }, { by: 'company.id', bucketing })
  const [pro, adult] = [ruleOf('pro', PRO, ON), ruleOf('adult', ADULT, ON)]
  const vip = ruleOf('vip', { attribute: 'plan', op: 'equals', values: ['vip'] }, ON)
  const never = ruleOf('never', { all: [vip.when, PRO] }, ON)

  it.each<[string, Partial<Flag>, Partial<Flag>, string[]]>([
    ['none where nothing changes', { rules: [never, adult, pro] }, { rules: [never, adult, pro] }, []],
    ['another off variant', {}, { offVariant: null }, ['off_variant_changes']],
    ['a rule that nobody meets', { rules: [pro] }, { rules: [pro, vip] }, ['reaches_nobody']],
    ['none for an old rule that nobody met', { rules: [vip] }, { rules: [vip, pro] }, []],
    [
      'an old rule that nobody met, when the flag is turned on',
      { enabled: false, rules: [vip] },
      { rules: [vip] },
      ['reaches_nobody'],
    ],
    ['a new rule behind one that takes all', { rules: [adult] }, { rules: [adult, pro] }, ['shadowed_rule']],
    [
      'a new rule before one that it takes all from',
      { rules: [pro] },
      { rules: [adult, pro] },
      ['shadowed_rule'],
    ],
    [
      'a rule behind targets that take all',
      { rules: [pro] },
      { rules: [pro], targets: [{ variant: 'on', units: makeUnits(60) }] },
      ['shadowed_rule'],
    ],
    ['none for a rule that gets some', { rules: [pro] }, { rules: [pro, adult] }, []],
    [
      'none for rules behind a prerequisite that fails',
      {},
      { rules: [pro], prerequisites: [{ flag: 'none', variants: ['on'] }] },
      [],
    ],
    [
      'rules of a flag that is off',
      { enabled: false },
      { enabled: false, rules: [vip, adult, pro] },
      ['reaches_nobody', 'shadowed_rule'],
    ],
    ['a split without its unit', {}, { fallthrough: half }, ['needs_unit']],
    ['a rule that splits without its unit', {}, { rules: [ruleOf('pro', PRO, half)] }, ['needs_unit']],
    [
      'none for an old split without its unit',
      { fallthrough: half },
      { fallthrough: half, rules: [pro] },
      [],
    ],
    [
      'an old split without its unit, when the flag is turned on',
      { enabled: false, fallthrough: half },
      { fallthrough: half },
      ['needs_unit'],
    ],
    [
      'none for a split to which nobody comes',
      { rules: [adult] },
      { rules: [adult, ruleOf('half', { all: [] }, half)] },
      ['shadowed_rule'],
    ],
    [
      'none for an imported split, which says itself what it does',
      {},
      { rules: [ruleOf('pro', PRO, imported)] },
      [],
    ],
    ['none for a split whose unit all have', {}, { fallthrough: makeSplit({ on: 1, off: 1 }) }, []],
  ])('is given where it is news: %s', (_, before, after, codes) => {
    expect(codesOf(preview(before, after, { contexts }))).toEqual(codes)
  })

  it('is given for a rule by those whose prerequisites are met', () => {
    const flags = { other: makeFlag({ rules: [pro] }) }
    const prerequisites = [{ flag: 'other', variants: ['on'] }]
    const again = { ...adult, id: 'again' }
    const result = preview({ prerequisites }, { prerequisites, rules: [adult, again] }, { contexts, flags })
    expect(codesOf(result)).toEqual(['shadowed_rule'])
  })

  it('is given on contexts that were made as well, where it can be', () => {
    expect(codesOf(preview({}, { rules: [never, adult, { ...adult, id: 'again' }] }))).toEqual([
      'reaches_nobody',
      'shadowed_rule',
    ])
    expect(codesOf(preview({}, { fallthrough: half, rules: [vip, ruleOf('pro', PRO, half)] }))).toEqual([])
  })

  it('says what it is about', () => {
    const weights = [makeSplit({ on: 50, off: 50 }), makeSplit({ on: 60, off: 40 })] as const
    const many = Array.from({ length: 7 }, (_, index) => ({ ...vip, id: `v${index}` }))
    const before = { fallthrough: weights[0], rules: [ruleOf('old', PRO, OFF)] }
    const after = {
      offVariant: null,
      fallthrough: weights[1],
      rules: [pro, ...many, adult, ruleOf('old', PRO, OFF)],
    }
    const young = makeContexts(100, (index) => ({
      plan: index < 10 ? 'pro' : 'free',
      age: index === 99 ? 20 : 3,
    }))
    const { warnings, moved } = preview(before, after, { contexts: young })
    expect(warnings).toEqual([
      {
        code: 'moves_units',
        message: `units move from one variant of a split to another: ${Math.round(moved.share * 100)} % of all units, 10 % of those at the fallthrough`,
      },
      {
        code: 'off_variant_changes',
        message: `wherever the flag is off or a prerequisite is not met, the answer is the caller's default instead of "off"`,
      },
      {
        code: 'reaches_nobody',
        message:
          'none of the 100 contexts seen lately meets rule "v0", rule "v1", rule "v2", rule "v3", rule "v4" and 2 more',
      },
      {
        code: 'shadowed_rule',
        message:
          'of the 100 contexts seen lately, a target or an earlier rule answers all that meet rule "old"',
      },
    ])
    const unitless = preview(
      {},
      { rules: [ruleOf('pro', PRO, half)], fallthrough: half },
      { contexts: young },
    )
    expect(unitless.warnings).toEqual([
      {
        code: 'needs_unit',
        message:
          'contexts seen lately lack the attribute that is split by: "company.id" at rule "pro" (10 % of 100), "company.id" at the fallthrough (100 % of 100)',
      },
    ])
  })

  it('of moved units is given for a place whose few a sample misses, unless nobody comes there', () => {
    const [before, after] = [makeSplit({ on: 1, off: 99_999 }), makeSplit({ on: 2, off: 99_998 })]
    const some = preview(
      { rules: [ruleOf('r', PRO, before)] },
      { rules: [ruleOf('r', PRO, after)] },
      { contexts },
    )
    expect([some.moved, codesOf(some)]).toEqual([{ share: 0, exact: false }, ['moves_units']])
    const nobody = makeContexts(60)
    const none = preview(
      { rules: [ruleOf('r', PRO, before)] },
      { rules: [ruleOf('r', PRO, after)] },
      { contexts: nobody },
    )
    expect(codesOf(none)).toEqual([])
  })
})
