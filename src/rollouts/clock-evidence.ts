// The evidence of one rollout as the clock holds it, with the checkpoint that it can be made again from. Pure.
import type { ArmTotals } from '../telemetry/counting/totals.ts'
import type { MergedBlocks } from '../telemetry/reading/blocks.ts'
import type { Checkpoint } from './clock-store.ts'
import { type Evidence, newEvidence } from './evidence/evidence.ts'
import { packEvidence, parseEvidence } from './evidence/packed.ts'
import type { Ground } from './evidence/processes.ts'
import { takeBlocks } from './evidence/take-blocks.ts'

const HOUR_MS = 3_600_000

/** What a clock holds of one rollout. */
export type Held = {
  readonly evidence: Evidence
  /** null: nothing has been taken in yet. */
  readonly checkpoint: Checkpoint | null
}

/** What is held of a rollout that begins, or has not begun. */
export function newHeld(startedAt: number): Held {
  return { evidence: newEvidence(startedAt), checkpoint: null }
}

/**
 * A checkpoint is needed before blocks of another epoch, or of another hour: the blocks since are then of one epoch, and
 * no more than shards tell at once.
 */
function isCheckpointDue(checkpoint: Checkpoint, epoch: number, through: number): boolean {
  const isOfHour = checkpoint.hour === Math.floor(through / HOUR_MS)
  return checkpoint.epoch !== epoch || !isOfHour || through - checkpoint.through > HOUR_MS
}

/** Takes a rollout's own blocks in, however often they come. */
export function takeIn(
  held: Held,
  ground: Ground,
  blocks: MergedBlocks,
  totals?: readonly ArmTotals[],
): Held {
  const { evidence, checkpoint } = held
  const { through } = blocks
  if (through <= evidence.through) return held
  const { epoch } = ground.progress
  const isDue = checkpoint === null || isCheckpointDue(checkpoint, epoch, through)
  return {
    evidence: takeBlocks(evidence, ground, blocks, totals),
    checkpoint: isDue
      ? {
          through: evidence.through,
          text: packEvidence(evidence),
          epoch,
          hour: Math.floor(through / HOUR_MS),
        }
      : checkpoint,
  }
}

/** Reads evidence that was kept; undefined when it cannot be read. */
export function restoreHeld(text: string, checkpoint: Checkpoint | undefined): Held | undefined {
  const evidence = parseEvidence(text)
  return evidence && { evidence, checkpoint: checkpoint ?? null }
}
