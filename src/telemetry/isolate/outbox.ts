// What an isolate has to tell the shards of one environment: what it counted, and messages that are not known to have
// arrived. Sends nothing itself, and has no clock: `now` is in milliseconds since 1970.
import type { EnvironmentSnapshot } from '../../catalog/environment-snapshot.ts'
import { shardsAt } from '../../catalog/layouts.ts'
import { type CountingPlan, planOf } from '../counting-plan.ts'
import { encodeBatch } from '../events/batch-codec.ts'
import { createBatchId } from '../events/batch-id.ts'
import type { ShardEvent } from '../events/event.ts'
import type { ShardMessage } from '../shard-protocol.ts'
import { toShardEvents } from './exposure-events.ts'
import { type Answered, ExposureBuffer } from './exposures.ts'
import { TallyBuffer } from './tally-buffer.ts'
import { TripBudget } from './trip-budget.ts'

/** The longest that tallies stay in the isolate, and how long a message is waited for before it is sent again. */
export const HOLD_MS = 15_000
/** How long the first exposure after a silence waits for others. */
export const GATHER_MS = 1_000
/** So many exposures wait no longer. */
export const FULL = 2_000
/** The most exposures that are kept while they cannot be sent. */
export const MAX_UNSENT = 10_000

const NO_EVENTS = new Uint8Array()

/** A message on its way. */
export type Letter = {
  /** The index of its shard. */
  readonly shard: number
  readonly message: ShardMessage
  /** The plan that the message names. */
  readonly plan: CountingPlan
  /** How many exposures it is about. */
  readonly exposures: number
  /** When it is sent again unless it is known to have arrived: a time, so that a request cut off holds nothing up. */
  retryAt: number
}

/** Counts, gathers and writes down; its size is bounded. */
export class Outbox {
  private snapshot: EnvironmentSnapshot
  private readonly tallies = new TallyBuffer()
  private readonly exposures = new ExposureBuffer()
  private readonly trips = new TripBudget()
  private readonly letters = new Set<Letter>()

  constructor(snapshot: EnvironmentSnapshot) {
    this.snapshot = snapshot
  }

  /** Takes in what was answered from a snapshot. */
  add(snapshot: EnvironmentSnapshot, answered: Answered, now: number): void {
    this.turnTo(snapshot)
    this.tallies.count(answered.evaluations, now)
    this.tallies.keep(answered.context, now)
    const { measurements } = snapshot
    if (measurements.size === 0) return
    if (!this.exposures.note(answered, measurements, now, this.room())) this.tallies.miss(now)
  }

  /** Notes that flags were evaluated out of sight, or that what was counted is lost. */
  miss(snapshot: EnvironmentSnapshot, now: number): void {
    this.turnTo(snapshot)
    this.tallies.miss(now)
  }

  /** When there is something to be sent; undefined while there is nothing. */
  dueAt(now: number): number | undefined {
    // Before anything else what is on its way, so that there is never more of it while a shard does not answer.
    if (this.letters.size > 0) return Math.min(...Array.from(this.letters, ({ retryAt }) => retryAt))
    const tallied = this.tallies.oldestAt
    const noticed = this.exposures.oldestAt
    if (noticed === undefined) return tallied === undefined ? undefined : tallied + HOLD_MS
    const exposuresAt =
      this.exposures.size >= FULL ? now : Math.max(noticed + GATHER_MS, this.trips.readyAt(now))
    return tallied === undefined ? exposuresAt : Math.min(exposuresAt, tallied + HOLD_MS)
  }

  /** The letters that are to be sent again. */
  overdue(now: number): readonly Letter[] {
    return Array.from(this.letters).filter(({ retryAt }) => retryAt <= now)
  }

  /** Whether there are letters that are not known to have arrived. */
  get isWaiting(): boolean {
    return this.letters.size > 0
  }

  /** Forgets a letter that has arrived. */
  strikeOut(letter: Letter): void {
    this.letters.delete(letter)
  }

  /** Forgets a letter of which nobody can tell any more whether it has been counted. */
  giveUp(letter: Letter, now: number): void {
    this.letters.delete(letter)
    this.tallies.miss(now)
  }

  /**
   * Writes everything that was gathered into letters: one for each shard that counts an exposure. Tallies ride along,
   * with that of the isolate's own shard if there is one; every shard can count them.
   * @param place which shard is the isolate's own, as a fraction of their number
   */
  write(place: number, now: number): readonly Letter[] {
    const { snapshot } = this
    const id = createBatchId(now)
    const plan = planOf(snapshot)
    const shards = shardsAt(snapshot.settings.layouts, id.at)
    const exposures = this.exposures.take()
    const events = new Map<number, readonly ShardEvent[]>(
      exposures.length > 0 ? toShardEvents(exposures, snapshot, plan, shards, id) : [],
    )
    if (events.size > 0) this.trips.spend(events.size, now)
    const tallied = this.tallies.take() ?? null
    const own = Math.floor(place * shards)
    if (tallied && events.size === 0) events.set(own, [])
    const [first] = events.keys()
    const carrier = events.has(own) ? own : first
    const { version, fingerprint } = plan
    for (const [shard, batch] of events) {
      const message = {
        id: id.bytes,
        plan: { version, fingerprint },
        events: batch.length > 0 ? encodeBatch(batch) : NO_EVENTS,
        tallied: shard === carrier ? tallied : null,
      }
      this.letters.add({ shard, message, plan, exposures: batch.length, retryAt: now })
    }
    return [...this.letters]
  }

  private turnTo(snapshot: EnvironmentSnapshot): void {
    this.snapshot = snapshot
    this.tallies.allowContexts(snapshot.settings.keepContexts === true)
  }

  /** How many exposures the buffer may have, with those that are on their way. */
  private room(): number {
    let room = MAX_UNSENT
    for (const { exposures } of this.letters) room -= exposures
    return room
  }
}
