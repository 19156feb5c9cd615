// Events, metrics, measurements and plans with defaults that tests override.
import type { Measurement, Metric } from '../../../src/catalog/measurement.ts'
import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import type { ShardEvent, Tag, UnitId } from '../../../src/telemetry/events/event.ts'

/** The start of a block and a minute, but not of an hour or a day. */
export const START = Date.UTC(2026, 4, 4, 10, 20)

/** The id of a unit by its number; those of even numbers are in shard 0 of 2. */
export function unitId(number: number): UnitId {
  return String.fromCharCode(number) + 'ÿ\0unit-of-tests'.padEnd(15, '-')
}

export function makeTag(overrides: Partial<Tag> = {}): Tag {
  return { id: 'm1', stage: 1, stratum: 'a', arm: 't', ...overrides }
}

export function makeEvent(overrides: Partial<ShardEvent> = {}): ShardEvent {
  return {
    kind: 'track',
    name: 'buy',
    flag: '',
    variant: '',
    unitKind: 'user',
    unit: unitId(0),
    tag: null,
    trusted: true,
    automatic: false,
    primary: true,
    home: true,
    value: Number.NaN,
    at: START,
    slices: null,
    ...overrides,
  }
}

/** The exposure that a tag came back with. */
export function makeExposure(overrides: Partial<ShardEvent> = {}): ShardEvent {
  const tag = overrides.tag === undefined ? makeTag() : overrides.tag
  const variant = tag?.arm === 'c' ? 'off' : 'on'
  return makeEvent({ kind: 'exposure', name: '', flag: 'f1', variant, tag, ...overrides })
}

export function makeMetric(overrides: Partial<Metric> = {}): Metric {
  return {
    key: 'bought',
    event: 'buy',
    kind: 'conversion',
    denominator: null,
    unit: 'user',
    goodDirection: 'up',
    cap: null,
    preExposure: false,
    ...overrides,
  }
}

export function makeMeasurement(overrides: Partial<Measurement> = {}): Measurement {
  return {
    id: 'm1',
    flag: 'f1',
    kind: 'rollout',
    by: 'targetingKey',
    stage: 1,
    shards: 1,
    windowMs: 60_000,
    exposure: 'use',
    metrics: [{ metric: 'bought', bounds: [] }],
    slices: [],
    ...overrides,
  }
}

export function makePlan(overrides: Partial<CountingPlan> = {}): CountingPlan {
  return {
    version: 1,
    fingerprint: 'plan',
    metrics: [makeMetric()],
    measurements: [makeMeasurement()],
    ...overrides,
  }
}
