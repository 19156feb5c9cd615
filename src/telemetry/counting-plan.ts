// What is counted in an environment at one version of it: what a shard must know to make sense of events.
import type { EnvironmentSnapshot } from '../catalog/environment-snapshot.ts'
import type { Measurement, Metric } from '../catalog/measurement.ts'
import { murmur3 } from '../engine/bucket.ts'

/** Tells one plan from another, and which is newer. */
export type PlanMark = {
  /** A version of the environment at which the plan stands; it may have stood before, and stand for longer. */
  readonly version: number
  /** The same for the same plan. */
  readonly fingerprint: string
}

export type CountingPlan = PlanMark & {
  readonly metrics: readonly Metric[]
  readonly measurements: readonly Measurement[]
}

type Contents = Omit<CountingPlan, 'version'>

/** By the snapshot's own map of measurements, then of metrics: a change of either makes a new one. */
const plans = new WeakMap<object, WeakMap<object, Contents>>()

const SEED_LOW = 0x2c1b3c6d
const SEED_HIGH = 0x297a2d39

function contentsOf({ metrics, measurements }: EnvironmentSnapshot): Contents {
  const byKey = (a: string, b: string) => (a < b ? -1 : 1)
  const content = {
    metrics: [...metrics.values()].sort((a, b) => byKey(a.key, b.key)),
    measurements: [...measurements.values()].sort((a, b) => byKey(a.id, b.id)),
  }
  const text = JSON.stringify(content)
  const [low, high] = [murmur3(text, SEED_LOW), murmur3(text, SEED_HIGH)]
  return { ...content, fingerprint: `${low.toString(36)}-${high.toString(36)}` }
}

/** The counting plan of a snapshot; worked out once for each plan. */
export function planOf(environment: EnvironmentSnapshot): CountingPlan {
  const { metrics, measurements, version } = environment
  const known = plans.get(measurements) ?? new WeakMap<object, Contents>()
  plans.set(measurements, known)
  const contents = known.get(metrics) ?? contentsOf(environment)
  known.set(metrics, contents)
  return { ...contents, version }
}
