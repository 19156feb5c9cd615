import { expect, it } from 'vitest'
import { LogHistogram } from '../../../src/statistics/log-histogram.ts'
import type { JourneyCounts } from '../../../src/telemetry/counting/journeys.ts'
import { type Journey, toJourneys } from '../../../src/telemetry/reading/journeys.ts'

const QUERY = { days: [7, 28], of: 'impressions', features: ['search', 'share'] }

function makeCounts(counts: Partial<JourneyCounts>, seconds: readonly number[] = []): JourneyCounts {
  const times = new LogHistogram()
  for (const one of seconds) times.add(one)
  return {
    arm: 't',
    variant: 'on',
    units: 0,
    matured: [0, 0],
    didInTime: [0, 0],
    did: 0,
    ofUnits: 0,
    ofDid: 0,
    times: times.pack(),
    total: 0,
    activeWeeks: 0,
    returning: [0, 0, 0],
    returned: [0, 0, 0],
    usedSeveral: 0,
    ...counts,
  }
}

const SHARDS = [
  makeCounts(
    {
      units: 6,
      matured: [4, 2],
      didInTime: [1, 2],
      did: 3,
      ofUnits: 5,
      ofDid: 2,
      total: 9,
      activeWeeks: 4,
      returning: [6, 4, 0],
      returned: [3, 1, 0],
      usedSeveral: 1,
    },
    [10, 20],
  ),
  makeCounts(
    {
      units: 4,
      matured: [4, 0],
      didInTime: [3, 0],
      did: 2,
      ofUnits: 3,
      ofDid: 2,
      total: 3,
      activeWeeks: 2,
      returning: [4, 0, 0],
      returned: [2, 0, 0],
      usedSeveral: 2,
    },
    [30, 1_000],
  ),
]

const share = (units: number, of: number) => ({ units, of, share: of === 0 ? null : units / of })

it('adds up shards, and divides what there is by whom it could be of', () => {
  const [journey, ...others] = toJourneys(SHARDS, QUERY, 'variant')
  expect(others).toEqual([])
  expect(journey).toEqual({
    arm: '',
    variant: 'on',
    units: 10,
    within: [
      { days: 7, ...share(4, 8) },
      { days: 28, ...share(2, 2) },
    ],
    did: share(5, 10),
    rate: share(4, 8),
    meanPerActiveWeek: 2,
    returned: [
      { week: 1, ...share(5, 10) },
      { week: 2, ...share(1, 4) },
      { week: 4, ...share(0, 0) },
    ],
    medianSeconds: expect.closeTo(20, 0),
    p90Seconds: expect.any(Number),
    usedSeveral: share(3, 10),
  })
  expect(Math.abs((journey?.p90Seconds ?? 0) / 1_000 - 1)).toBeLessThanOrEqual(0.01)
})

it.each([
  ['arm', [{ arm: 'c' }, { arm: 't' }]],
  ['variant', [{ variant: 'off' }, { variant: 'on' }]],
] as const)('tells units apart by %s', (by, expected) => {
  const counts = [
    makeCounts({ units: 1 }),
    makeCounts({ arm: 'c', variant: 'off', units: 2 }),
    makeCounts({ units: 4 }),
  ]
  const journeys = toJourneys(counts, QUERY, by)
  const others = by === 'arm' ? { variant: '' } : { arm: '' }
  expect(journeys).toMatchObject([
    { ...expected[0], ...others, units: 2 },
    { ...expected[1], ...others, units: 5 },
  ])
})

it('says nothing of what nobody could have done, or nobody asked', () => {
  const [journey] = toJourneys([makeCounts({})], { days: [7], of: null, features: ['search'] }, 'arm')
  expect(journey).toEqual({
    arm: 't',
    variant: '',
    units: 0,
    within: [{ days: 7, ...share(0, 0) }],
    did: share(0, 0),
    rate: null,
    meanPerActiveWeek: null,
    returned: [1, 2, 4].map((week) => ({ week, ...share(0, 0) })),
    medianSeconds: null,
    p90Seconds: null,
    usedSeveral: null,
  } satisfies Journey)
})
