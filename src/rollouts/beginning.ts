// What a rollout's start needs of its flag: that it can be seen, that nothing else goes on, and that what stands there
// already becomes the flag's own without moving anybody.
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Bindings } from '../bindings.ts'
import { loadMeasurements, measurementEnds, rolloutEntity } from '../catalog/measurements.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { toBuckets } from '../engine/bucket.ts'
import type { FlagConfiguration, RolloutGrants } from '../engine/flag.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Statement } from '../ledger/statement.ts'
import { loadEventNames } from '../telemetry/reading/event-names.ts'
import { rolloutAttachments } from './attachments.ts'
import { configurationPart } from './configuration-part.ts'
import { loadGrants } from './fold.ts'
import { foldGrants } from './fold-grants.ts'
import type { FoundRollout } from './found-rollout.ts'
import { joinParts, NO_PART, type Part } from './part.ts'
import type { Plan } from './plan.ts'
import { type GroundedPlan, groundPlan } from './plan-ground.ts'
import type { StartError } from './refusals.ts'
import type { Rollout } from './rollout.ts'
import { rollouts } from './tables.ts'
import { takeOver } from './take-over.ts'

/** A rollout as it is about to begin, and what of its flag changes with that. */
export type Beginning = {
  /** With the plan as it holds today, and the buckets that it goes on from. */
  readonly rollout: Rollout
  readonly part: Part
  /** What stood at the edge before: it goes unless the rollout's own grants take its place. */
  readonly standing: RolloutGrants | null
}

/** The metrics of guardrails of which no event has ever arrived. */
async function loadSilent(bindings: Bindings, { plan, metrics }: GroundedPlan): Promise<readonly string[]> {
  const watched = [...new Set(plan.guardrails.map(({ metric }) => metric))]
  const known = watched.flatMap((key) => metrics.get(key) ?? [])
  if (known.length === 0) return []
  const names = await loadEventNames(bindings, plan.environment, known)
  // Of what cannot be asked nothing is known, so nothing is refused for it.
  return names.partial ? [] : names.metrics.filter(({ count }) => count === 0).map(({ metric }) => metric)
}

/** Whether grants that stand are those of the rollout's own units, so that its first stage takes their place. */
function goesOn({ plan, seed, reversed }: Rollout, standing: RolloutGrants): boolean {
  const [first] = plan.stages
  const isSame =
    standing.variant === plan.variant &&
    standing.by === plan.by &&
    standing.seed === seed &&
    (standing.reversed ?? false) === reversed
  const most = Math.max(0, ...standing.grants.map(({ percentage }) => percentage))
  return isSame && first?.audience === null && first.percentage >= most
}

type Settled = {
  readonly configuration: FlagConfiguration
  readonly seed: string
  readonly reversed: boolean
}

/** The first stage is for everyone, and gives no less than a split did. */
function covers({ stages }: Plan, percentage: number): boolean {
  const [first] = stages
  return first?.audience === null && toBuckets(first.percentage) >= toBuckets(percentage)
}

function waitsFor({ startAt, after, windows, stages }: Plan): string | null {
  if (startAt !== null) return 'startAt'
  if (after.length > 0) return 'after'
  if (windows.length > 0) return 'windows'
  const [first] = stages
  return first && (first.approval || first.gates.length > 0) ? 'approval or gates of the first stage' : null
}

function settle(
  rollout: Rollout,
  before: FlagConfiguration,
  standing: RolloutGrants | null,
): Result<Settled, StartError> {
  const { plan, seed, reversed } = rollout
  const folded = standing === null || goesOn(rollout, standing) ? ok(before) : foldGrants(before, standing)
  if (!folded.ok) return err({ reason: folded.error })
  const configuration = folded.value
  const { fallthrough } = configuration
  if ('variant' in fallthrough && fallthrough.variant === plan.variant)
    return err({ reason: 'serves_everyone' })
  if (!plan.takeOver) return ok({ configuration, seed, reversed })
  const why = waitsFor(plan)
  if (why !== null) return err({ reason: 'take_over_waits', why })
  const taken = takeOver(fallthrough, plan.variant, plan.by)
  if (!taken.ok) return err({ reason: taken.error })
  const { percentage, rest } = taken.value
  if (!covers(plan, percentage)) return err({ reason: 'first_stage_below_share', percentage })
  const { seed: ofSplit, reversed: fromTheTop } = taken.value
  return ok({ configuration: { ...configuration, fallthrough: rest }, seed: ofSplit, reversed: fromTheTop })
}

/** Ends what is still counted of earlier rollouts of the flag: those that were taken back, until that was verified. */
async function loadEnds(database: D1Database, environment: string, flag: string) {
  const earlier = (await loadMeasurements(database, environment)).filter(
    (measurement) => measurement.flag === flag && measurement.kind === 'rollout',
  )
  return measurementEnds(
    environment,
    earlier.map(({ id }) => id),
  )
}

function rowUpdate(database: D1Database, { id, plan, seed, reversed }: Rollout): Statement {
  return drizzle(database).update(rollouts).set({ plan, seed, reversed }).where(eq(rollouts.id, id))
}

/**
 * Prepares a rollout's beginning: looks at the ground again, which may have moved since the plan was written.
 * @param force begins although no event of a guardrail's metric has ever arrived
 */
export async function prepareBeginning(
  bindings: Bindings,
  { rollout, draft }: FoundRollout,
  force: boolean,
  now: number,
): Promise<Result<Beginning, StartError | SaveError>> {
  const { DB } = bindings
  const grounded = await groundPlan(DB, draft)
  if (!grounded.ok) return grounded
  const { plan, flag, configuration } = grounded.value
  const { environment } = plan
  if (!configuration.configuration.enabled) return err({ reason: 'flag_off' })
  const [running, silent, standing, ends] = await Promise.all([
    rolloutAttachments.running(DB, { flag: flag.key }),
    force ? [] : loadSilent(bindings, grounded.value),
    loadGrants(DB, environment, flag),
    loadEnds(DB, environment, flag.key),
  ])
  const others = running.filter((other) => other.environment === environment && other.id !== rollout.id)
  if (others.length > 0) return err({ reason: 'rollout_running', rollouts: others })
  if (silent.length > 0) return err({ reason: 'metric_silent', metrics: silent })
  const settled = settle({ ...rollout, plan }, configuration.configuration, standing)
  if (!settled.ok) return settled
  const { configuration: after, seed, reversed } = settled.value
  const begun = { ...rollout, plan, seed, reversed }
  const isChanged = after !== configuration.configuration
  const part = isChanged ? configurationPart(DB, flag, configuration, after, now) : ok(NO_PART)
  if (!part.ok) return part
  const own: Part = { ...ends, writes: [...ends.writes, rowUpdate(DB, begun)], revisions: [] }
  return ok({ rollout: begun, part: joinParts([part.value, own]), standing })
}

/** What takes the grants away that stood before, where the rollout begins later than they become the flag's own. */
export function clearing({ rollout, standing }: Beginning): Part {
  if (standing === null) return NO_PART
  return { ...NO_PART, entities: [rolloutEntity(rollout.plan.environment, rollout.plan.flag, null)] }
}
