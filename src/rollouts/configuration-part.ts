import { and, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { isAtRevision, nextRevision } from '../catalog/change.ts'
import { flagEntity, isTooLarge } from '../catalog/flag-entity.ts'
import type { StoredConfiguration, StoredFlag } from '../catalog/flag-store.ts'
import { MAX_FLAG_BYTES } from '../catalog/limits.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { flagConfigurations, flags } from '../catalog/tables.ts'
import type { FlagConfiguration } from '../engine/flag.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Part } from './part.ts'

/** What a flag is in one environment, changed by a rollout and not by hand; it holds what it was made from still. */
export function configurationPart(
  database: D1Database,
  flag: StoredFlag,
  { environment, revision }: StoredConfiguration,
  configuration: FlagConfiguration,
  now: number,
): Result<Part, SaveError> {
  const { key } = flag
  const entity = flagEntity(flag, environment, configuration)
  if (isTooLarge([entity])) return err({ reason: 'too_large', limit: MAX_FLAG_BYTES })
  const own = and(eq(flagConfigurations.flag, key), eq(flagConfigurations.environment, environment))
  return ok({
    guards: [
      isAtRevision(sql`${flagConfigurations}`, own, revision),
      // The entity holds the definition too.
      isAtRevision(sql`${flags}`, eq(flags.key, key), flag.revision),
    ],
    writes: [
      drizzle(database)
        .update(flagConfigurations)
        .set({
          configuration,
          enabled: configuration.enabled,
          revision: nextRevision({ kind: 'configuration', environment, key }),
          updatedAt: now,
        })
        .where(own),
    ],
    entities: [entity],
    revisions: [{ kind: 'configuration', environment, key, body: configuration }],
  })
}
