// Which events arrive: those that metrics are made of, and those that no metric uses yet.
import type { Bindings } from '../../bindings.ts'
import type { Metric } from '../../catalog/measurement.ts'
import type { SeenName } from '../shard-protocol.ts'
import { askShards } from './ask-shards.ts'

/** How much of a metric has arrived; `firstAt` and `lastAt` are null where nothing has. */
export type MetricVolume = {
  readonly metric: string
  readonly event: string
  readonly count: number
  /** Milliseconds since 1970, by arrival. */
  readonly firstAt: number | null
  readonly lastAt: number | null
}

export type EventNames = {
  /** Names that no metric uses; seen last, first. */
  readonly unused: readonly SeenName[]
  /** By key. */
  readonly metrics: readonly MetricVolume[]
}

/** Adds up what each shard has seen of each name. */
export function mergeNames(parts: readonly (readonly SeenName[])[]): ReadonlyMap<string, SeenName> {
  const names = new Map<string, SeenName>()
  for (const seen of parts.flat()) {
    const known = names.get(seen.name)
    names.set(
      seen.name,
      known
        ? {
            name: seen.name,
            count: known.count + seen.count,
            firstAt: Math.min(known.firstAt, seen.firstAt),
            lastAt: Math.max(known.lastAt, seen.lastAt),
          }
        : seen,
    )
  }
  return names
}

/** Tells the names that metrics use from those that none does. */
export function toEventNames(names: ReadonlyMap<string, SeenName>, metrics: readonly Metric[]): EventNames {
  const used = new Set(metrics.flatMap(({ event, denominator }) => [event, denominator ?? event]))
  const unused = [...names.values()].filter(({ name }) => !used.has(name))
  return {
    unused: unused.sort((a, b) => b.lastAt - a.lastAt || (a.name < b.name ? -1 : 1)),
    metrics: metrics
      .map(({ key, event }) => {
        const seen = names.get(event)
        return {
          metric: key,
          event,
          count: seen?.count ?? 0,
          firstAt: seen?.firstAt ?? null,
          lastAt: seen?.lastAt ?? null,
        }
      })
      .sort((a, b) => (a.metric < b.metric ? -1 : 1)),
  }
}

/** Loads which events an environment has seen in the last 30 days. */
export async function loadEventNames(
  bindings: Bindings,
  environment: string,
  metrics: readonly Metric[],
): Promise<EventNames & { readonly partial: boolean }> {
  const { answers, partial } = await askShards(bindings, environment, (shard) => shard.names())
  return { ...toEventNames(mergeNames(answers), metrics), partial }
}
