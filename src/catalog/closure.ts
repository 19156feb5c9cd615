// A part of what an environment was at a version: some entities, and all that they lead to.
import { flagReferences, type References, segmentReferences } from '../engine/references.ts'
import { type EntityKind, Snapshot } from '../engine/snapshot.ts'

/** An entity by its kind and key. */
export type EntityName = readonly [kind: EntityKind, key: string]
type EntityRow = { readonly kind: EntityKind; readonly key: string; readonly body: string }

/** How many queries a snapshot may take; the last one reads all that is left. */
const MAX_QUERIES = 12

/**
 * The newest row of each of the entities up to a version, without those that are gone. The cross join has each name
 * looked up; left to itself, SQLite goes through the whole history and asks the names.
 */
async function loadEntities(
  database: D1Database,
  environment: string,
  version: number,
  names: readonly EntityName[],
): Promise<readonly EntityRow[]> {
  const { results } = await database
    .prepare(
      `WITH wanted AS (SELECT value ->> 0 AS kind, value ->> 1 AS key FROM json_each(?3))
        SELECT history.kind, history.key, history.body FROM wanted CROSS JOIN history
          ON history.environment = ?1 AND history.kind = wanted.kind AND history.key = wanted.key
          AND history.version = (SELECT max(version) FROM history AS past WHERE past.environment = ?1
            AND past.kind = wanted.kind AND past.key = wanted.key AND past.version <= ?2)
          WHERE history.body IS NOT NULL`,
    )
    .bind(environment, version, JSON.stringify(names))
    .all<EntityRow>()
  return results
}

async function loadAllEntities(
  database: D1Database,
  environment: string,
  version: number,
): Promise<readonly EntityRow[]> {
  const { results } = await database
    .prepare(
      `SELECT kind, key, body, max(version) FROM history
        WHERE environment = ? AND version <= ? AND kind IN ('flags', 'segments', 'rollouts')
        GROUP BY kind, key HAVING body IS NOT NULL`,
    )
    .bind(environment, version)
    .all<EntityRow>()
  return results
}

const NO_REFERENCES: References = { flags: [], segments: [] }

/** What an entity names; nothing where it cannot be read, for then the engine asks for nothing either. */
function referencesOf(snapshot: Snapshot, { kind, key }: EntityRow): References {
  if (kind === 'segments') {
    const segment = snapshot.parsedSegment(key)
    return segment?.ok ? segmentReferences(segment.value) : NO_REFERENCES
  }
  // A rollout's segments are its flag's.
  const flag = kind === 'flags' ? snapshot.parsedFlag(key) : undefined
  return flag?.ok ? flagReferences(flag.value, flag.value.rollout) : NO_REFERENCES
}

/** The entities that references mean; a flag's rollout belongs to it. */
export function namesIn({ flags, segments }: References): EntityName[] {
  return [
    ...flags.flatMap((key): EntityName[] => [
      ['flags', key],
      ['rollouts', key],
    ]),
    ...segments.map((key): EntityName => ['segments', key]),
  ]
}

/** Entities of each kind, as their texts. */
export type Sections = { readonly [kind in EntityKind]: Map<string, string> }

/**
 * Loads entities and all that they name, directly or not, as they were at a version. Read level by level, in at most
 * 12 queries: what lies deeper comes with everything else there was. What did not exist then is left out.
 */
export async function loadClosure(
  database: D1Database,
  environment: string,
  version: number,
  names: readonly EntityName[],
): Promise<Sections> {
  const sections: Sections = { flags: new Map(), segments: new Map(), rollouts: new Map() }
  const asked = new Set<string>()
  let level = names
  for (let query = 1; query <= MAX_QUERIES && level.length > 0; query++) {
    const rows =
      query < MAX_QUERIES
        ? await loadEntities(database, environment, version, level)
        : await loadAllEntities(database, environment, version)
    for (const { kind, key, body } of rows) sections[kind].set(key, body)
    for (const name of level) asked.add(JSON.stringify(name))
    const snapshot = new Snapshot({ environment, version, sections })
    const named = rows.flatMap((row) => namesIn(referencesOf(snapshot, row)))
    const unasked = new Map(named.map((name) => [JSON.stringify(name), name]))
    level = [...unasked].flatMap(([id, name]) => (asked.has(id) ? [] : [name]))
  }
  return sections
}
