// Events by the minute in which they happened. What is counted touches only what came since the last time that cells
// were taken to be written; reading and writing put the two together.
import { LogHistogram } from '../../statistics/log-histogram.ts'
import type { SeriesCell, SeriesQuery } from './series.ts'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
/** Beyond so many cells of a minute or an hour, only those of all events of a metric are added. */
const MAX_CELLS = 2_000

/** What a cell is of. */
export type CellName = Pick<
  SeriesCell,
  'metric' | 'flag' | 'variant' | 'measurement' | 'stage' | 'stratum' | 'arm'
>

/** What is wanted of cells; what is left out is wanted whatever it is. */
export type CellFilter = Pick<SeriesQuery, 'metric' | 'flag'>

export function isWanted(name: Pick<CellName, 'metric' | 'flag'>, { metric, flag }: CellFilter): boolean {
  return (metric === undefined || name.metric === metric) && (flag === undefined || name.flag === flag)
}

/** A cell that is being counted in. */
export class Cell {
  readonly name: CellName
  count = 0
  sum = 0
  squares = 0
  denominator = 0
  units = 0
  sketch: LogHistogram | undefined

  constructor(name: CellName) {
    this.name = name
  }

  /** Counts an event; NaN is no value. */
  add(value: number, hasSketch: boolean): void {
    this.count++
    if (Number.isNaN(value)) return
    this.sum += value
    this.squares += value * value
    if (!hasSketch) return
    this.sketch ??= new LogHistogram()
    this.sketch.add(value)
  }

  merge(other: Cell): void {
    this.count += other.count
    this.sum += other.sum
    this.squares += other.squares
    this.denominator += other.denominator
    this.units += other.units
    if (!other.sketch) return
    this.sketch ??= new LogHistogram()
    this.sketch.merge(other.sketch)
  }

  toSeriesCell(start: number): SeriesCell {
    const { name, count, sum, squares, denominator, units, sketch } = this
    return { start, ...name, count, sum, squares, denominator, units, sketch: sketch?.pack() ?? null }
  }
}

function keyOf({ metric, flag, variant, measurement, stage, stratum, arm }: CellName): string {
  // Flag and variant are whatever an event says, so they are last, and the length tells where one ends.
  return `${metric ?? ''}\n${measurement}\n${stage}\n${stratum}\n${arm}\n${flag.length}\n${flag}${variant}`
}

/** The cells of one minute or hour. */
export class CellTable {
  private readonly cells = new Map<string, Cell>()

  /** The cell of that name, made if there is none; undefined when there are too many. */
  open(name: CellName): Cell | undefined {
    const key = keyOf(name)
    const known = this.cells.get(key)
    if (known) return known
    if (this.cells.size >= MAX_CELLS && name.flag !== '') return undefined
    const cell = new Cell(name)
    this.cells.set(key, cell)
    return cell
  }

  merge(other: CellTable): this {
    for (const cell of other) this.open(cell.name)?.merge(cell)
    return this
  }

  [Symbol.iterator](): Iterator<Cell> {
    return this.cells.values()
  }
}

/** Remembers the cell that was counted in last, because the next event most likely goes there too. */
export type CellSlot = { taken: number; minute: number; variant: string; cell: Cell | undefined }

/** The cells since they were last taken, by minute. */
export class SeriesBook {
  private tables = new Map<number, CellTable>()
  private taken = 0

  /** The minutes that have any. */
  get minutes(): Iterable<number> {
    return this.tables.keys()
  }

  /** The cell of that name in a minute; undefined when there are too many. */
  open(minute: number, name: CellName): Cell | undefined {
    let table = this.tables.get(minute)
    if (!table) {
      table = new CellTable()
      this.tables.set(minute, table)
    }
    return table.open(name)
  }

  /** The same, for a slot which is always asked for the same name but for the variant. */
  openIn(slot: CellSlot, minute: number, variant: string, nameOf: () => CellName): Cell | undefined {
    if (slot.minute === minute && slot.taken === this.taken && slot.variant === variant) return slot.cell
    slot.cell = this.open(minute, nameOf())
    slot.minute = minute
    slot.taken = this.taken
    slot.variant = variant
    return slot.cell
  }

  /** Adds what there is of one minute, or of all minutes from one instant up to another. */
  addTo(table: CellTable, from: number, to: number): CellTable {
    for (const [minute, added] of this.tables) {
      if (minute >= from && minute < to) table.merge(added)
    }
    return table
  }

  /** Begins anew: what there is has been taken. */
  clear(): void {
    this.tables = new Map()
    this.taken++
  }
}
