// Flags under measurement, as a rollout will put them there: grants and measurement in one change.
import { env } from 'cloudflare:workers'
import { type Change, commitChange } from '../../src/catalog/change.ts'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import {
  DEFAULT_WINDOW_MS,
  type Measurement,
  type Metric,
  unitKindOf,
} from '../../src/catalog/measurement.ts'
import {
  type MeasurementPart,
  measurementEnd,
  measurementSave,
  rolloutEntity,
} from '../../src/catalog/measurements.ts'
import type { Grant } from '../../src/engine/flag.ts'
import type { Result } from '../../src/engine/result.ts'
import { type Answer, api, from, uniqueName } from './worker.ts'

/** A metric that a test counts by; its event has its name, and its unit is the flag's, unless it says else. */
export type CountedMetric = { readonly key: string; readonly bounds?: readonly number[] } & Partial<Metric>

/** What a test wants measured; all but flag and metrics has a default. */
export type Measured = Partial<Omit<Measurement, 'flag' | 'metrics' | 'shards'>> & {
  readonly flag: string
  readonly metrics: readonly CountedMetric[]
  /** Left out: half of everyone. */
  readonly grants?: readonly Grant[]
  /** Left out: `on`. */
  readonly variant?: string
  readonly seed?: string
}

export const HALF: readonly Grant[] = [{ audience: null, percentage: 50 }]

/** Defines a metric, or changes it; it counts conversions of its own name unless the draft says else. */
export function putMetric(key: string, draft: object = {}, revision = 0): Promise<Answer> {
  return api('PUT', `/metrics/${key}`, { event: key, kind: 'conversion', ...draft }, from(revision))
}

async function createMetric({ key, bounds: _, ...draft }: CountedMetric, unit: string): Promise<void> {
  const { status, body } = await putMetric(key, { unit, ...draft })
  // One that is there already is what an earlier measurement watches.
  if (status !== 200 && status !== 412) throw new Error(`refused with ${status}: ${JSON.stringify(body)}`)
}

/** Commits parts of a change together, as rollouts do. */
export function commitParts(parts: readonly Partial<MeasurementPart>[]): ReturnType<typeof commitChange> {
  const change: Change = {
    action: 'test',
    target: { kind: 'measurement', key: 'test' },
    guards: parts.flatMap(({ guards = [] }) => guards),
    writes: parts.flatMap(({ writes = [] }) => writes),
    entities: parts.flatMap(({ entities = [] }) => entities),
    revisions: [],
  }
  const author = { actor: 'test', via: 'test', comment: '', now: Date.now(), requestId: 'test' }
  return commitChange(env.DB, change, author)
}

function must<T>(result: Result<T, object>): T {
  if (!result.ok) throw new Error(`not measured: ${JSON.stringify(result.error)}`)
  return result.value
}

/**
 * Puts a flag under measurement in an environment, or, under the same id, into a later stage; published when it is
 * done. Metrics that do not exist yet are defined.
 * @returns the measurement's id
 */
export async function measure(environment: string, measured: Measured): Promise<string> {
  const { flag, metrics, grants = HALF, variant = 'on', seed = 'seed', ...rest } = measured
  const { id = uniqueName('measurement'), kind = 'rollout', by = 'targetingKey', stage = 0 } = rest
  for (const metric of metrics) await createMetric(metric, unitKindOf(by))
  const draft = {
    windowMs: DEFAULT_WINDOW_MS,
    exposure: 'use',
    slices: [],
    ...rest,
    ...{ id, flag, kind, by, stage },
    metrics: metrics.map(({ key, bounds = [] }) => ({ metric: key, bounds })),
  } as const
  const part = must(await measurementSave(env.DB, environment, draft, Date.now()))
  const rollout = { id, variant, seed, by, stage, grants, measured: true }
  must(await commitParts([part, { entities: [rolloutEntity(environment, flag, rollout)] }]))
  await hubOf(env, environment).publish()
  return id
}

/** Ends a measurement and takes the flag's grants away. */
export async function endMeasurement(environment: string, id: string, flag: string): Promise<void> {
  const grants = { entities: [rolloutEntity(environment, flag, null)] }
  must(await commitParts([measurementEnd(environment, id), grants]))
  await hubOf(env, environment).publish()
}
