// Reading one field of a plan as people write it. As in engine/fields.ts: the value, or a harmless stand-in and a problem.
import { METRIC_KEY } from '../catalog/metrics.ts'
import { asObject, readBoolean, readText } from '../engine/fields.ts'
import type { JsonObject } from '../engine/json.ts'
import { below, type Problems } from '../engine/problem.ts'
import { parseDuration } from './durations.ts'

/** The longest that anything of a plan lasts. */
const MAX_DURATION_MS = 366 * 86_400_000

/** What a function that reads a field is told. */
export type Place = { readonly from: JsonObject; readonly path: string; readonly problems: Problems }

/** An object that has no other fields than these. */
export function readObject(
  value: unknown,
  path: string,
  known: readonly string[],
  problems: Problems,
): Place {
  const from = asObject(value, path, problems)
  for (const field of Object.keys(from)) {
    if (!known.includes(field)) {
      problems.add(below(path, field), 'unknown_field', 'is no field that is known here')
    }
  }
  return { from, path, problems }
}

/** A span of time, such as `24h`. */
export function readDuration({ from, path, problems }: Place, field: string, standard?: string): number {
  const text = from[field] ?? standard
  const place = below(path, field)
  if (typeof text === 'string' && text.startsWith('-') && parseDuration(text.slice(1)) !== undefined) {
    problems.add(place, 'limit', 'must not be negative')
    return 0
  }
  const ms = typeof text === 'string' ? parseDuration(text) : undefined
  if (ms === undefined) {
    problems.add(place, 'type', 'must be a span of time such as "90s", "10m", "24h" or "7d"')
    return 0
  }
  if (ms > MAX_DURATION_MS) problems.add(place, 'limit', 'must be at most 366 days')
  return ms
}

/** One of some words. */
export function readChoice<T extends string>(
  { from, path, problems }: Place,
  field: string,
  choices: readonly T[],
  standard: T,
): T {
  const value = from[field]
  if (value === undefined) return standard
  const found = choices.find((choice) => choice === value)
  if (found === undefined) problems.add(below(path, field), 'type', `must be one of ${choices.join(', ')}`)
  return found ?? standard
}

/** A number that a function accepts; `demand` says what it must be. */
export function readNumber(
  { from, path, problems }: Place,
  field: string,
  fits: (value: number) => boolean,
  demand: string,
  standard: number,
): number {
  const value = from[field]
  if (value === undefined) return standard
  if (typeof value === 'number' && fits(value)) return value
  const rule = typeof value === 'number' ? 'limit' : 'type'
  problems.add(below(path, field), rule, `must be ${demand}`)
  return standard
}

/** True or false; left out, false. */
export function readSwitch({ from, path, problems }: Place, field: string): boolean {
  return from[field] !== undefined && readBoolean(from, field, path, problems)
}

/** A name that stands in addresses as it is: of a gate, a signal, a guardrail. */
export function readName({ from, path, problems }: Place, field: string): string {
  const name = readText(from, field, path, problems, 100)
  if (name !== '' && !METRIC_KEY.test(name)) {
    problems.add(below(path, field), 'type', 'must be letters, digits, dots, dashes and underscores')
  }
  return name
}
