// What a decision was made from, as it is written down: a checkpoint and the raw blocks since, so that it can be made
// again years later. Pure.
import { canonicalJson } from '../catalog/difference.ts'
import type { Metric } from '../catalog/measurement.ts'
import type { JsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { BLOCK_MS, type GuardBlock } from '../telemetry/counting/blocks.ts'
import type { ArmTotals, Moments } from '../telemetry/counting/totals.ts'
import type { Checkpoint } from './clock-store.ts'
import type { Ground } from './evidence/processes.ts'
import { readEvidence } from './evidence/read-evidence.ts'
import { replay } from './evidence/replay.ts'
import { audiencesOf } from './grants.ts'
import type { Reading } from './observations.ts'
import type { Plan } from './plan.ts'
import type { Progress } from './progress.ts'

/** The most that is written down with a decision: a row ends at 2 MB. */
const MAX_CHARACTERS = 1_000_000

/** What a decision was made from. */
export type DecisionEvidence = {
  /** The end of the last block that was taken in, in milliseconds since 1970. */
  readonly through: number
  /** What the guards said. */
  readonly reading: Reading
  /** SHA-256 of the plan in hex. */
  readonly plan: string
  /** How far the rollout had come. */
  readonly progress: Progress
  readonly metrics: readonly Metric[]
  /** The evidence some time before, packed. */
  readonly checkpoint: Pick<Checkpoint, 'through' | 'text'>
  /** All blocks of the rollout since; null where a shard could not be read, or they are too many. */
  readonly blocks: readonly GuardBlock[] | null
  /** Sums over units, by arm, where guardrails of means were asked. */
  readonly totals: readonly PackedTotals[]
}

type PackedTotals = Omit<ArmTotals, 'metrics'> & {
  readonly metrics: readonly (readonly [key: string, sums: Moments])[]
}

async function hashOf(plan: Plan): Promise<string> {
  const bytes = new TextEncoder().encode(canonicalJson(plan))
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).toHex()
}

function toJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value))
}

/** What a decision rests on that needs no proof later: what the guards said. */
export function toReadingEvidence(reading: Reading): JsonObject {
  return toJson({ through: reading.through, reading })
}

/** Writes down what a decision was made from. */
export async function toDecisionEvidence(
  ground: Ground,
  reading: Reading,
  checkpoint: Checkpoint,
  blocks: readonly GuardBlock[] | null,
  totals: readonly ArmTotals[],
): Promise<JsonObject> {
  const { plan, progress, metrics } = ground
  const { through } = reading
  const watched = new Set(plan.guardrails.map(({ metric }) => metric))
  const since =
    blocks?.filter(({ start }) => start >= checkpoint.through && start + BLOCK_MS <= through) ?? null
  const evidence: DecisionEvidence = {
    through,
    reading,
    plan: await hashOf(plan),
    progress,
    metrics: [...metrics.values()].filter(({ key }) => watched.has(key)),
    checkpoint: { through: checkpoint.through, text: checkpoint.text },
    blocks: JSON.stringify(since).length > MAX_CHARACTERS ? null : since,
    totals: totals.map(({ metrics: sums, ...arm }) => ({ ...arm, metrics: [...sums] })),
  }
  return toJson(evidence)
}

/** Why what was written down says nothing. */
export type ReplayError = 'no_blocks' | 'other_plan' | 'unreadable_checkpoint'

/** Makes the reading again that a decision was made from, out of what was written down with it. */
export async function replayDecision(
  plan: Plan,
  evidence: DecisionEvidence,
): Promise<Result<Reading, ReplayError>> {
  const { progress, checkpoint, blocks, through } = evidence
  if (blocks === null) return err('no_blocks')
  if (evidence.plan !== (await hashOf(plan))) return err('other_plan')
  const metrics = new Map(evidence.metrics.map((metric) => [metric.key, metric]))
  const ground: Ground = { plan, audiences: audiencesOf(plan), progress, metrics }
  const replayed = replay(checkpoint.text, ground, { through, blocks })
  if (!replayed.ok) return replayed
  const totals = evidence.totals.map((arm) => ({ ...arm, metrics: new Map(arm.metrics) }))
  return ok(readEvidence(replayed.value, ground, totals))
}
