import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A figure that was promised, and what it came to. */
export type Target = {
  readonly name: string
  readonly figure: number
  readonly unit: string
  /** The figure must be at least or at most this. */
  readonly bound: { readonly atLeast: number } | { readonly atMost: number }
}

/** Tells whether a target was reached. */
export function isMet({ figure, bound }: Target): boolean {
  return 'atLeast' in bound ? figure >= bound.atLeast : figure <= bound.atMost
}

/** Writes a number with as many digits as mean something. */
export function formatNumber(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toPrecision(value >= 10 ? 3 : 2)
}

/** Writes nanoseconds, in the unit that reads best. */
export function formatNanoseconds(nanoseconds: number): string {
  if (nanoseconds < 1_000) return `${formatNumber(nanoseconds)} ns`
  if (nanoseconds < 1_000_000) return `${formatNumber(nanoseconds / 1_000)} µs`
  return `${formatNumber(nanoseconds / 1_000_000)} ms`
}

/** Prints rows under their headings: the first column to the left, the others to the right. */
export function printTable(title: string, headings: readonly string[], rows: readonly (readonly string[])[]) {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? ''
        return column === 0 ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('  ')
      .trimEnd()
  console.log(`\n${title}\n`)
  for (const cells of [headings, widths.map((width) => '-'.repeat(width)), ...rows]) {
    console.log(`  ${line(cells)}`)
  }
}

/** Prints targets, each with PASS or MISS. */
export function printTargets(targets: readonly Target[]) {
  printTable(
    'Targets',
    ['target', 'figure', 'wanted', ''],
    targets.map((target) => {
      const { name, figure, unit, bound } = target
      const wanted = 'atLeast' in bound ? `>= ${bound.atLeast}` : `<= ${bound.atMost}`
      return [name, `${formatNumber(figure)} ${unit}`, `${wanted} ${unit}`, isMet(target) ? 'PASS' : 'MISS']
    }),
  )
}

/** Keeps the outcome of one bench as JSON under `bench/results/`. */
export function saveResults(bench: string, figures: object, bounds: readonly Target[]) {
  const directory = join(import.meta.dirname, '..', 'results')
  mkdirSync(directory, { recursive: true })
  const targets = bounds.map((target) => ({ ...target, met: isMet(target) }))
  const results = { bench, date: new Date().toISOString(), node: process.version, targets, ...figures }
  writeFileSync(join(directory, `${bench}.json`), `${JSON.stringify(results, undefined, 2)}\n`)
}
