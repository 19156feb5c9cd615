// Times and shares as people read them. Pure: the present is handed in.

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const UNITS: readonly (readonly [milliseconds: number, name: string])[] = [
  [DAY, 'd'],
  [HOUR, 'h'],
  [MINUTE, 'min'],
  [SECOND, 's'],
]

/** A span of time in its two largest units: `1 d 4 h`, `5 min`, `0 s`. */
export function spanOf(milliseconds: number): string {
  const first = UNITS.findIndex(([size]) => milliseconds >= size)
  if (first < 0) return '0 s'
  let rest = milliseconds
  const parts = UNITS.slice(first, first + 2).map(([size, name]) => {
    const count = Math.floor(rest / size)
    rest -= count * size
    return [count, name] as const
  })
  return parts.flatMap(([count, name]) => (count > 0 ? [`${count} ${name}`] : [])).join(' ')
}

/** How long ago something was. */
export function agoOf(at: number, now: number): string {
  return now - at < MINUTE ? 'just now' : `${spanOf(now - at)} ago`
}

/** A percentage without needless digits. */
export function percentageOf(percentage: number): string {
  return `${Number(percentage.toFixed(3))} %`
}
