// How often an isolate goes to shards on account of exposures: the free plan counts requests. Pure: time is passed in.

/** How many trips are saved up at most. */
export const SAVED_TRIPS = 30
/** How long it takes until there is one more. */
export const TRIP_MS = 5_000
/** Who goes to many shards at once pays in advance, but not for longer than for two. */
const MAX_DEBT = 1

/** A token bucket. */
export class TripBudget {
  private trips = SAVED_TRIPS
  private countedAt = Number.NaN

  /** From when on there is a trip to spend, in milliseconds since 1970. */
  readyAt(now: number): number {
    this.refill(now)
    return now + Math.max(0, 1 - this.trips) * TRIP_MS
  }

  /** Spends trips that are made now. */
  spend(trips: number, now: number): void {
    this.refill(now)
    this.trips = Math.max(-MAX_DEBT, this.trips - trips)
  }

  private refill(now: number): void {
    const elapsed = Math.max(0, now - this.countedAt || 0)
    this.trips = Math.min(SAVED_TRIPS, this.trips + elapsed / TRIP_MS)
    this.countedAt = now
  }
}
