import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PropagationMeter } from '../../src/catalog/propagation.ts'
import { ServedTally } from '../../src/delivery/served-tally.ts'

const V = 5

describe('a tally', () => {
  it('tells how much was answered at which version, and how long ago', () => {
    const tally = new ServedTally()
    expect(tally.report(0)).toEqual({ entries: [], withheldMs: 0 })
    tally.add(V, 2, 1_000)
    tally.add(V, 0, 1_500)
    tally.add(V, 3, 3_000)
    tally.add(V + 1, 4, 3_000)
    tally.add(V + 1, 1, 4_000)
    expect(tally.report(5_000)).toEqual({
      entries: [
        { sequence: 1, version: V, evaluations: 5, endedMsAgo: 2_000, lastedMs: 2_000 },
        { sequence: 2, version: V + 1, evaluations: 5, endedMsAgo: 1_000, lastedMs: 1_000 },
      ],
      withheldMs: 0,
    })
  })

  it('counts what a request answers late at an older version for that version', () => {
    const tally = new ServedTally()
    tally.add(V, 1, 1_000)
    tally.add(V + 1, 1, 2_000)
    tally.add(V, 1, 3_000)
    tally.add(V + 1, 1, 4_000)
    expect(tally.report(4_000).entries).toEqual([
      { sequence: 1, version: V, evaluations: 2, endedMsAgo: 1_000, lastedMs: 2_000 },
      { sequence: 2, version: V + 1, evaluations: 2, endedMsAgo: 0, lastedMs: 2_000 },
    ])
  })

  it('bears with clocks that stand still or lie behind', () => {
    const tally = new ServedTally()
    tally.add(V, 1, 2_000)
    tally.add(V, 1, 1_000)
    tally.add(V + 1, 1, 1_000)
    tally.add(V, 1, 500)
    expect(tally.report(1_500).entries).toEqual([
      { sequence: 1, version: V, evaluations: 3, endedMsAgo: 0, lastedMs: 0 },
      { sequence: 2, version: V + 1, evaluations: 1, endedMsAgo: 500, lastedMs: 0 },
    ])
  })

  it('tells again what is not confirmed, under the same sequence, and never what is', () => {
    const tally = new ServedTally()
    tally.add(V, 1, 1_000)
    const first = tally.report(1_000)
    tally.add(V, 2, 2_000)
    const second = tally.report(3_000)
    expect(second.entries).toEqual([
      { sequence: 1, version: V, evaluations: 1, endedMsAgo: 2_000, lastedMs: 0 },
      { sequence: 2, version: V, evaluations: 2, endedMsAgo: 1_000, lastedMs: 0 },
    ])
    tally.confirm(first)
    expect(tally.report(3_000).entries).toEqual([second.entries[1]])
    tally.confirm(second)
    tally.confirm(first)
    expect(tally.report(4_000)).toEqual({ entries: [], withheldMs: 0 })
  })

  it('tells eight entries at once, and how long it has been answering what it has no room for', () => {
    const tally = new ServedTally()
    for (let i = 1; i <= 12; i++) {
      tally.add(V, i, i * 1_000)
      tally.report(i * 1_000)
    }
    const report = tally.report(20_000)
    expect(report.entries.map(({ sequence, evaluations }) => [sequence, evaluations])).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map((i) => [i, i]),
    )
    expect(report.withheldMs).toBe(11_000)
    tally.confirm(report)
    expect(tally.report(20_000)).toEqual({
      entries: [
        { sequence: 9, version: V, evaluations: 9 + 10 + 11 + 12, endedMsAgo: 8_000, lastedMs: 3_000 },
      ],
      withheldMs: 0,
    })
  })

  it('that has too many versions says of the oldest that they are older, and loses none', () => {
    const tally = new ServedTally()
    for (let i = 0; i < 10; i++) tally.add(V + i, 1, i * 1_000)
    expect(
      tally
        .report(9_000)
        .entries.map(({ version, evaluations, lastedMs }) => [version, evaluations, lastedMs]),
    ).toEqual([[V, 3, 2_000], ...[3, 4, 5, 6, 7, 8, 9].map((i) => [V + i, 1, 0])])
  })
})

describe('whatever becomes of reports', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ add: fc.integer({ min: 1, max: 50 }) }) },
    { weight: 1, arbitrary: fc.constant({ move: true }) },
    {
      weight: 2,
      arbitrary: fc.record({
        send: fc.constantFrom('lost on the way', 'counted but not confirmed', 'confirmed'),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ restart: true }) },
  )

  it('each evaluation counts once, and never at a version at which it was not answered', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tally = new ServedTally()
        let meter = new PropagationMeter(null, 0)
        let now = 0
        let version = V - 1
        const added = { current: 0, older: 0 }
        const send = (fate: string) => {
          const report = tally.report(now)
          if (fate === 'lost on the way') return
          meter.report(version, { isolate: 'a', ...report }, now)
          if (fate === 'confirmed') tally.confirm(report)
        }
        meter.change(V, null, now)
        for (const taken of steps) {
          now += 700
          if ('add' in taken) {
            tally.add(version, taken.add, now)
            added[version >= V ? 'current' : 'older'] += taken.add
          } else if ('move' in taken) {
            version = Math.min(version + 1, V + 3)
          } else if ('send' in taken) {
            send(taken.send)
          } else {
            meter = new PropagationMeter(meter.toText(), now)
          }
        }
        // Once for what was told before, once for what it had no room for.
        send('confirmed')
        send('confirmed')
        const result = meter.read(now + 1)
        const current = result?.timeline.reduce((sum, part) => sum + part.evaluations * (part.share ?? 0), 0)
        expect(current).toBeCloseTo(added.current, 6)
        expect(result?.reportedEvaluations).toBeCloseTo(added.current + added.older, 6)
      }),
    )
  })
})
