import { and, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { EvaluationContext } from '../engine/context.ts'
import type { FlagConfiguration } from '../engine/flag.ts'
import type { JsonObject } from '../engine/json.ts'
import { parseFlagConfiguration, parseRollout } from '../engine/parse-flag.ts'
import { flagReferences } from '../engine/references.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { type Change, isAtRevision, nextRevision } from './change.ts'
import { type EntityName, loadClosure, namesIn } from './closure.ts'
import { flagEntity, initialConfiguration, isTooLarge } from './flag-entity.ts'
import { loadFlagIn, type StoredConfiguration, type StoredFlag } from './flag-store.ts'
import { MAX_FLAG_BYTES } from './limits.ts'
import type { Operation } from './operation.ts'
import { type Preview, previewChange } from './preview.ts'
import type { SaveError } from './save-error.ts'
import { seedChanges } from './seed-changes.ts'
import { createSeed, withSeeds } from './seeds.ts'
import { keepsUnits } from './split-moves.ts'
import { flagConfigurations, flags } from './tables.ts'
import { unknownFields } from './unknown-fields.ts'

/** Above every version: what is read then is the newest. */
const NEWEST = Number.MAX_SAFE_INTEGER

/** A drafted configuration beside what it would replace. */
export type DraftedConfiguration = {
  readonly flag: StoredFlag
  readonly before: StoredConfiguration | undefined
  readonly after: FlagConfiguration
  /** Whether changes of the environment need a second person. */
  readonly isProtected: boolean
}

/** Reads a draft against the flag, keeping the seeds of what it replaces. */
export async function draftConfiguration(
  database: D1Database,
  key: string,
  environment: string,
  draft: JsonObject,
): Promise<Result<DraftedConfiguration, SaveError>> {
  const stored = await loadFlagIn(database, key, environment)
  if (!stored) return err({ reason: 'not_found', what: `flag "${key}"` })
  const { flag, configuration: before, isProtected } = stored
  if (isProtected === undefined) return err({ reason: 'not_found', what: `environment "${environment}"` })
  if (flag.archivedAt !== null) return err({ reason: 'archived' })
  const parsed = parseFlagConfiguration(withSeeds(draft, before?.configuration, createSeed), flag)
  if (!parsed.ok) return err({ reason: 'invalid', problems: parsed.error })
  const problems = [
    ...unknownFields(draft, parsed.value),
    ...(before ? seedChanges(before.configuration, parsed.value) : []),
  ]
  if (problems.length > 0) return err({ reason: 'invalid', problems })
  return ok({ flag, before, after: parsed.value, isProtected })
}

/** Whether a split could give a unit another variant than a split has given it. */
function mayMove({ flag, before, after }: DraftedConfiguration): boolean {
  if (!before) return false
  const rollout = null
  return !keepsUnits({ ...flag, ...before.configuration, rollout }, { ...flag, ...after, rollout })
}

/** Says what a drafted configuration would do to the units. */
export async function previewConfiguration(
  database: D1Database,
  environment: string,
  { flag, before, after }: DraftedConfiguration,
  contexts: readonly EvaluationContext[],
  now: number,
): Promise<Preview> {
  const references = [before?.configuration, after].flatMap((configuration) =>
    configuration ? [flagReferences(configuration, null)] : [],
  )
  const names: EntityName[] = [['rollouts', flag.key], ...references.flatMap(namesIn)]
  const others = await loadClosure(database, environment, NEWEST, names)
  const text = others.rollouts.get(flag.key)
  const parsed = text === undefined ? undefined : parseRollout(JSON.parse(text), flag)
  const rollout = parsed?.ok ? parsed.value : null
  return previewChange({
    before: { ...flag, ...(before?.configuration ?? initialConfiguration(flag)), rollout },
    after: { ...flag, ...after, rollout },
    others,
    contexts,
    now,
  })
}

/** Whether units move: as far as was seen, or at a place that nothing that was seen has reached. */
function moves({ moved, splits }: Preview): boolean {
  return moved.share > 0 || splits.some((place) => place.moved > 0)
}

function isOnlySwitchedOff(before: FlagConfiguration | undefined, after: FlagConfiguration): boolean {
  return before !== undefined && JSON.stringify({ ...before, enabled: false }) === JSON.stringify(after)
}

/**
 * Changes what a flag is in one environment. Refused when units that a split has given a variant would get another,
 * unless the operation allows it.
 * @param contexts contexts seen lately in the environment
 */
export async function planConfigurationSave(
  database: D1Database,
  operation: Extract<Operation, { kind: 'configuration.save' }>,
  contexts: (environment: string) => Promise<readonly EvaluationContext[]>,
  now: number,
): Promise<Result<Change, SaveError>> {
  const { flag: key, environment, draft, revision, allowMoves = false, emergency = false } = operation
  const drafted = await draftConfiguration(database, key, environment, draft)
  if (!drafted.ok) return drafted
  const { flag, before, after, isProtected } = drafted.value
  if (emergency && !isOnlySwitchedOff(before?.configuration, after)) return err({ reason: 'not_only_off' })
  const entity = flagEntity(flag, environment, after)
  if (isTooLarge([entity])) return err({ reason: 'too_large', limit: MAX_FLAG_BYTES })
  const shown = mayMove(drafted.value)
    ? await previewConfiguration(database, environment, drafted.value, await contexts(environment), now)
    : undefined
  if (shown && moves(shown) && !allowMoves) return err({ reason: 'moves_units', preview: shown })
  const own = and(eq(flagConfigurations.flag, key), eq(flagConfigurations.environment, environment))
  const nextOwn = nextRevision({ kind: 'configuration', environment, key })
  const values = { configuration: after, enabled: after.enabled, revision: nextOwn, updatedAt: now }
  return ok({
    action: emergency ? 'configuration.switch_off' : 'configuration.save',
    target: { kind: 'flag', key },
    details: shown ? { moved: shown.moved, changed: shown.changed } : {},
    guards: [
      isAtRevision(sql`${flagConfigurations}`, own, revision),
      // The entity holds the definition too, so that must not have moved meanwhile.
      isAtRevision(sql`${flags}`, eq(flags.key, key), flag.revision),
    ],
    writes: [
      drizzle(database)
        .insert(flagConfigurations)
        .values({ flag: key, environment, ...values })
        .onConflictDoUpdate({
          target: [flagConfigurations.environment, flagConfigurations.flag],
          set: values,
        }),
    ],
    entities: [entity],
    revisions: [{ kind: 'configuration', environment, key, body: after }],
    protection: new Map([[environment, isProtected]]),
  })
}
