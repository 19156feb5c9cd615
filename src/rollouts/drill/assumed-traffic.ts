// Blocks of a rollout that has no traffic yet, from what people expect of it. Pure.
import type { Metric } from '../../catalog/measurement.ts'
import {
  BLOCK_MS,
  type BlockMetric,
  type BoundCounts,
  type GuardBlock,
} from '../../telemetry/counting/blocks.ts'
import type { Ground } from '../evidence/processes.ts'
import { CONTROL, TREATMENT } from '../evidence/slots.ts'
import { audienceAt, boundsOf, grantedPercentage } from '../grants.ts'
import type { Plan } from '../plan.ts'
import type { Draws } from './draws.ts'

/** What people expect. */
export type AssumedTraffic = {
  readonly kind: 'assumed'
  /** Units that meet the flag for the first time, both arms together. */
  readonly unitsPerMinute: number
  /** The share of units that are hit while all is well. */
  readonly rate: number
  /** For how long, in milliseconds. */
  readonly forMs: number
}

const BLOCKS_PER_MINUTE = 60_000 / BLOCK_MS

/** The share of units above a bound: what a quantile says, and half of what a limit allows. */
function shareAbove({ guardrails }: Plan, metric: string, bound: number): number {
  const limits = guardrails.flatMap(({ test, ...guardrail }) => {
    const isLimit = test.kind === 'threshold' && test.quantile !== null && test.limit === bound
    return guardrail.metric === metric && isLimit ? [(1 - (test.quantile ?? 0)) / 2] : []
  })
  if (limits.length > 0) return Math.min(...limits)
  const compared = guardrails.find(
    ({ test, ...guardrail }) =>
      guardrail.metric === metric && test.kind === 'regression' && test.quantile !== null,
  )
  return 1 - (compared?.test.quantile ?? 0)
}

/** One arm: units come, are hit at once or never, and are at risk for a window. */
class AssumedArm {
  private readonly place: Pick<GuardBlock, 'measurement' | 'stage' | 'stratum' | 'arm'>
  private readonly windowBlocks: number
  /** By metric: units that came and were not hit, block by block. */
  private readonly unhit = new Map<string, number[]>()

  constructor(place: AssumedArm['place'], windowMs: number) {
    this.place = place
    this.windowBlocks = Math.max(1, Math.ceil(windowMs / BLOCK_MS))
  }

  block(start: number, entered: number, metrics: readonly BlockMetric[]): GuardBlock {
    return {
      ...this.place,
      start,
      firsts: entered,
      entered,
      live: entered,
      firstLive: entered,
      ignored: 0,
      metrics: metrics.map((metric) => ({ ...metric, n: metric.x + this.atRisk(metric, entered) })),
    }
  }

  private atRisk({ metric, x }: BlockMetric, entered: number): number {
    const unhit = [...(this.unhit.get(metric) ?? []), entered - x].slice(-this.windowBlocks)
    this.unhit.set(metric, unhit)
    return unhit.reduce((sum, units) => sum + units, 0)
  }
}

function drawMetric(
  { plan, progress }: Ground,
  { key, kind }: Metric,
  entered: number,
  rate: number,
  draws: Draws,
): BlockMetric {
  const isCounted = kind === 'conversion' || kind === 'count' || kind === 'error'
  const watched = boundsOf(plan, progress).find(({ metric }) => metric === key)
  const bounds = (watched?.bounds ?? []).map((bound): BoundCounts => {
    const above = draws.binomial(entered, shareAbove(plan, key, bound))
    return { bound, units: entered, unitsAbove: above, observations: entered, above }
  })
  return { metric: key, x: isCounted ? draws.binomial(entered, rate) : 0, n: 0, bounds }
}

/** Blocks as they would come to the present stage's audience, from an instant on. */
export function assumedBlocks(
  ground: Ground,
  { unitsPerMinute, rate, forMs }: AssumedTraffic,
  from: number,
  draws: Draws,
): readonly GuardBlock[] {
  const { plan, progress, metrics } = ground
  const place = Math.max(0, audienceAt(plan, progress.stage))
  const share = grantedPercentage(plan, progress, place) / 100
  const watched = [...new Set(plan.guardrails.map(({ metric }) => metric))].flatMap(
    (key) => metrics.get(key) ?? [],
  )
  const stratum = (2 ** place).toString(36)
  const arms = [
    { arm: TREATMENT, share },
    { arm: CONTROL, share: 1 - share },
  ].map((one) => ({
    ...one,
    source: new AssumedArm(
      { measurement: 'assumed', stage: progress.epoch, stratum, arm: one.arm },
      plan.windowMs,
    ),
  }))
  return Array.from({ length: Math.floor(forMs / BLOCK_MS) }, (_, index) =>
    arms.map(({ share, source }) => {
      const entered = draws.poisson((unitsPerMinute / BLOCKS_PER_MINUTE) * share)
      const counts = watched.map((metric) => drawMetric(ground, metric, entered, rate, draws))
      return source.block(from + index * BLOCK_MS, entered, counts)
    }),
  ).flat()
}
