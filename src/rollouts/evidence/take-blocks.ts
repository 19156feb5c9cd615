// From evidence and the blocks that came since to evidence. Pure: the same blocks make the same evidence, however they
// are parted.
import { BLOCK_MS, type GuardBlock } from '../../telemetry/counting/blocks.ts'
import type { ArmTotals } from '../../telemetry/counting/totals.ts'
import type { MergedBlocks } from '../../telemetry/reading/blocks.ts'
import type { Progress } from '../progress.ts'
import { type Evidence, type GuardEvidence, NO_EVIDENCE } from './evidence.ts'
import { guardAfter } from './guards.ts'
import { lifeAfter } from './life.ts'
import { meansAfter } from './means.ts'
import { type Ground, type Process, processesOf } from './processes.ts'
import { sharesAfter, sharesInNextEpoch } from './sample-ratio.ts'
import { armsAfter, type Slot, toSlot } from './slots.ts'
import { addToTally, type BothTallies, NO_TALLIES, talliesInNextEpoch } from './tallies.ts'

/** A guard as another epoch begins: what is shown of a stage ends with the stage, what was proven goes on. */
function guardInNextEpoch(guard: GuardEvidence, isNextStage: boolean): GuardEvidence {
  const { treatment, control } = isNextStage ? NO_TALLIES : talliesInNextEpoch(guard)
  return { ...guard, treatment, control, window: [], safe: isNextStage ? null : guard.safe }
}

/** Risk sets are empty as an epoch begins, and other shares may hold. */
function inEpochOf(evidence: Evidence, { epoch, stage }: Progress): Evidence {
  if (evidence.epoch === epoch) return evidence
  const isNextStage = evidence.stage !== stage
  const guards = Array.from(
    evidence.guards,
    ([key, guard]) => [key, guardInNextEpoch(guard, isNextStage)] as const,
  )
  return {
    ...evidence,
    epoch,
    stage,
    epochs: evidence.epochs + 1,
    arms: new Map(),
    guards: new Map(guards),
    units: isNextStage ? NO_TALLIES : talliesInNextEpoch(evidence.units),
    shares: sharesInNextEpoch(evidence.shares),
  }
}

function unitsAfter({ treatment, control }: BothTallies, { strata }: Slot): BothTallies {
  let [t, c] = [0, 0]
  for (const stratum of strata) {
    t += stratum.treatment.block?.entered ?? 0
    c += stratum.control.block?.entered ?? 0
  }
  return {
    treatment: addToTally(treatment, { hits: 0, units: t }),
    control: addToTally(control, { hits: 0, units: c }),
  }
}

function takeSlot(
  evidence: Evidence,
  processes: readonly Process[],
  ground: Ground,
  block: number,
  blocks: readonly GuardBlock[],
): Evidence {
  const slot = toSlot(block, blocks, evidence.arms, ground)
  const arms = armsAfter(evidence.arms, slot)
  const guards = new Map(evidence.guards)
  for (const process of processes) {
    const guard = guards.get(process.key) ?? NO_EVIDENCE
    guards.set(process.key, guardAfter(guard, process, slot, evidence.epochs, arms))
  }
  return {
    ...evidence,
    arms,
    guards,
    units: unitsAfter(evidence.units, slot),
    shares: sharesAfter(evidence.shares, slot),
    life: lifeAfter(evidence.life, slot),
  }
}

/** The present epoch's blocks that are not taken yet, by their start, in order of time. */
function newBlocks(
  { through, epoch }: Evidence,
  merged: MergedBlocks,
): readonly (readonly [start: number, blocks: readonly GuardBlock[]])[] {
  const byStart = new Map<number, GuardBlock[]>()
  for (const block of merged.blocks) {
    const { start, stage } = block
    if (stage !== epoch || start < through || start + BLOCK_MS > merged.through) continue
    const others = byStart.get(start)
    if (others) others.push(block)
    else byStart.set(start, [block])
  }
  return [...byStart].sort(([a], [b]) => a - b)
}

/**
 * Takes in the blocks of one rollout that closed since. Blocks of another epoch than the present one do not count; those
 * that were taken before do nothing.
 * @param totals of the rollout's units, where there are guardrails of means: what those have said at most is kept
 */
export function takeBlocks(
  evidence: Evidence,
  ground: Ground,
  merged: MergedBlocks,
  totals?: readonly ArmTotals[],
): Evidence {
  const processes = processesOf(ground)
  let next = inEpochOf(evidence, ground.progress)
  for (const [start, blocks] of newBlocks(next, merged)) {
    next = takeSlot(next, processes, ground, (start - next.startedAt) / BLOCK_MS, blocks)
  }
  const through = Math.max(next.through, merged.through)
  if (through !== next.through) next = { ...next, through }
  return totals ? { ...next, guards: meansAfter(next, processes, totals) } : next
}
