// Puts a flag under measurement on a local server: grants and measurement in one change, written to its database as
// the Worker would.
import { commitChange } from '../src/catalog/change.ts'
import type { Metric } from '../src/catalog/measurement.ts'
import { type MeasurementDraft, measurementSave, rolloutEntity } from '../src/catalog/measurements.ts'
import type { Grant } from '../src/engine/flag.ts'
import type { Server } from './server.ts'

/** What is to be measured: the units of a rollout, by their arm. */
export type Measured = Pick<MeasurementDraft, 'id' | 'flag' | 'metrics'> & {
  readonly variant: string
  readonly seed: string
  readonly grants: readonly Grant[]
}

/** A metric as the management API takes it. */
export type MetricDraft = Partial<Metric> & Pick<Metric, 'key' | 'event' | 'kind'>

/** Begins to measure flags in an environment, and publishes that. */
export async function measureFlags(
  { miniflare, tick }: Pick<Server, 'miniflare' | 'tick'>,
  environment: string,
  flags: readonly Measured[],
): Promise<void> {
  const database = (await miniflare.getD1Database('DB', 'rampart')) as unknown as D1Database
  for (const { variant, seed, grants, ...rest } of flags) {
    const { id, flag } = rest
    const draft = {
      ...rest,
      kind: 'rollout',
      by: 'targetingKey',
      stage: 0,
      windowMs: 30 * 60_000,
      exposure: 'use',
      slices: [],
    } as const
    const part = await measurementSave(database, environment, draft, Date.now())
    if (!part.ok) throw new Error(`${flag} is not measured: ${JSON.stringify(part.error)}`)
    const rollout = { id, variant, seed, by: 'targetingKey', stage: 0, grants, measured: true }
    const { guards, writes, entities } = part.value
    const committed = await commitChange(
      database,
      {
        action: 'measurement.start',
        target: { kind: 'measurement', key: id },
        guards,
        writes,
        entities: [...entities, rolloutEntity(environment, flag, rollout)],
        revisions: [],
      },
      { actor: 'local', via: 'local', comment: '', now: Date.now(), requestId: id },
    )
    if (!committed.ok) throw new Error(`${flag} is not measured: ${JSON.stringify(committed.error)}`)
  }
  await tick()
}
