// A measurement, for tests of pure code too.
import type { Measurement } from '../../src/catalog/measurement.ts'

/** A measurement of the flag `checkout`, `r1`, in stage 1. */
export function makeMeasurement(overrides: Partial<Measurement> = {}): Measurement {
  return {
    id: 'r1',
    flag: 'checkout',
    kind: 'rollout',
    by: 'targetingKey',
    stage: 1,
    shards: 2,
    windowMs: 1_800_000,
    exposure: 'use',
    metrics: [],
    slices: [],
    ...overrides,
  }
}
