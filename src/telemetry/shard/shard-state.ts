// Everything that a shard knows: what it had when it folded its records in for the last time, and what the records
// since have made of that. A restart applies the same records to the same tables and ends where the shard was.
import type { Blocks, BlocksQuery } from '../counting/blocks.ts'
import { Counting } from '../counting/counting.ts'
import type { JourneyPart, JourneyQuery } from '../counting/journeys.ts'
import { reduceUnits } from '../counting/reduce-units.ts'
import type { SeriesCell, SeriesQuery } from '../counting/series.ts'
import type { Unit } from '../counting/unit.ts'
import { type SampleQuery, sampleUnits } from '../counting/unit-samples.ts'
import type { CountingPlan } from '../counting-plan.ts'
import { decodeBatch } from '../events/batch-codec.ts'
import type { ShardEvent, UnitId } from '../events/event.ts'
import type { ShardMessage, ShardStatus, Taken } from '../shard-protocol.ts'
import { BatchMemory } from './batch-memory.ts'
import { BatchRows } from './batch-rows.ts'
import type { Outcome } from './commit-queue.ts'
import { decodeRecord, encodeRecord, type RecordPart } from './commit-record.ts'
import { ContextStore } from './context-store.ts'
import { PackedRows } from './packed-rows.ts'
import { readSeries } from './read-series.ts'
import { RecordLog } from './record-log.ts'
import type { ShardTables } from './shard-tables.ts'
import { SpanRows } from './span-rows.ts'
import { sweepUnits, unitsGoAt } from './sweep-units.ts'
import { UnitPages } from './unit-pages.ts'
import { UsageStore } from './usage-store.ts'

/** Records are folded in when there are so many, and so many times the rows that folding them in writes. */
const MIN_FOLDED_RECORDS = 64
const RECORDS_PER_ROW = 8
/** Or when they weigh so much, or so many units have changed: memory and the time of a restart are bounded. */
const MAX_LOG_BYTES = 4_000_000
const MAX_CHANGED_UNITS = 20_000
const DAY_MS = 86_400_000
/** Rows of a fold besides units, minutes, and evaluations: hours, batch ids, contexts, the state. */
const OTHER_ROWS = 5

/** About how many units one call about journeys, or for a sample, goes through. */
const CALL_UNITS = 20_000
/** How long after it has ended a block is shown: a clock that is set back by less never opens it again. */
const SHOWN_AFTER_MS = 2_000

/** What a shard is asked to do that changes it. */
export type Request =
  | { readonly kind: 'message'; readonly message: ShardMessage; readonly plan: CountingPlan | undefined }
  | { readonly kind: 'erase'; readonly unit: UnitId }

/** What became of a message, or whether there was such a unit. */
export type Answer = Taken | boolean

/** The state of one shard, in memory and on disk. */
export class ShardState {
  readonly usage: UsageStore
  readonly contexts: ContextStore
  readonly counting: Counting
  readonly units: UnitPages
  readonly spans: SpanRows
  private readonly tables: ShardTables
  private readonly rows: PackedRows
  private readonly log: RecordLog
  private readonly memory: BatchMemory
  private readonly batches: BatchRows
  private sequence: number
  private at: number
  private planVersion: number
  private sweptTo: number
  /** Whether something was asked to be forgotten that records still have in them. */
  private mustScrub = false

  constructor(tables: ShardTables, index: number) {
    this.tables = tables
    this.rows = new PackedRows(tables)
    const saved = this.rows.load('state', 0)
    this.sequence = saved?.sequence ?? 0
    this.at = saved?.at ?? 0
    this.planVersion = saved?.planVersion ?? 0
    this.sweptTo = saved?.sweptTo ?? 0
    tables.rowsWritten = saved?.rowsWritten ?? 0
    this.usage = new UsageStore(this.rows)
    this.contexts = new ContextStore(this.rows)
    this.units = new UnitPages(tables)
    this.spans = new SpanRows(this.rows)
    this.counting = new Counting({ index }, this.units, this.spans, saved?.counting)
    this.memory = new BatchMemory(Math.random() * 2 ** 32)
    this.batches = new BatchRows(tables, this.memory, saved?.batchesSince ?? 0)
    this.log = new RecordLog(tables)
    this.replay()
  }

  /** Carries out requests in one record; what is the same as before costs nothing. */
  commit(requests: readonly Request[], now: number): Outcome<Answer>[] {
    // Instants never go back, whatever the clock does.
    this.at = Math.max(this.at, now)
    this.memory.expire(this.at)
    const parts: RecordPart[] = []
    const outcomes = requests.map((request) => this.carryOut(request, parts))
    if (parts.length > 0) this.record(parts)
    if (this.isFoldDue) this.fold()
    return outcomes
  }

  /** Guard blocks that have closed. */
  blocks(query: BlocksQuery, now: number): Blocks {
    this.at = Math.max(this.at, now - SHOWN_AFTER_MS)
    this.counting.advance(this.at)
    return this.counting.blocks(query)
  }

  series(query: SeriesQuery): SeriesCell[] {
    return readSeries(query, this.counting, this.spans)
  }

  /** A part of the units of a measurement, reduced to counts. */
  journey(query: JourneyQuery): JourneyPart {
    const place: { next: number | null } = { next: Number(query.cursor ?? 0) }
    const counts = reduceUnits(query, this.someUnits(place))
    return { counts, cursor: place.next === null ? null : String(place.next) }
  }

  /** Some of the units that an arm had, among the first that are kept. */
  sampleUnits(query: SampleQuery): string[] {
    return sampleUnits(query, this.someUnits({ next: 0 }))
  }

  /** When `maintain` is to be called next, if nothing else is recorded until then; Infinity: never. */
  get maintainedNext(): number {
    const daily = this.log.records > 0 ? this.at : Math.max(this.at, this.retiresAt - DAY_MS)
    return Math.min(daily + DAY_MS, this.contexts.expiresAt ?? Number.POSITIVE_INFINITY)
  }

  /** Lets go what has been kept for long enough. */
  maintain(now: number): void {
    this.at = Math.max(this.at, now)
    // What contexts were in records must go as they do.
    this.mustScrub ||= !this.contexts.isEmpty
    this.sweptTo = sweepUnits(this.units, this.counting.plan, this.sweptTo, this.at)
    this.fold()
    this.usage.retire(this.at)
    this.spans.retire(this.at, (hour) => this.counting.cells('hour', hour))
  }

  /** Writes what the records since the last fold have changed; they are not needed any more. */
  fold(): void {
    this.units.save()
    this.spans.save(this.counting.takeChangedSpans())
    this.usage.fold(this.at)
    this.contexts.fold(this.at)
    this.batches.save()
    this.rows.save('state', 0, {
      sequence: this.sequence,
      at: this.at,
      planVersion: this.planVersion,
      rowsWritten: this.tables.rowsWritten + 1,
      batchesSince: this.memory.since,
      sweptTo: this.sweptTo,
      counting: this.counting.save(),
    })
    this.log.restart()
    if (this.mustScrub) this.log.scrub()
    this.mustScrub = false
  }

  /** Notes that the alarm was set, which is paid for as a row is. */
  noteAlarm(): void {
    this.tables.rowsWritten++
  }

  status(): ShardStatus {
    return {
      databaseBytes: this.tables.databaseBytes,
      units: this.units.size,
      logRecords: this.log.records,
      logBytes: this.log.bytes,
      batches: this.memory.size,
      batchesSince: this.memory.since,
      planVersion: this.planVersion,
      rowsWritten: this.tables.rowsWritten,
    }
  }

  /** Units from a hash on, page by page, until there have been enough; `place` says where the next page begins. */
  private *someUnits(place: { next: number | null }): Generator<Unit> {
    for (let count = 0; place.next !== null && count < CALL_UNITS; ) {
      const page = this.units.pageAt(place.next)
      yield* page.units
      count += page.units.length
      place.next = page.next
    }
  }

  private get retiresAt(): number {
    // A sweep that was not finished goes on tomorrow.
    if (this.sweptTo > 0) return this.at
    return Math.min(this.usage.retiresAt, this.spans.retiresAt, unitsGoAt(this.units))
  }

  private get isFoldDue(): boolean {
    const { log, units, counting, usage } = this
    if (units.changedUnits >= MAX_CHANGED_UNITS) return true
    if (this.mustScrub || log.bytes >= MAX_LOG_BYTES || units.isFull) return true
    if (log.records < MIN_FOLDED_RECORDS) return false
    const rows = units.changedRows + counting.changedMinutes + usage.changedRows + OTHER_ROWS
    return log.records >= RECORDS_PER_ROW * rows
  }

  private carryOut(request: Request, parts: RecordPart[]): Outcome<Answer> {
    if (request.kind === 'message') return this.take(request.message, request.plan, parts)
    const isKnown = this.units.get(request.unit) !== undefined
    this.apply({ kind: 'erase', unit: request.unit })
    parts.push({ kind: 'erase', unit: request.unit })
    this.mustScrub = true
    return { ok: true, answer: isKnown }
  }

  private take(
    { id, events: packed, tallied, plan: mark }: ShardMessage,
    plan: CountingPlan | undefined,
    parts: RecordPart[],
  ): Outcome<Taken> {
    const standing = this.memory.standing(id)
    if (standing === 'known') return { ok: true, answer: 'counted' }
    if (standing === 'expired') return { ok: true, answer: 'expired' }
    let events: ShardEvent[] = []
    if (packed.length > 0) {
      try {
        events = decodeBatch(packed)
      } catch (fault) {
        // What cannot be read must not be written down: a restart could not read it either.
        return { ok: false, fault }
      }
      const { version, fingerprint } = plan ?? mark
      const known = this.counting.plan
      const isSame = known?.fingerprint === fingerprint
      if (!isSame && (!known || version > this.planVersion)) {
        if (!plan) return { ok: true, answer: 'plan_wanted' }
        this.apply({ kind: 'plan', plan })
        parts.push({ kind: 'plan', plan })
        this.planVersion = version
      } else if (isSame) this.planVersion = Math.max(this.planVersion, version)
    }
    if (tallied?.contexts === null && !this.contexts.isEmpty) this.mustScrub = true
    const part = { kind: 'message', id, events: packed, tallied } as const
    this.apply(part, events)
    parts.push(part)
    return { ok: true, answer: 'counted' }
  }

  private record(parts: readonly RecordPart[]): void {
    const { at, planVersion } = this
    this.sequence++
    const { rowsWritten } = this.tables
    this.log.append(this.sequence, encodeRecord({ at, rowsWritten, planVersion, parts }))
  }

  private replay(): void {
    for (const { sequence, body } of this.log.readAfter(this.sequence)) {
      const { at, rowsWritten, planVersion, parts } = decodeRecord(body)
      this.sequence = sequence
      this.at = at
      this.planVersion = planVersion
      this.tables.rowsWritten = rowsWritten + 1
      for (const part of parts) this.apply(part)
    }
    this.memory.expire(this.at)
  }

  private apply(part: RecordPart, decoded?: readonly ShardEvent[]): void {
    switch (part.kind) {
      case 'message': {
        this.batches.add(part.id)
        if (part.events.length > 0) {
          this.counting.apply({ kind: 'events', events: decoded ?? decodeBatch(part.events) }, this.at)
        }
        if (part.tallied) {
          this.usage.add(part.tallied, this.at)
          this.contexts.add(part.tallied.contexts)
        }
        return
      }
      case 'erase':
        // They hold names, and the unit's is not known here: all go.
        this.contexts.add(null)
        this.counting.apply(part, this.at)
        return
      case 'plan':
        this.counting.apply(part, this.at)
    }
  }
}
