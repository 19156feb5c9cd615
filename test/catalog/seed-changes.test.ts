import { describe, expect, it } from 'vitest'
import { seedChanges } from '../../src/catalog/seed-changes.ts'
import { typeChange } from '../../src/catalog/type-change.ts'
import type { FlagConfiguration, Serve } from '../../src/engine/flag.ts'
import { makeFlag, makeSplit } from '../support/engine.ts'

const HALF = { on: 1, off: 1 }
const FIXED: Serve = { variant: 'on' }

function seeded(seed: string): Serve {
  return makeSplit(HALF, { seed })
}

function configure(fallthrough: Serve, rules: { [id: string]: Serve } = {}): FlagConfiguration {
  const when = { all: [] }
  return makeFlag({ fallthrough, rules: Object.entries(rules).map(([id, serve]) => ({ id, when, serve })) })
}

describe('a changed seed', () => {
  it.each<[string, FlagConfiguration, FlagConfiguration, string[]]>([
    [
      'is found in the fallthrough',
      configure(seeded('a')),
      configure(seeded('b')),
      ['fallthrough.split.seed'],
    ],
    [
      'is found in a rule, wherever the rule has gone',
      configure(FIXED, { r: seeded('a') }),
      configure(FIXED, { new: FIXED, r: seeded('b') }),
      ['rules[1].serve.split.seed'],
    ],
    [
      'is found at every place',
      configure(seeded('a'), { r: seeded('b'), s: seeded('c') }),
      configure(seeded('A'), { r: seeded('B'), s: seeded('c') }),
      ['rules[0].serve.split.seed', 'fallthrough.split.seed'],
    ],
    [
      'is none where weights change',
      configure(seeded('a')),
      configure(makeSplit({ on: 9, off: 1 }, { seed: 'a' })),
      [],
    ],
    [
      'is none where nothing split before',
      configure(FIXED, { r: FIXED }),
      configure(seeded('a'), { r: seeded('b') }),
      [],
    ],
    [
      'is none where nothing splits any more',
      configure(seeded('a'), { r: seeded('b') }),
      configure(FIXED, { r: FIXED }),
      [],
    ],
    [
      'is none in a rule under another id',
      configure(FIXED, { r: seeded('a') }),
      configure(FIXED, { s: seeded('b') }),
      [],
    ],
  ])('%s', (_, before, after, paths) => {
    const problems = seedChanges(before, after)
    expect(problems.map(({ path }) => path)).toEqual(paths)
    expect(problems.every(({ rule }) => rule === 'seed_changed')).toBe(true)
  })

  it('is told with the seed that has to stay', () => {
    expect(seedChanges(configure(seeded('a')), configure(seeded('b')))).toEqual([
      {
        path: 'fallthrough.split.seed',
        rule: 'seed_changed',
        message: 'must stay "a", or units would move',
      },
    ])
  })
})

describe("a flag's type", () => {
  const before = { ...makeFlag(), key: 'flag' }
  const after = { ...before, type: 'string' } as const
  const dead = makeFlag({ enabled: false, offVariant: null })

  it.each<[string, FlagConfiguration[], boolean]>([
    ['may change while no variant is live', [dead, dead], true],
    ['may change where nothing is configured', [], true],
    ['stays while the flag is enabled somewhere', [dead, makeFlag({ offVariant: null })], false],
    [
      'stays while there is an off variant somewhere',
      [makeFlag({ enabled: false, offVariant: 'off' }), dead],
      false,
    ],
  ])('%s', (_, configurations, allowed) => {
    const named = configurations.map((configuration, index) => ({ environment: `e${index}`, configuration }))
    expect(typeChange(before, after, named).map(({ path, rule }) => [path, rule])).toEqual(
      allowed ? [] : [['type', 'type_changed']],
    )
  })

  it('is no problem when it stays', () => {
    const changed = { ...before, clientVisible: true }
    expect(typeChange(before, changed, [{ environment: 'production', configuration: makeFlag() }])).toEqual(
      [],
    )
  })

  it('is told with the environments where variants are live', () => {
    const configurations = [
      { environment: 'production', configuration: makeFlag() },
      { environment: 'staging', configuration: dead },
      { environment: 'test', configuration: makeFlag() },
    ]
    expect(typeChange(before, after, configurations)).toEqual([
      {
        path: 'type',
        rule: 'type_changed',
        message: 'must stay boolean: variants are live in production, test',
      },
    ])
  })
})
