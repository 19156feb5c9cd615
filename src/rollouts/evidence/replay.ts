// Evidence from a checkpoint and the blocks since: what a decision was made from, years later. Pure.
import { err, ok, type Result } from '../../engine/result.ts'
import type { MergedBlocks } from '../../telemetry/reading/blocks.ts'
import type { Evidence } from './evidence.ts'
import { parseEvidence } from './packed.ts'
import type { Ground } from './processes.ts'
import { takeBlocks } from './take-blocks.ts'

/**
 * Makes the evidence again that there was, bit for bit, from a checkpoint and the blocks that were taken since; all of
 * one epoch, so that one ground holds. What means had said at most is as it was at the checkpoint.
 */
export function replay(
  checkpoint: string,
  ground: Ground,
  blocks: MergedBlocks,
): Result<Evidence, 'unreadable_checkpoint'> {
  const evidence = parseEvidence(checkpoint)
  return evidence ? ok(takeBlocks(evidence, ground, blocks)) : err('unreadable_checkpoint')
}
