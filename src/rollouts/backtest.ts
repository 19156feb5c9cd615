// A plan's guardrails replayed over blocks of the past: when would which have been broken. Pure.
import { BLOCK_MS, type GuardBlock } from '../telemetry/counting/blocks.ts'
import { type DrillLook, lookOf, thinned } from './drill/looks.ts'
import { type Evidence, newEvidence } from './evidence/evidence.ts'
import type { Ground } from './evidence/processes.ts'
import { readEvidence } from './evidence/read-evidence.ts'
import { takeBlocks } from './evidence/take-blocks.ts'
import type { GuardReading } from './observations.ts'
import { newProgress, type Progress } from './progress.ts'

/** What is replayed: blocks of one measurement whose audiences are the plan's. */
export type BacktestRequest = {
  readonly blocks: readonly GuardBlock[]
  /** How far the rollout had come in each of its epochs, in any order; of others it is not known what was frozen. */
  readonly epochs: readonly Progress[]
}

/** What one guardrail would have done, for one audience or all together. */
export type BacktestGuard = Pick<GuardReading, 'guardrail' | 'audience' | 'since' | 'words'> & {
  /** When it would have been broken, in milliseconds since 1970; null: never. */
  readonly brokenAt: number | null
}

/** What came of a backtest. Instants are milliseconds since 1970. */
export type BacktestResult = {
  readonly from: number
  readonly through: number
  /** As it was when it was broken, or at the end. */
  readonly guards: readonly BacktestGuard[]
  /** At most 60 looks, the last one among them. */
  readonly timeline: readonly DrillLook[]
}

/** A longer past is looked at less often than every ten seconds: what is broken stays so. */
const MAX_LOOKS = 8_640

/** The blocks of one span, and the epoch that they belong to. */
type Span = { readonly epoch: number; readonly through: number; readonly blocks: readonly GuardBlock[] }

/** Blocks from one look to the next, of one epoch each: what comes of an epoch after the next has begun does not count. */
function spansOf(blocks: readonly GuardBlock[], from: number, through: number): readonly Span[] {
  const every = Math.ceil((through - from) / BLOCK_MS / MAX_LOOKS) * BLOCK_MS
  const lookAfter = ({ start }: GuardBlock) => Math.floor((start - from) / every)
  const spans: { epoch: number; look: number; through: number; blocks: GuardBlock[] }[] = []
  for (const block of [...blocks].sort((a, b) => a.start - b.start || b.stage - a.stage)) {
    const last = spans.at(-1)
    if (last && block.stage < last.epoch) continue
    const end = block.start + BLOCK_MS
    if (last && last.epoch === block.stage && last.look === lookAfter(block)) {
      last.blocks.push(block)
      last.through = end
    } else spans.push({ epoch: block.stage, look: lookAfter(block), through: end, blocks: [block] })
  }
  return spans
}

function progressIn(epoch: number, { epochs }: BacktestRequest): Progress {
  const known = epochs.find((progress) => progress.epoch === epoch)
  return known ?? { ...newProgress(), state: 'running', stage: 0, epoch }
}

/**
 * Replays a plan's guardrails over blocks of the past, with evidence that begins with them. Guardrails of means are not
 * in blocks, and say nothing.
 */
export function backtest(ground: Ground, request: BacktestRequest): BacktestResult {
  const starts = request.blocks.map(({ start }) => start)
  const from = starts.reduce((least, start) => Math.min(least, start), Number.POSITIVE_INFINITY)
  const through = starts.reduce((most, start) => Math.max(most, start + BLOCK_MS), 0)
  if (starts.length === 0) return { from: 0, through: 0, guards: [], timeline: [] }
  let evidence: Evidence = newEvidence(from)
  const guards = new Map<string, BacktestGuard>()
  const looks: DrillLook[] = []
  for (const span of spansOf(request.blocks, from, through)) {
    const then: Ground = { ...ground, progress: progressIn(span.epoch, request) }
    evidence = takeBlocks(evidence, then, span)
    const reading = readEvidence(evidence, then)
    looks.push(lookOf(reading, span.through - from))
    for (const { guardrail, audience, verdict, since, words } of reading.guards) {
      const name = `${audience ?? 'all'} ${guardrail}`
      if (guards.get(name)?.brokenAt != null) continue
      const brokenAt = verdict === 'broken' ? span.through : null
      guards.set(name, { guardrail, audience, brokenAt, since, words })
    }
  }
  return { from, through, guards: [...guards.values()], timeline: thinned(looks) }
}
