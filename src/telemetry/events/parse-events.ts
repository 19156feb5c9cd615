// The events of a request, each checked by itself and by hand: tens of thousands a second leave no time for a
// validator. Pure: time is passed in.
import { unitKindOf } from '../../catalog/measurement.ts'
import { toUnit } from '../../engine/context.ts'
import { parseInstant } from '../../engine/instant.ts'
import { isJsonObject, type JsonObject } from '../../engine/json.ts'
import { err, ok, type Result } from '../../engine/result.ts'
import type { EventKind } from './event.ts'

const MAX_NAME = 200
const MAX_UNIT = 512
const MAX_UNIT_KINDS = 8
const MAX_TAG = 512
const MAX_VALUE = 1e15
const MAX_AGE_MS = 48 * 3_600_000
const MAX_AHEAD_MS = 5 * 60_000

/** A unit by its name, before it is hashed. */
export type NamedUnit = {
  /** See `unitKindOf`. */
  readonly kind: string
  readonly name: string
}

/** An event that can be counted, as it was sent. */
export type ParsedEvent = {
  readonly kind: EventKind
  /** Empty for an exposure. */
  readonly name: string
  /** Empty where the event names none. */
  readonly flag: string
  readonly variant: string
  /** Empty for an event about nobody; of each kind one. */
  readonly units: readonly NamedUnit[]
  /** The tag as it was sent; null: none. */
  readonly tag: string | null
  /** NaN where the event has none. */
  readonly value: number
  /** Milliseconds since 1970. */
  readonly at: number
  /** What an exposure says of its unit; null: nothing. */
  readonly attributes: JsonObject | null
}

const FAULTS = {
  invalid_event: 'an event must be an object',
  unknown_kind: 'the kind must be exposure, track or measure',
  invalid_name: `the name must be a text of 1 to ${MAX_NAME} characters`,
  invalid_flag: `the flag must be a text of 1 to ${MAX_NAME} characters`,
  invalid_variant: `the variant must be a text of 1 to ${MAX_NAME} characters`,
  invalid_unit: `the unit must be a text of 1 to ${MAX_UNIT} characters, a number, or an object of 1 to ${MAX_UNIT_KINDS} such by their kinds`,
  invalid_value: 'the value must be a number from -1e15 to 1e15',
  negative_latency: 'the value is a latency, which is not negative',
  invalid_tag: `the tag must be a text of at most ${MAX_TAG} characters`,
  invalid_attributes: 'the attributes must be an object',
  invalid_at: 'the instant must be an RFC 3339 text or milliseconds since 1970',
  too_old: 'the event happened more than 48 hours ago',
  too_far_ahead: 'the event lies more than 5 minutes ahead',
} as const

/** Why an event is refused; stable. */
export type EventFault = keyof typeof FAULTS

/** An event that was refused. */
export type RejectedEvent = { readonly index: number; readonly code: EventFault; readonly message: string }

function isText(value: unknown, maximum: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maximum
}

/** A text that may be left out; undefined when it is something else. */
function optionalText(value: unknown, maximum: number): string | undefined {
  if (value === undefined || value === null) return ''
  return isText(value, maximum) ? value : undefined
}

function nameOf(unit: unknown): string | undefined {
  const name = toUnit(unit)
  return name !== undefined && name.length <= MAX_UNIT ? name : undefined
}

const NOBODY: readonly NamedUnit[] = []

/** Whom an event is about; undefined when that cannot be told. */
function parseUnits(value: unknown): readonly NamedUnit[] | undefined {
  if (value === undefined || value === null) return NOBODY
  if (!isJsonObject(value)) {
    const name = nameOf(value)
    return name === undefined ? undefined : [{ kind: 'user', name }]
  }
  const units: NamedUnit[] = []
  for (const [key, unit] of Object.entries(value)) {
    if (unit === null) continue
    const name = nameOf(unit)
    if (name === undefined || !isText(key, MAX_NAME)) return undefined
    const kind = unitKindOf(key)
    // Two keys may mean one kind, as `user` and `targetingKey` do.
    if (units.every((other) => other.kind !== kind)) units.push({ kind, name })
    if (units.length > MAX_UNIT_KINDS) return undefined
  }
  return units.length > 0 ? units : undefined
}

/** A value that may be left out: NaN; undefined when it is none. */
function parseValue(value: unknown): number | undefined {
  if (value === undefined || value === null) return Number.NaN
  return typeof value === 'number' && Math.abs(value) <= MAX_VALUE ? value : undefined
}

function parseAt(value: unknown, now: number): Result<number, EventFault> {
  if (value === undefined || value === null) return ok(now)
  const at = parseInstant(value)
  if (at === undefined) return err('invalid_at')
  if (at < now - MAX_AGE_MS) return err('too_old')
  return at > now + MAX_AHEAD_MS ? err('too_far_ahead') : ok(Math.floor(at))
}

function isEventKind(value: unknown): value is EventKind {
  return value === 'exposure' || value === 'track' || value === 'measure'
}

function parseEvent(
  event: unknown,
  latencies: ReadonlySet<string>,
  now: number,
): Result<ParsedEvent, EventFault> {
  if (!isJsonObject(event)) return err('invalid_event')
  const { kind } = event
  if (!isEventKind(kind)) return err('unknown_kind')
  const isExposure = kind === 'exposure'
  const name = isExposure ? '' : event.name
  if (!isExposure && !isText(name, MAX_NAME)) return err('invalid_name')
  // A track is joined to whatever its unit has met, so that it has no flag of its own.
  const flag = kind === 'track' ? '' : optionalText(event.flag, MAX_NAME)
  if (flag === undefined || (isExposure && flag === '')) return err('invalid_flag')
  const variant = kind === 'track' ? '' : optionalText(event.variant, MAX_NAME)
  if (variant === undefined || (isExposure && variant === '')) return err('invalid_variant')
  const units = parseUnits(event.unit)
  if (!units || (kind !== 'measure' && units.length === 0)) return err('invalid_unit')
  const value = isExposure ? Number.NaN : parseValue(event.value)
  if (value === undefined || (kind === 'measure' && Number.isNaN(value))) return err('invalid_value')
  if (value < 0 && latencies.has(String(name))) return err('negative_latency')
  const tag = event.tag ?? null
  if (tag !== null && !(typeof tag === 'string' && tag.length <= MAX_TAG)) return err('invalid_tag')
  const attributes = (isExposure ? event.attributes : null) ?? null
  if (attributes !== null && !isJsonObject(attributes)) return err('invalid_attributes')
  const at = parseAt(event.at, now)
  if (!at.ok) return at
  return ok({ kind, name: String(name), flag, variant, units, tag, value, at: at.value, attributes })
}

/**
 * Checks the events of a batch; fields that are not known are let be.
 * @param latencies names of events whose values are latencies
 * @param now milliseconds since 1970: when an event happened that does not say
 */
export function parseEvents(
  events: readonly unknown[],
  latencies: ReadonlySet<string>,
  now: number,
): { readonly events: ParsedEvent[]; readonly rejected: RejectedEvent[] } {
  const parsed: ParsedEvent[] = []
  const rejected: RejectedEvent[] = []
  for (const [index, event] of events.entries()) {
    const result = parseEvent(event, latencies, now)
    if (result.ok) parsed.push(result.value)
    else rejected.push({ index, code: result.error, message: FAULTS[result.error] })
  }
  return { events: parsed, rejected }
}
