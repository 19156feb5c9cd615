// What stays of a rollout when it is done, and when the next one starts on its flag.
import { loadClosure } from '../catalog/closure.ts'
import { loadFlagIn } from '../catalog/flag-store.ts'
import type { SaveError } from '../catalog/save-error.ts'
import type { FlagDefinition, RolloutGrants } from '../engine/flag.ts'
import { parseRollout } from '../engine/parse-flag.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { configurationPart } from './configuration-part.ts'
import { areForEveryone } from './fold-grants.ts'
import { grantsOf } from './grants.ts'
import { NO_PART, type Part } from './part.ts'
import type { Rollout } from './rollout.ts'

const NEWEST = Number.MAX_SAFE_INTEGER

/** The grants that stand at the edge for a flag; null: none. */
export async function loadGrants(
  database: D1Database,
  environment: string,
  flag: FlagDefinition,
): Promise<RolloutGrants | null> {
  const { rollouts } = await loadClosure(database, environment, NEWEST, [['rollouts', flag.key]])
  const text = rollouts.get(flag.key)
  const parsed = text === undefined ? undefined : parseRollout(JSON.parse(text), flag)
  return parsed?.ok ? parsed.value : null
}

/**
 * What the end of a rollout changes of its flag: where everyone has the variant, the fallthrough serves it from then on,
 * so that the grants can go; anything else stays granted, and nothing changes.
 * @param rollout as it is when it is done
 */
export async function foldPart(
  database: D1Database,
  { plan, progress }: Rollout,
  now: number,
): Promise<Result<Part, SaveError>> {
  if (!areForEveryone(grantsOf(plan, progress))) return ok(NO_PART)
  const { flag: key, environment, variant } = plan
  const found = await loadFlagIn(database, key, environment)
  if (!found?.configuration) return err({ reason: 'not_found', what: `flag "${key}"` })
  const { flag, configuration: before } = found
  const after = { ...before.configuration, fallthrough: { variant } }
  return configurationPart(database, flag, before, after, now)
}
