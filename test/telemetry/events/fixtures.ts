// What the tests of pure code about events share: an environment in which two flags are measured, one by users and
// one by companies.
import type { EnvironmentSnapshot } from '../../../src/catalog/environment-snapshot.ts'
import type { Measurement, Metric } from '../../../src/catalog/measurement.ts'
import { Snapshot } from '../../../src/engine/snapshot.ts'
import type { Sender } from '../../../src/telemetry/events/attribute-events.ts'

export const NOW = 1_700_000_000_000

export function makeMeasurement(more: Partial<Measurement> & { readonly id: string }): Measurement {
  return {
    flag: 'checkout',
    kind: 'rollout',
    by: 'targetingKey',
    stage: 0,
    shards: 2,
    windowMs: 1_800_000,
    exposure: 'use',
    metrics: [],
    slices: [],
    ...more,
  }
}

export function makeMetric(more: Partial<Metric> & { readonly key: string }): Metric {
  return {
    event: more.key,
    kind: 'count',
    denominator: null,
    unit: 'user',
    goodDirection: 'up',
    cap: null,
    preExposure: false,
    ...more,
  }
}

function byName<T>(entities: readonly T[], nameOf: (entity: T) => string): ReadonlyMap<string, T> {
  return new Map(entities.map((entity) => [nameOf(entity), entity]))
}

export function makeEnvironment(
  measurements: readonly Measurement[] = [],
  metrics: readonly Metric[] = [],
): EnvironmentSnapshot {
  return {
    flags: new Snapshot({ environment: 'production', version: 3, sections: {} }),
    version: 3,
    keys: new Map(),
    settings: { refreshSeconds: 30, signingSecret: 'secret' },
    metrics: byName(metrics, ({ key }) => key),
    measurements: byName(measurements, ({ id }) => id),
  }
}

export const SERVER: Sender = { key: { id: 's', kind: 'server', hash: '' }, edge: null }
export const CLIENT: Sender = {
  key: { id: 'c', kind: 'client', hash: '' },
  edge: new Map([
    ['cf.country', 'DE'],
    ['device.class', 'mobile'],
    ['bot', 'false'],
  ]),
}
