// Events that another Worker tracks over a service binding, in OpenFeature's manner: a name, the evaluation context,
// and details.
import type { Bindings } from '../../bindings.ts'
import type { KeyRecord } from '../../catalog/entities.ts'
import type { EnvironmentSnapshot } from '../../catalog/environment-snapshot.ts'
import { createAttributeReader, type EvaluationContext, toUnit } from '../../engine/context.ts'
import { createBatchId } from './batch-id.ts'
import { ingest } from './ingest.ts'

/** What is said of a tracked event besides its name; anything else is let be. */
export type TrackingDetails = {
  readonly value?: number
  /** When it happened, RFC 3339 or milliseconds since 1970; left out: now. */
  readonly at?: string | number
  readonly [field: string]: unknown
}

/** A service binding says who asks: it is as good as a server key. */
const SENDER: { readonly key: KeyRecord; readonly edge: null } = {
  key: { id: 'service-binding', kind: 'server', hash: '' },
  edge: null,
}

/** Whom a context is about: its targeting key, and the units that measurements go by. */
function unitsOf(context: EvaluationContext, { measurements }: EnvironmentSnapshot) {
  const paths = new Set(['targetingKey', ...Array.from(measurements.values(), ({ by }) => by)])
  const units = Array.from(paths, (path) => [path, toUnit(createAttributeReader(path)(context))] as const)
  return Object.fromEntries(units.filter(([, unit]) => unit !== undefined))
}

/**
 * Counts one event of whom the context is about.
 * @param now milliseconds since 1970
 * @returns undefined when it is counted, else why not
 */
export async function track(
  bindings: Bindings,
  environment: EnvironmentSnapshot,
  name: string,
  context: EvaluationContext,
  { value, at }: TrackingDetails,
  now: number,
): Promise<string | undefined> {
  const event = { kind: 'track', name, unit: unitsOf(context, environment), value, at }
  const batch = { id: createBatchId(now), events: [event] }
  const ingested = await ingest(bindings, environment, SENDER, batch, now)
  return ingested.outcome === 'accepted' ? ingested.rejected[0]?.message : ingested.outcome
}
