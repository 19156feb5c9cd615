// All that a shard counts with but its units and minutes: what changes with the plan and with time.
import type { Measurement, Metric } from '../../catalog/measurement.ts'
import type { CountingPlan } from '../counting-plan.ts'
import { BlockBook } from './block-book.ts'
import { BLOCK_MS } from './blocks.ts'
import { type Arm, MeasurementBook, type PackedBook } from './measurement-book.ts'
import { type PackedPending, Pending } from './pending.ts'
import { indexPlan, metricsByKey, type PlanIndex } from './plan-index.ts'
import { type PackedNames, SeenNames } from './seen-names.ts'
import { SeriesBook } from './series-book.ts'

const VERSION = 1

/** All of the state but units and minutes, as JSON has it: a few hundred kilobytes at most. */
export type PackedCounting = {
  readonly version: typeof VERSION
  readonly at: number
  readonly block: number
  readonly eras: number
  readonly plan: CountingPlan | null
  readonly books: readonly PackedBook[]
  readonly pending: PackedPending
  readonly names: PackedNames
}

export class CountingState {
  /** The instant of the last input. */
  at: number
  plan: CountingPlan | undefined
  /** Counts on with every block and plan: what was seen live in another may have to be again. */
  round = 0
  /** What the plan asks of events. */
  index: PlanIndex = new Map()
  /** By the measurement's id: those of the plan. */
  readonly books = new Map<string, MeasurementBook>()
  readonly blocks: BlockBook
  readonly series = new SeriesBook()
  readonly pending: Pending
  readonly names: SeenNames
  private eras: number

  constructor(packed: PackedCounting | undefined) {
    this.at = packed?.at ?? 0
    this.eras = packed?.eras ?? 0
    this.pending = new Pending(packed?.pending)
    this.names = new SeenNames(packed?.names)
    if (packed?.plan) this.restore(packed.plan, packed.books)
    const arms = [...this.books.values()].flatMap((book) => [...book.arms()])
    this.blocks = new BlockBook(
      packed?.block,
      arms.filter(({ row }) => row),
    )
  }

  /** Counts by a plan from now on. */
  follow(plan: CountingPlan): void {
    const metrics = metricsByKey(plan)
    const measured = new Set(plan.measurements.map(({ id }) => id))
    for (const book of this.books.values()) if (!measured.has(book.id)) this.end(book)
    for (const measurement of plan.measurements) {
      const book = this.books.get(measurement.id)
      if (book) this.change(book, measurement, metrics)
      else {
        const opened = new MeasurementBook(measurement, ++this.eras)
        opened.follow(measurement, metrics)
        this.books.set(measurement.id, opened)
      }
    }
    this.plan = plan
    this.index = indexPlan(plan, this.books.values())
    this.round++
  }

  /** Closes the blocks that have ended by an instant. */
  advance(now: number): void {
    const { blocks } = this
    const open = Math.floor(now / BLOCK_MS)
    if (blocks.block < 0) blocks.block = open
    if (blocks.block < open) this.round++
    while (blocks.block < open) {
      blocks.close((arm) => this.watchedIn(arm))
      const atRisk = this.armsAtRisk()
      // Without anyone at risk, nothing more happens until the next input.
      blocks.block = atRisk.length > 0 ? blocks.block + 1 : open
      for (const arm of atRisk) if (arm.risk.expire(blocks.block)) blocks.row(arm)
    }
  }

  pack(): PackedCounting {
    return {
      version: VERSION,
      at: this.at,
      block: this.blocks.block,
      eras: this.eras,
      plan: this.plan ?? null,
      books: Array.from(this.books.values(), (book) => book.pack()),
      pending: this.pending.pack(),
      names: this.names.pack(),
    }
  }

  private restore(plan: CountingPlan, books: readonly PackedBook[]): void {
    const metrics = metricsByKey(plan)
    const measurements = new Map(plan.measurements.map((measurement) => [measurement.id, measurement]))
    for (const packed of books) {
      const measurement = measurements.get(packed[0])
      if (measurement) this.books.set(packed[0], MeasurementBook.unpack(packed, measurement, metrics))
    }
    this.plan = plan
    this.index = indexPlan(plan, this.books.values())
  }

  private change(
    book: MeasurementBook,
    measurement: Measurement,
    metrics: ReadonlyMap<string, Metric>,
  ): void {
    const isNewStage = measurement.stage !== book.stage
    const watched = [...book.watches.keys()]
    if (isNewStage) this.sayLast(book)
    book.follow(measurement, metrics)
    if (isNewStage) book.beginEra(++this.eras)
    else if (watched.join('\n') !== [...book.watches.keys()].join('\n')) {
      for (const arm of book.armsOf(book.stage)) if (!arm.risk.isEmpty) this.blocks.row(arm)
    }
  }

  private end(book: MeasurementBook): void {
    this.sayLast(book)
    for (const arm of book.arms()) {
      arm.risk.clear()
      this.blocks.end(arm)
    }
    this.books.delete(book.id)
  }

  /** Makes the open block say of every metric of the arms at risk that nobody is any more. */
  private sayLast(book: MeasurementBook): void {
    for (const arm of book.armsOf(book.stage)) {
      if (arm.risk.isEmpty && !arm.row) continue
      for (const metric of book.watches.keys()) this.blocks.row(arm).show(metric)
    }
  }

  private watchedIn(arm: Arm): Iterable<string> {
    const book = this.books.get(arm.measurement)
    return book?.stage === arm.stage ? book.watches.keys() : []
  }

  private armsAtRisk(): Arm[] {
    return [...this.books.values()].flatMap((book) =>
      [...book.armsOf(book.stage)].filter(({ risk }) => !risk.isEmpty),
    )
  }
}
