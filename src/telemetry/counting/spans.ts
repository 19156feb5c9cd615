// Minutes and hours as they are written: cells, and the guard blocks that closed in a minute. As JSON has them, arrays
// without names. What has been written stays readable for ever.
import { LogHistogram } from '../../statistics/log-histogram.ts'
import { BLOCK_MS, type GuardBlock } from './blocks.ts'
import { type Cell, type CellFilter, CellTable, isWanted } from './series-book.ts'

const VERSION = 1

/** Texts that are said often, by number. */
class StringTable {
  readonly texts: string[] = []
  private readonly numbers = new Map<string, number>()

  numberOf(text: string): number {
    const known = this.numbers.get(text)
    if (known !== undefined) return known
    this.numbers.set(text, this.texts.length)
    return this.texts.push(text) - 1
  }
}

type PackedCell = readonly [
  /** The numbers of metric (-1: exposures), flag, variant, measurement, stratum, arm; and the stage. */
  name: readonly [number, number, number, number, number, number, number],
  /** Count, sum, squares, denominator, units. */
  sums: readonly [number, number, number, number, number],
  /** Zeros, first and runs of a log-histogram; 0: none. */
  sketch: readonly number[] | 0,
]

type PackedBound = readonly [
  bound: number,
  units: number,
  unitsAbove: number,
  observations: number,
  above: number,
]

type PackedBlock = readonly [
  /** Which block of the minute; the numbers of measurement, stratum, arm; and the stage. */
  name: readonly [number, number, number, number, number],
  /** Firsts, entered, live, first live, ignored. */
  counts: readonly [number, number, number, number, number],
  metrics: readonly (readonly [metric: number, x: number, n: number, bounds: readonly PackedBound[]])[],
]

/** Cells of one hour; opaque to whoever keeps them. */
export type PackedHour = {
  readonly version: typeof VERSION
  readonly texts: readonly string[]
  /** Each as the JSON text of a `PackedCell`, because most are not looked at when a span is read. */
  readonly cells: readonly string[]
}

/** Cells of one minute and its guard blocks; opaque to whoever keeps them. */
export type PackedMinute = PackedHour & { readonly blocks: readonly PackedBlock[] }

/** Where minutes and hours are kept that are not in memory. */
export type SpanSource = {
  /** The minute that starts at an instant; undefined when nothing was kept of it. */
  minute(start: number): PackedMinute | undefined
  hour(start: number): PackedHour | undefined
}

/** Minutes and hours that are to be written, with all that is in them now, by their start. */
export type ChangedSpans = {
  readonly minutes: ReadonlyMap<number, PackedMinute>
  readonly hours: ReadonlyMap<number, PackedHour>
}

function packCell(
  { name, count, sum, squares, denominator, units, sketch }: Cell,
  texts: StringTable,
): string {
  const numbers = [name.flag, name.variant, name.measurement, name.stratum, name.arm].map((text) =>
    texts.numberOf(text),
  )
  const [flag = 0, variant = 0, measurement = 0, stratum = 0, arm = 0] = numbers
  const metric = name.metric === null ? -1 : texts.numberOf(name.metric)
  const packed = sketch?.pack()
  const cell: PackedCell = [
    [metric, flag, variant, measurement, stratum, arm, name.stage],
    [count, sum, squares, denominator, units],
    packed ? [packed.zeros, packed.first, ...packed.runs] : 0,
  ]
  return JSON.stringify(cell)
}

/** The metric's number, which a cell's text begins with: most questions are about one metric of many. */
function metricOf(text: string): number {
  return Number.parseInt(text.slice('[['.length, text.indexOf(',')), 10)
}

function unpackCellInto(
  table: CellTable,
  packed: string,
  texts: readonly string[],
  wanted: CellFilter,
): void {
  const textOfMetric = texts[metricOf(packed)] ?? null
  if (wanted.metric !== undefined && textOfMetric !== wanted.metric) return
  const [name, sums, sketch]: PackedCell = JSON.parse(packed)
  const [metric, flag, variant, measurement, stratum, arm, stage] = name
  const textOf = (number: number) => texts[number] ?? ''
  const of = { metric: metric < 0 ? null : textOf(metric), flag: textOf(flag) }
  if (!isWanted(of, wanted)) return
  const cell = table.open({
    ...of,
    variant: textOf(variant),
    measurement: textOf(measurement),
    stage,
    stratum: textOf(stratum),
    arm: textOf(arm),
  })
  if (!cell) return
  const [count, sum, squares, denominator, units] = sums
  Object.assign(cell, { count, sum, squares, denominator, units })
  if (!sketch) return
  const [zeros = 0, first = 0, ...runs] = sketch
  cell.sketch = LogHistogram.unpack({ zeros, first, runs })
}

function packBlock(block: GuardBlock, minute: number, texts: StringTable): PackedBlock {
  const { firsts, entered, live, firstLive, ignored } = block
  return [
    [
      (block.start - minute) / BLOCK_MS,
      texts.numberOf(block.measurement),
      texts.numberOf(block.stratum),
      texts.numberOf(block.arm),
      block.stage,
    ],
    [firsts, entered, live, firstLive, ignored],
    block.metrics.map(({ metric, x, n, bounds }) => [
      texts.numberOf(metric),
      x,
      n,
      bounds.map((one) => [one.bound, one.units, one.unitsAbove, one.observations, one.above]),
    ]),
  ]
}

function unpackBlock(
  [name, counts, metrics]: PackedBlock,
  minute: number,
  texts: readonly string[],
): GuardBlock {
  const [index, measurement, stratum, arm, stage] = name
  const [firsts, entered, live, firstLive, ignored] = counts
  return {
    start: minute + index * BLOCK_MS,
    measurement: texts[measurement] ?? '',
    stage,
    stratum: texts[stratum] ?? '',
    arm: texts[arm] ?? '',
    firsts,
    entered,
    live,
    firstLive,
    ignored,
    metrics: metrics.map(([metric, x, n, bounds]) => ({
      metric: texts[metric] ?? '',
      x,
      n,
      bounds: bounds.map(([bound, units, unitsAbove, observations, above]) => {
        return { bound, units, unitsAbove, observations, above }
      }),
    })),
  }
}

/** The cells that a minute or hour holds, those that are wanted alone; none when nothing was kept of it. */
export function unpackCells(packed: PackedHour | undefined, wanted: CellFilter): CellTable {
  const table = new CellTable()
  for (const cell of packed?.cells ?? []) unpackCellInto(table, cell, packed?.texts ?? [], wanted)
  return table
}

/** The guard blocks that a minute holds, in order of time. */
export function unpackBlocks(packed: PackedMinute | undefined, minute: number): GuardBlock[] {
  return packed?.blocks.map((block) => unpackBlock(block, minute, packed.texts)) ?? []
}

/** Packs an hour. */
export function packHour(cells: CellTable): PackedHour {
  const texts = new StringTable()
  const packed = Array.from(cells, (cell) => packCell(cell, texts))
  return { version: VERSION, texts: texts.texts, cells: packed }
}

/** Packs a minute. */
export function packMinute(cells: CellTable, blocks: readonly GuardBlock[], minute: number): PackedMinute {
  const texts = new StringTable()
  const packed = Array.from(cells, (cell) => packCell(cell, texts))
  const packedBlocks = blocks.map((block) => packBlock(block, minute, texts))
  return { version: VERSION, texts: texts.texts, cells: packed, blocks: packedBlocks }
}
