// The fire drill: what would happen if the treated began to fare worse now. Real counts are changed in a copy, and
// judged and decided by what judges and decides in earnest. Pure; nothing outside it changes.
import { err, ok, type Result } from '../engine/result.ts'
import { BLOCK_MS, type GuardBlock } from '../telemetry/counting/blocks.ts'
import { decide } from './decide.ts'
import type { Decision, Deed, Reason } from './decision.ts'
import { type AssumedTraffic, assumedBlocks } from './drill/assumed-traffic.ts'
import { Draws } from './drill/draws.ts'
import { type DrillLook, lookOf, thinned } from './drill/looks.ts'
import { Worsener } from './drill/worsening.ts'
import { type Evidence, newEvidence } from './evidence/evidence.ts'
import { type Ground, processesOf } from './evidence/processes.ts'
import { readEvidence } from './evidence/read-evidence.ts'
import { TREATMENT } from './evidence/slots.ts'
import { takeBlocks } from './evidence/take-blocks.ts'
import type { GuardReading, Observations, Reading } from './observations.ts'
import type { GuardAction } from './plan.ts'
import { newProgress, type Progress } from './progress.ts'

/** The traffic that a drill is laid over: real blocks, as they came one after the other, or what is expected. */
export type DrillTraffic =
  | { readonly kind: 'blocks'; readonly blocks: readonly GuardBlock[] }
  | AssumedTraffic

/** What is rehearsed. */
export type DrillRequest = {
  /** Of a rollout that has not begun, or to rehearse another stage than the present one: that stage's place. */
  readonly stage: number | null
  /** The guardrail whose metric gets worse. */
  readonly guardrail: string
  /** The audience that it happens to, by its place; null: all. */
  readonly audience: number | null
  /** How many times as many units are hit; of latencies and resources, how many times as much they take. */
  readonly size: number
  readonly traffic: DrillTraffic
  readonly seed: number
}

/** What came of a drill. */
export type DrillResult = {
  /** What would have been done, and why; null: nothing, for as long as there was traffic. */
  readonly trip: {
    readonly afterMs: number
    /** What decided; null: a silence. */
    readonly guardrail: string | null
    readonly audience: number | null
    readonly deed: Deed | GuardAction
    readonly reason: Reason
  } | null
  /** How long it was rehearsed. */
  readonly lastedMs: number
  /** After how long the stage would have been left, if it was before the trip. */
  readonly advancedAfterMs: number | null
  /** Treated units that came in the meantime, those that were hit, and how many of these only because of the drill. */
  readonly units: { readonly came: number; readonly hit: number; readonly extra: number }
  /** At most 60 looks, the last one among them. */
  readonly timeline: readonly DrillLook[]
}

/** Why nothing can be rehearsed. */
export type DrillError =
  | { readonly reason: 'unknown_guardrail'; readonly guardrail: string }
  /** Means are not in blocks, and a metric that is gone, or a value that is not frozen yet, says nothing. */
  | { readonly reason: 'not_in_blocks'; readonly guardrail: string }
  | { readonly reason: 'unknown_stage'; readonly stage: number }
  /** No unit of the stage is treated, or none of those that the traffic knows. */
  | { readonly reason: 'nobody_treated' }
  /** There are no blocks, or they end at once. */
  | { readonly reason: 'no_traffic' }

/** Deeds that leave a stage behind. */
const LEAVING: readonly Deed[] = ['advance', 'complete', 'finish']

/** What stands for a control's quantile that nobody knows yet. */
const SOME_VALUE = 1

function withFrozen({ plan }: Ground, progress: Progress): Progress {
  const missing = plan.guardrails.flatMap(({ id, test }) => {
    const isFrozen =
      test.kind === 'regression' && test.quantile !== null && !Object.hasOwn(progress.frozen, id)
    return isFrozen ? [[id, SOME_VALUE] as const] : []
  })
  return { ...progress, frozen: { ...progress.frozen, ...Object.fromEntries(missing) } }
}

/** The progress that is rehearsed: the present one, or as it is when another stage begins. */
function rehearsed(ground: Ground, { stage, traffic }: DrillRequest, at: number): Progress {
  const { progress } = ground
  const isPresent = progress.stage >= 0 && (stage === null || stage === progress.stage)
  const begun: Progress = isPresent
    ? { ...progress, state: 'running', pausedAt: null }
    : { ...newProgress(), state: 'running', stage: stage ?? 0, epoch: progress.epoch + 1, startedAt: at }
  const granted = { ...begun, grantedAt: begun.grantedAt ?? at, publishedAt: begun.publishedAt ?? at }
  return traffic.kind === 'assumed' ? withFrozen(ground, granted) : granted
}

/** Real blocks as if they came now: in the present epoch, one after the other from an instant on. */
function movedTo(blocks: readonly GuardBlock[], epoch: number, from: number): readonly GuardBlock[] {
  const first = blocks.reduce((least, { start }) => Math.min(least, start), Number.POSITIVE_INFINITY)
  return blocks.map((block) => ({ ...block, stage: epoch, start: block.start - first + from, firsts: 0 }))
}

function byBlock(blocks: readonly GuardBlock[], from: number): readonly (readonly GuardBlock[])[] {
  const slots: GuardBlock[][] = []
  for (const block of blocks) {
    const index = (block.start - from) / BLOCK_MS
    const slot = slots[index]
    if (slot) slot.push(block)
    else slots[index] = [block]
  }
  return Array.from(slots, (slot) => slot ?? [])
}

/** All that is as well as it can be, but for what is read. */
function observed(reading: Reading, { grantedVersion, publishedAt }: Progress): Observations {
  const published = { version: grantedVersion ?? 0, at: publishedAt ?? 0 }
  return { reading, unreadSince: null, published, signals: [], notDone: [], quantiles: {} }
}

function nameOf({ guardrail, audience }: Pick<GuardReading, 'guardrail' | 'audience'>): string {
  return `${audience ?? 'all'} ${guardrail}`
}

function brokenIn({ guards }: Reading): readonly GuardReading[] {
  return guards.filter(({ verdict }) => verdict === 'broken')
}

type Trip = NonNullable<DrillResult['trip']>

/** What a look would have had done that nothing had before the drill. */
function tripOf(
  { plan }: Ground,
  reading: Reading,
  { deed, reason }: Decision,
  before: ReadonlySet<string>,
  afterMs: number,
): Trip | null {
  const broken = brokenIn(reading).filter((guard) => !before.has(nameOf(guard)))
  const isDone = deed === 'rollback' || deed === 'pause'
  const deciding = broken.find(({ guardrail }) => guardrail === reason.subject)
  if (isDone && deciding) {
    return { afterMs, guardrail: deciding.guardrail, audience: deciding.audience, deed, reason }
  }
  if (isDone && reason.code === 'treatment_silent') {
    return { afterMs, guardrail: null, audience: null, deed, reason }
  }
  const [first] = broken
  const guardrail = plan.guardrails.find(({ id }) => id === first?.guardrail)
  if (!first || !guardrail) return null
  return {
    afterMs,
    guardrail: first.guardrail,
    audience: first.audience,
    deed: guardrail.action,
    reason: { code: 'guard_broken', subject: first.guardrail, words: first.words },
  }
}

/** The progress after a decision: what was confirmed and told counts, but another stage is another drill. */
function inStage(progress: Progress, { progress: next }: Decision): Progress {
  return next.stage === progress.stage && next.epoch === progress.epoch && next.state === progress.state
    ? next
    : progress
}

function run(
  ground: Ground,
  evidence: Evidence,
  slots: readonly (readonly GuardBlock[])[],
  worsener: Worsener,
): DrillResult {
  const { plan } = ground
  const from = evidence.through
  const before = new Set(brokenIn(readEvidence(evidence, ground)).map(nameOf))
  let [now, progress, trip, came] = [evidence, ground.progress, null as Trip | null, 0]
  let advancedAfterMs: number | null = null
  const looks: DrillLook[] = []
  for (const [index, blocks] of slots.entries()) {
    const afterMs = (index + 1) * BLOCK_MS
    const worse = worsener.worsen(from + index * BLOCK_MS, blocks)
    came += worse.reduce((sum, { arm, entered }) => sum + (arm === TREATMENT ? entered : 0), 0)
    now = takeBlocks(now, { ...ground, progress }, { through: from + afterMs, blocks: worse })
    const reading = readEvidence(now, { ...ground, progress })
    const decision = decide(plan, progress, observed(reading, progress), from + afterMs)
    looks.push(lookOf(reading, afterMs))
    if (LEAVING.includes(decision.deed)) advancedAfterMs ??= afterMs
    trip = tripOf(ground, reading, decision, before, afterMs)
    if (trip) break
    progress = inStage(progress, decision)
  }
  return {
    trip,
    lastedMs: looks.length * BLOCK_MS,
    advancedAfterMs,
    units: { came, hit: worsener.hits, extra: worsener.extra },
    timeline: thinned(looks),
  }
}

/**
 * Rehearses a regression: blocks of the present epoch, or what is expected, are changed from the first one on, and looked
 * at every ten seconds until something would be done or they end.
 * @param evidence as it stands; null: there is none yet. A drill goes on from where it ends
 * @param now milliseconds since 1970
 */
export function rehearse(
  ground: Ground,
  evidence: Evidence | null,
  request: DrillRequest,
  now: number,
): Result<DrillResult, DrillError> {
  const { guardrail, audience, size, seed, traffic } = request
  const { plan } = ground
  const found = plan.guardrails.find(({ id }) => id === guardrail)
  if (!found) return err({ reason: 'unknown_guardrail', guardrail })
  const stage = request.stage ?? Math.max(0, ground.progress.stage)
  if (!plan.stages[stage]) return err({ reason: 'unknown_stage', stage })
  const progress = rehearsed(ground, request, now)
  const sandbox: Ground = { ...ground, progress }
  const isPresent = progress.epoch === ground.progress.epoch
  const begun = (isPresent ? evidence : null) ?? newEvidence(now)
  const method = processesOf(sandbox).find((process) => process.guardrail.id === guardrail)?.method
  if (!method || method.kind === 'means' || method.kind === 'none') {
    return err({ reason: 'not_in_blocks', guardrail })
  }
  const draws = new Draws(seed)
  const blocks =
    traffic.kind === 'assumed'
      ? assumedBlocks(sandbox, traffic, begun.through, draws)
      : movedTo(traffic.blocks, progress.epoch, begun.through)
  if (blocks.length === 0) return err({ reason: 'no_traffic' })
  if (!blocks.some(({ arm }) => arm === TREATMENT)) return err({ reason: 'nobody_treated' })
  const bound = method.kind === 'entries' ? null : method.bound
  const worsener = new Worsener({ metric: found.metric, bound, size, audience }, blocks, draws)
  return ok(run(sandbox, begun, byBlock(blocks, begun.through), worsener))
}
