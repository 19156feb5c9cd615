// What a tick decides: a step for each rollout that something is done about, or of which there is something new to say.
import type { Bindings } from '../bindings.ts'
import type { GuardBlock } from '../telemetry/counting/blocks.ts'
import { observeShards } from '../telemetry/reading/observe-shards.ts'
import type { Loaded } from './clock-load.ts'
import { quantilesOf } from './clock-quantiles.ts'
import { groundOf, type Memory } from './clock-read.ts'
import type { Said } from './clock-store.ts'
import type { Spent, Step } from './conductor.ts'
import { decide } from './decide.ts'
import type { Decision, ReasonCode } from './decision.ts'
import { toDecisionEvidence, toReadingEvidence } from './decision-evidence.ts'
import { readEvidence } from './evidence/read-evidence.ts'
import type { Reading } from './observations.ts'
import type { Rollout } from './rollout.ts'

const MINUTE_MS = 60_000
/** Folding asks the database for each: the others are done at the next tick. */
const MAX_FINISHED = 2

/** Reasons that rest on what was counted. */
const COUNTED: readonly ReasonCode[] = ['guard_broken', 'guard_pause', 'treatment_silent', 'too_few_units']

/** A decision about a rollout, and what it was made from. */
export type Decided = {
  readonly rollout: Rollout
  readonly decision: Decision
  readonly reading: Reading | null
}

/** The newest version that is known to be published, and since when. */
export type Published = { readonly version: number; readonly at: number }

/** Decides about every rollout that is live. */
export function decideAll(
  loaded: Loaded,
  memory: Memory,
  published: Published,
  now: number,
): readonly Decided[] {
  return loaded.rollouts.map((rollout) => {
    const { id, plan, progress } = rollout
    const held = memory.held.get(id)
    const reading = held
      ? readEvidence(held.evidence, groundOf(rollout, loaded), memory.totals.get(id))
      : null
    const observations = {
      reading,
      unreadSince: memory.unreadSince,
      published,
      signals: loaded.signals.get(id) ?? [],
      notDone: loaded.notDone.get(id) ?? [],
      quantiles: quantilesOf(rollout, memory.sketches),
    }
    return { rollout, decision: decide(plan, progress, observations, now), reading }
  })
}

/** What a decision says, so that the same is not written down again and again. */
export function toSaid({ reason }: Decision, now: number): Said {
  return { what: `${reason.code} ${reason.subject ?? ''}`, at: now }
}

/** Those of the decisions that are carried out: a hold whose reason is new is written down, once a minute at most. */
export function dueOf(all: readonly Decided[], { said }: Memory, now: number): Decided[] {
  let finished = 0
  return all.filter(({ rollout, decision }) => {
    if (decision.deed === 'finish') return ++finished <= MAX_FINISHED
    if (decision.progress !== rollout.progress) return true
    const last = said.get(rollout.id)
    const isNew = last?.what !== toSaid(decision, now).what
    return isNew && now - (last?.at ?? 0) >= MINUTE_MS
  })
}

function needsProof({ decision, reading }: Decided): boolean {
  const { deed, reason } = decision
  return (deed === 'rollback' || deed === 'pause') && reading !== null && COUNTED.includes(reason.code)
}

/** The raw blocks since the checkpoints of some rollouts; null when a shard cannot be read: nothing waits for that. */
async function loadProof(
  bindings: Bindings,
  environment: string,
  { shards }: Loaded,
  { held }: Memory,
  ids: readonly string[],
  spent: Spent,
): Promise<ReadonlyMap<string, readonly GuardBlock[]> | null> {
  const from = Math.min(...ids.map((id) => held.get(id)?.checkpoint?.through ?? Number.POSITIVE_INFINITY))
  if (!Number.isFinite(from)) return null
  try {
    spent.calls += shards
    const query = { blocks: { from, measurements: ids }, totals: [], series: [] }
    const { blocks } = (await observeShards(bindings, environment, shards, query)).blocks
    const byRollout = Map.groupBy(blocks, ({ measurement }) => measurement)
    return new Map(ids.map((id) => [id, byRollout.get(id) ?? []]))
  } catch (error) {
    console.warn('blocks of a decision not read', { environment, error: String(error) })
    return null
  }
}

/** Makes steps of decisions, with what they were made from. */
export async function toSteps(
  bindings: Bindings,
  environment: string,
  loaded: Loaded,
  memory: Memory,
  due: readonly Decided[],
  spent: Spent,
): Promise<Step[]> {
  const proved = due.filter(needsProof).map(({ rollout }) => rollout.id)
  const proof =
    proved.length > 0 ? await loadProof(bindings, environment, loaded, memory, proved, spent) : null
  return Promise.all(
    due.map(async (decided): Promise<Step> => {
      const { rollout, decision, reading } = decided
      const checkpoint = memory.held.get(rollout.id)?.checkpoint
      if (reading && checkpoint && needsProof(decided)) {
        const blocks = proof?.get(rollout.id) ?? null
        const totals = memory.totals.get(rollout.id) ?? []
        const ground = groundOf(rollout, loaded)
        const evidence = await toDecisionEvidence(ground, reading, checkpoint, blocks, totals)
        return { rollout, decision, reading, evidence }
      }
      const isSaid = decision.deed === 'advance' || decision.deed === 'complete'
      return { rollout, decision, reading, evidence: isSaid && reading ? toReadingEvidence(reading) : null }
    }),
  )
}
