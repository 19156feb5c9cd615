import { array, assert, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SAVED_TRIPS, TRIP_MS, TripBudget } from '../../../src/telemetry/isolate/trip-budget.ts'

const NOW = 1_772_366_400_000

/** A budget of which so many trips have been spent, one by one, at one instant. */
function makeSpent(trips: number): TripBudget {
  const budget = new TripBudget()
  for (let i = 0; i < trips; i++) budget.spend(1, NOW)
  return budget
}

describe('trips', () => {
  it('are saved up, and spent without waiting: thirty with a clock that stands still', () => {
    const budget = new TripBudget()
    let spent = 0
    while (budget.readyAt(NOW) === NOW && spent < 100) {
      budget.spend(1, NOW)
      spent++
    }
    expect([spent, budget.readyAt(NOW)]).toEqual([SAVED_TRIPS, NOW + TRIP_MS])
  })

  it.each([
    [0, TRIP_MS],
    [1, TRIP_MS],
    [TRIP_MS / 2, TRIP_MS],
    [TRIP_MS - 1, TRIP_MS],
    [TRIP_MS, TRIP_MS],
    [3 * TRIP_MS, 3 * TRIP_MS],
  ])('come back one every five seconds: asked %i ms after the last', (elapsed, readyAfter) => {
    expect(makeSpent(SAVED_TRIPS).readyAt(NOW + elapsed)).toBe(NOW + readyAfter)
  })

  it('are saved up again to thirty, however long it takes', () => {
    const budget = makeSpent(SAVED_TRIPS)
    const later = NOW + 1_000 * TRIP_MS
    for (let i = 0; i < SAVED_TRIPS; i++) {
      expect(budget.readyAt(later)).toBe(later)
      budget.spend(1, later)
    }
    expect(budget.readyAt(later)).toBe(later + TRIP_MS)
  })

  it('to many shards at once keep nobody waiting longer than those to two', () => {
    const waits = [1, 2, 16].map((trips) => {
      const budget = makeSpent(SAVED_TRIPS - 1)
      budget.spend(trips, NOW)
      return budget.readyAt(NOW) - NOW
    })
    expect(waits).toEqual([TRIP_MS, 2 * TRIP_MS, 2 * TRIP_MS])
  })

  it('are lost to no clock that goes back', () => {
    const budget = makeSpent(SAVED_TRIPS)
    expect(budget.readyAt(NOW - 3_600_000)).toBe(NOW - 3_600_000 + TRIP_MS)
  })

  it('are never more than were saved up and have come since, whoever spends when it may', () => {
    assert(
      property(array(record({ elapsed: integer({ min: 0, max: 30_000 }) }), { minLength: 50 }), (steps) => {
        const budget = new TripBudget()
        let now = NOW
        let spent = 0
        for (const { elapsed } of steps) {
          now += elapsed
          while (budget.readyAt(now) <= now) {
            budget.spend(1, now)
            spent++
          }
        }
        const most = SAVED_TRIPS + (now - NOW) / TRIP_MS
        expect(spent).toBeLessThanOrEqual(most)
        expect(spent).toBeGreaterThanOrEqual(Math.min(SAVED_TRIPS, Math.floor(most)))
      }),
    )
  })
})
