// What shards are to count of the exposures that an isolate noticed.
import type { EnvironmentSnapshot } from '../../catalog/environment-snapshot.ts'
import { unitKindOf } from '../../catalog/measurement.ts'
import type { CountingPlan } from '../counting-plan.ts'
import type { BatchId } from '../events/batch-id.ts'
import type { ShardEvent, Tag } from '../events/event.ts'
import { type AttributedEvent, routeEvents } from '../events/route-events.ts'
import { parseTag } from '../events/tag.ts'
import { createUnitHasher } from '../events/unit.ts'
import type { Exposure } from './exposures.ts'

/**
 * Splits exposures over the shards of their environment, by index. They are trusted: what was evaluated made the tag.
 * @param shards how many the environment's layout has at the batch's instant
 */
export function toShardEvents(
  exposures: readonly Exposure[],
  { settings }: EnvironmentSnapshot,
  { measurements }: CountingPlan,
  shards: number,
  id: BatchId,
): ReadonlyMap<number, readonly ShardEvent[]> {
  const hash = createUnitHasher(settings.signingSecret)
  // One object for each tag, by which a batch is packed more tightly.
  const tags = new Map<string, Tag | undefined>()
  const tagOf = (text: string) => {
    if (!tags.has(text)) tags.set(text, parseTag(text))
    return tags.get(text)
  }
  const events = exposures.flatMap(({ flag, variant, assignment, slices, at }): AttributedEvent[] => {
    const tag = tagOf(assignment.tag)
    if (!tag) return []
    const kind = unitKindOf(assignment.by)
    return [
      {
        kind: 'exposure',
        name: '',
        flag,
        variant,
        units: [{ kind, id: hash(kind, assignment.unit), trusted: true }],
        trusted: true,
        tag,
        automatic: true,
        value: Number.NaN,
        at,
        slices,
      },
    ]
  })
  return routeEvents(events, measurements, shards, id)
}
