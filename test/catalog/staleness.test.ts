import { describe, expect, it } from 'vitest'
import {
  type EnvironmentActivity,
  type FlagActivity,
  type FlagFacts,
  type FlagState,
  onlyVariant,
  overallActivity,
  staleness,
} from '../../src/catalog/staleness.ts'
import type { FlagConfiguration } from '../../src/engine/flag.ts'

const DAY_MS = 86_400_000
const NOW = 20_000 * DAY_MS
const daysAgo = (days: number) => NOW - days * DAY_MS

function makeFlag(facts: Partial<FlagFacts> = {}): FlagFacts {
  return {
    key: 'a',
    temporary: true,
    createdAt: daysAgo(100),
    archived: false,
    isPrerequisite: false,
    ...facts,
  }
}

function makeState(
  configuration: Partial<FlagConfiguration> = {},
  { rollingOut = false, changedAt = daysAgo(40) }: Partial<FlagState> = {},
): FlagState {
  const bare: FlagConfiguration = {
    enabled: true,
    offVariant: null,
    prerequisites: [],
    targets: [],
    rules: [],
    fallthrough: { variant: 'on' },
  }
  return { configuration: { ...bare, ...configuration }, rollingOut, changedAt }
}

/** How a flag was evaluated: when it answered each variant last, in days before now. */
function makeActivity(variants: { readonly [variant: string]: number }, firstDaysAgo = 90): FlagActivity {
  const entries = Object.entries(variants).map(
    ([name, days]) => [name === 'none' ? null : name, daysAgo(days)] as const,
  )
  return {
    firstEvaluatedAt: daysAgo(firstDaysAgo),
    lastEvaluatedAt: Math.max(...entries.map(([, at]) => at)),
    variants: new Map(entries),
  }
}

function makeEnvironment(
  activity: FlagActivity | undefined,
  known: Partial<EnvironmentActivity> = {},
): EnvironmentActivity {
  return {
    knownSince: daysAgo(60),
    uncountedAt: null,
    partial: false,
    flags: new Map(activity ? [['a', activity]] : []),
    ...known,
  }
}

/** A flag whose configuration says nothing of its age, in an environment where it is busy. */
const MOVING = [makeState({ fallthrough: { split: { weights: [], by: 'targetingKey', seed: 's' } } })]
const BUSY = [makeEnvironment(makeActivity({ on: 0, off: 0 }))]

type Case = [
  name: string,
  given: {
    readonly flag?: Partial<FlagFacts>
    readonly states?: readonly FlagState[]
    readonly environments?: readonly EnvironmentActivity[]
  },
  expected: string | null,
]

function judge({ flag, states = MOVING, environments = BUSY }: Case[1]): string | null {
  const stale = staleness(makeFlag(flag), states, environments, NOW)
  return stale && `${stale.reason} since ${(NOW - stale.since) / DAY_MS}: ${stale.message}`
}

describe('a flag that nobody evaluates', () => {
  const silent = (...activities: (FlagActivity | undefined)[]) =>
    activities.map((one) => makeEnvironment(one))
  const unknown = (known: Partial<EnvironmentActivity>) => [makeEnvironment(undefined, known)]
  const ABSENT = 'not_evaluated since 60: nobody has evaluated it for 60 days'

  it.each<Case>([
    ['is stale', { environments: silent(undefined) }, ABSENT],
    [
      'is stale when it is permanent too',
      { flag: { temporary: false }, environments: silent(undefined) },
      ABSENT,
    ],
    [
      'is stale after 30 days',
      { environments: silent(makeActivity({ on: 30 })) },
      'not_evaluated since 30: nobody has evaluated it for 30 days',
    ],
    ['is not stale before', { environments: silent(makeActivity({ on: 29.99, off: 29.99 })) }, null],
    [
      'has the last evaluation of all environments',
      { environments: silent(makeActivity({ on: 50 }), undefined, makeActivity({ off: 35.5 })) },
      'not_evaluated since 35.5: nobody has evaluated it for 35 days',
    ],
    [
      'is not stale when one environment asks',
      { environments: silent(undefined, makeActivity({ on: 1, off: 1 })) },
      null,
    ],
    [
      'is no older than it is',
      { flag: { createdAt: daysAgo(31) }, environments: silent(undefined) },
      'not_evaluated since 31: nobody has evaluated it for 31 days',
    ],
    [
      'is not stale while it is young',
      { flag: { createdAt: daysAgo(29) }, environments: silent(undefined) },
      null,
    ],
    ['is not stale when it is archived', { flag: { archived: true }, environments: silent(undefined) }, null],
    [
      'is not stale when others ask it',
      { flag: { isPrerequisite: true }, environments: silent(undefined) },
      null,
    ],
    ['is not known where nothing was ever counted', { environments: unknown({ knownSince: null }) }, null],
    ['is not known where there is no environment', { environments: [] }, null],
    [
      'is not known before counting is 30 days old',
      { environments: unknown({ knownSince: daysAgo(29) }) },
      null,
    ],
    [
      'is known as soon as it is',
      { environments: unknown({ knownSince: daysAgo(30) }) },
      'not_evaluated since 30: nobody has evaluated it for 30 days',
    ],
    [
      'is not known when a shard is missing',
      { environments: [...silent(undefined), ...unknown({ partial: true })] },
      null,
    ],
    [
      'is not known when flags were evaluated uncounted',
      { environments: unknown({ uncountedAt: daysAgo(29) }) },
      null,
    ],
    [
      'is known again since then',
      { environments: unknown({ uncountedAt: daysAgo(33) }) },
      'not_evaluated since 33: nobody has evaluated it for 33 days',
    ],
    [
      'is known where another environment was never asked',
      { environments: [...silent(undefined), ...unknown({ knownSince: null })] },
      ABSENT,
    ],
  ])('%s', (_, given, expected) => {
    expect(judge(given)).toBe(expected)
  })
})

describe('a flag that answers one variant', () => {
  const answers = (...activities: FlagActivity[]) => activities.map((one) => makeEnvironment(one))

  it.each<Case>([
    [
      'is stale, since it answered another',
      { environments: answers(makeActivity({ on: 0, off: 45.5 })) },
      'one_variant since 45.5: it has answered "on" to everyone for 45 days',
    ],
    [
      'is stale, since it was first evaluated',
      { environments: answers(makeActivity({ on: 0 }, 31)) },
      'one_variant since 31: it has answered "on" to everyone for 31 days',
    ],
    [
      'is not stale when it is permanent',
      { flag: { temporary: false }, environments: answers(makeActivity({ on: 0 })) },
      null,
    ],
    ['is not stale before 30 days', { environments: answers(makeActivity({ on: 0, off: 29 })) }, null],
    [
      'is not stale when it was first evaluated lately',
      { environments: answers(makeActivity({ on: 0 }, 29)) },
      null,
    ],
    ['is not stale when that is none', { environments: answers(makeActivity({ none: 0 })) }, null],
    ['is not stale when some get none', { environments: answers(makeActivity({ on: 0, none: 2 })) }, null],
    [
      'is not stale when two came in the same minute',
      { environments: answers(makeActivity({ on: 1, off: 1 })) },
      null,
    ],
    [
      'is not stale when environments differ',
      { environments: answers(makeActivity({ on: 0 }), makeActivity({ off: 0.5 })) },
      null,
    ],
    [
      'is stale when they agree, since the last that did not',
      { environments: answers(makeActivity({ on: 0, off: 40 }), makeActivity({ on: 1, off: 35 })) },
      'one_variant since 35: it has answered "on" to everyone for 35 days',
    ],
    [
      'is not known of one that others ask',
      { flag: { isPrerequisite: true }, environments: answers(makeActivity({ on: 0 })) },
      null,
    ],
    [
      'is not known when a shard is missing',
      { environments: [makeEnvironment(makeActivity({ on: 0 }), { partial: true })] },
      null,
    ],
    [
      'is not known when flags were evaluated uncounted',
      { environments: [makeEnvironment(makeActivity({ on: 0 }), { uncountedAt: daysAgo(1) })] },
      null,
    ],
  ])('%s', (_, given, expected) => {
    expect(judge(given)).toBe(expected)
  })
})

describe('a flag that is rolled out', () => {
  const STALE =
    'fully_rolled_out since 40: it can answer only "on" in every environment, unchanged for 40 days'
  const when = { attribute: 'plan', op: 'equals', values: ['pro'] } as const
  const split = (on: number, off: number) => ({
    split: {
      weights: [
        { variant: 'on', weight: on },
        { variant: 'off', weight: off },
      ],
      by: 'targetingKey',
      seed: 's',
    },
  })
  const needs = [{ flag: 'b', variants: ['on'] }]

  it.each<Case>([
    ['is stale', { states: [makeState()] }, STALE],
    ['is stale without knowledge of evaluations', { states: [makeState()], environments: [] }, STALE],
    ['is stale when others ask it', { states: [makeState()], flag: { isPrerequisite: true } }, STALE],
    [
      'is stale when it is the same everywhere, since the last change',
      {
        states: [makeState({}, { changedAt: daysAgo(70) }), makeState()],
      },
      STALE,
    ],
    [
      'is stale when its targets get the same',
      { states: [makeState({ targets: [{ variant: 'on', units: ['u'] }] })] },
      STALE,
    ],
    [
      'is not stale when targets get another',
      { states: [makeState({ targets: [{ variant: 'off', units: ['u'] }] })] },
      null,
    ],
    [
      'is stale when its rules serve the same',
      {
        states: [
          makeState({
            rules: [
              { id: 'r', when, serve: { variant: 'on' } },
              { id: 's', when, serve: split(1, 0) },
            ],
          }),
        ],
      },
      STALE,
    ],
    [
      'is not stale when a rule serves another',
      {
        states: [makeState({ rules: [{ id: 'r', when, serve: { variant: 'off' } }] })],
      },
      null,
    ],
    [
      'is not stale when a rule splits',
      { states: [makeState({ rules: [{ id: 'r', when, serve: split(9, 1) }] })] },
      null,
    ],
    ['is not stale when its fallthrough splits', { states: [makeState({ fallthrough: split(1, 0) })] }, null],
    [
      'is not stale when a prerequisite may switch it off',
      { states: [makeState({ prerequisites: needs, offVariant: 'off' })] },
      null,
    ],
    [
      'is stale when being switched off changes nothing',
      { states: [makeState({ prerequisites: needs, offVariant: 'on' })] },
      STALE,
    ],
    [
      'is not stale when it is disabled',
      { states: [makeState(), makeState({ enabled: false, offVariant: 'on' })] },
      null,
    ],
    ['is not stale while a rollout runs', { states: [makeState({}, { rollingOut: true })] }, null],
    [
      'is not stale when environments differ',
      { states: [makeState(), makeState({ fallthrough: { variant: 'off' } })] },
      null,
    ],
    [
      'is not stale when one changed lately',
      { states: [makeState(), makeState({}, { changedAt: daysAgo(29) })] },
      null,
    ],
    ['is not stale when it is permanent', { states: [makeState()], flag: { temporary: false } }, null],
    ['is not stale while it is young', { states: [makeState()], flag: { createdAt: daysAgo(29) } }, null],
    ['is not stale without environments', { states: [] }, null],
    [
      'is told to be unused when it is',
      {
        states: [makeState()],
        environments: [makeEnvironment(undefined)],
      },
      'not_evaluated since 60: nobody has evaluated it for 60 days',
    ],
    [
      'is told to be rolled out when it answers one variant too',
      {
        states: [makeState()],
        environments: [makeEnvironment(makeActivity({ on: 0 }))],
      },
      STALE,
    ],
  ])('%s', (_, given, expected) => {
    expect(judge(given)).toBe(expected)
  })
})

it('a flag has the activity of all environments together', () => {
  const environments = [
    makeEnvironment(makeActivity({ on: 3, off: 5 }, 50)),
    makeEnvironment(undefined),
    makeEnvironment(makeActivity({ on: 4, none: 1 }, 70)),
  ]
  const overall = overallActivity('a', environments)
  expect(overall).toEqual(makeActivity({ on: 3, off: 5, none: 1 }, 70))
  expect([overall && onlyVariant(overall), overallActivity('b', environments)]).toEqual([
    { variant: null, since: daysAgo(3) },
    undefined,
  ])
  expect(onlyVariant(makeActivity({ on: 2, off: 2 }))).toBeUndefined()
})
