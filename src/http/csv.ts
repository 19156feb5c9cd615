// Tables as CSV (RFC 4180), safe to open in a spreadsheet.

/** A cell; null is empty. */
export type CsvValue = string | number | boolean | null

/** What a spreadsheet would take for the beginning of a formula. */
const FORMULA = /^[=+\-@\t\r]/

function cellOf(value: CsvValue): string {
  if (value === null) return ''
  if (typeof value !== 'string') return String(value)
  const harmless = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

/** Writes a table: a line of names, and a line for each row. A text that looks like a formula gets a `'` before it. */
export function toCsv(names: readonly string[], rows: Iterable<readonly CsvValue[]>): string {
  const lines = [names, ...rows].map((cells) => cells.map(cellOf).join(','))
  return lines.map((line) => `${line}\r\n`).join('')
}
