// Spans of time as people write them: `90s`, `10m`, `24h`, `7d`.

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

const FORM = /^(\d{1,12})(ms|s|m|h|d)$/

function isUnit(text: string | undefined): text is keyof typeof UNITS {
  return text !== undefined && Object.hasOwn(UNITS, text)
}

/** Reads a span such as `24h`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = FORM.exec(text) ?? []
  return isUnit(unit) ? Number(count) * UNITS[unit] : undefined
}

/** Writes a span as `parseDuration` reads it, in the largest unit that leaves no rest. */
export function durationText(ms: number): string {
  const [unit, size] = Object.entries(UNITS).findLast(([, size]) => ms > 0 && ms % size === 0) ?? ['s', 1_000]
  return `${ms / size}${unit}`
}

/** A span in words, in its two largest units: `1 d 3 h`, `40 s`. */
export function sayDuration(ms: number): string {
  let rest = Math.max(0, Math.round(ms / 1_000)) * 1_000
  const parts: string[] = []
  for (const [unit, size] of [
    ['d', UNITS.d],
    ['h', UNITS.h],
    ['min', UNITS.m],
    ['s', UNITS.s],
  ] as const) {
    const count = Math.floor(rest / size)
    if (count > 0) parts.push(`${count} ${unit}`)
    rest -= count * size
  }
  return parts.length === 0 ? '0 s' : parts.slice(0, 2).join(' ')
}
