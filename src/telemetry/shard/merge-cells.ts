// Adds up what was counted in several spans of time.
import { LogHistogram, type PackedHistogram } from '../../statistics/log-histogram.ts'
import type { SeriesCell } from '../counting/series.ts'

type Sum = { cell: SeriesCell; sketch: LogHistogram | null }

function addSketch(sum: LogHistogram | null, packed: PackedHistogram | null): LogHistogram | null {
  if (packed === null) return sum
  const added = LogHistogram.unpack(packed)
  if (sum === null) return added
  sum.merge(added)
  return sum
}

/** What cells are of, without when. */
function keyOf({ metric, flag, variant, measurement, stage, stratum, arm }: SeriesCell): string {
  return JSON.stringify([metric, flag, variant, measurement, stage, stratum, arm])
}

/** Makes the cells of a span that begins at `start` from those of the spans in it. */
export function mergeCells(start: number, cells: Iterable<SeriesCell>): SeriesCell[] {
  const sums = new Map<string, Sum>()
  for (const cell of cells) {
    const key = keyOf(cell)
    const sum = sums.get(key)
    const before = sum?.cell
    sums.set(key, {
      cell: {
        ...cell,
        start,
        count: (before?.count ?? 0) + cell.count,
        sum: (before?.sum ?? 0) + cell.sum,
        squares: (before?.squares ?? 0) + cell.squares,
        denominator: (before?.denominator ?? 0) + cell.denominator,
        units: (before?.units ?? 0) + cell.units,
      },
      sketch: addSketch(sum?.sketch ?? null, cell.sketch),
    })
  }
  return [...sums.values()].map(({ cell, sketch }) => ({ ...cell, sketch: sketch?.pack() ?? null }))
}
