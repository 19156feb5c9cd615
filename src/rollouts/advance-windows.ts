// Hours in which a rollout may advance. Pure: the clock is an argument.
import type { AdvanceWindow } from './plan.ts'

const DAY_NAMES = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']

// Making one costs more than a thousand uses of it.
const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone)
  if (known) return known
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  formats.set(timeZone, format)
  return format
}

/** Tells whether a name is a time zone that is known here. */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name)
    return true
  } catch {
    return false
  }
}

/** The day of the week (1 is Monday) and the minute of the day. */
function localTime(at: number, timeZone: string): { readonly day: number; readonly minute: number } {
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  )
  return {
    day: DAY_NAMES.indexOf(parts.get('weekday') ?? '') + 1,
    minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')),
  }
}

function isWithin({ days, from, to, timeZone }: AdvanceWindow, at: number): boolean {
  const { day, minute } = localTime(at, timeZone)
  if (from < to) return days.includes(day) && minute >= from && minute < to
  // Over midnight: it belongs to the day on which it begins.
  const yesterday = day === 1 ? 7 : day - 1
  return (days.includes(day) && minute >= from) || (days.includes(yesterday) && minute < to)
}

/** Tells whether an instant is in one of the windows; always, where there are none. */
export function isWithinWindows(windows: readonly AdvanceWindow[], at: number): boolean {
  return windows.length === 0 || windows.some((window) => isWithin(window, at))
}
