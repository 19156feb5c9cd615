// What was counted of the demo's checkout, as a table of its arms.

type Metric = {
  readonly metric: string
  readonly hits: number
  readonly events: number
  readonly y: number
  readonly d: number
}
type Arm = {
  readonly stage: number
  readonly stratum: string
  readonly arm: string
  readonly units: number
  readonly metrics: readonly Metric[]
}

export type Totals = { readonly arms: readonly Arm[] }

const HEADINGS = [
  'arm',
  'stratum',
  'variant',
  'customers',
  'completed',
  'failed',
  'of them',
  'mean ms',
  'spent each',
]
const WIDTH = 11

function line(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(WIDTH) : cell.padStart(WIDTH))).join('')
}

/** Writes the totals of the checkout's measurement, an arm a line. */
export function writeTotals({ arms }: Totals): string {
  const rows = arms.map(({ stratum, arm, units, metrics }) => {
    const of = (key: string) => metrics.find(({ metric }) => metric === key)
    const failed = of('checkout-errors')?.hits ?? 0
    const latency = of('checkout-latency')
    const isTreated = arm === 't'
    return line([
      isTreated ? 'treatment' : 'control',
      stratum,
      isTreated ? 'on' : 'off',
      String(units),
      String(of('checkouts')?.hits ?? 0),
      String(failed),
      units > 0 ? `${((100 * failed) / units).toFixed(1)} %` : '',
      latency && latency.d > 0 ? (latency.y / latency.d).toFixed(0) : '',
      units > 0 ? ((of('order-value')?.y ?? 0) / units).toFixed(2) : '',
    ])
  })
  return [line(HEADINGS), ...rows].join('\n')
}
