// What a plan grants to whom, at the point that it has come to. Pure.
import { canonicalJson } from '../catalog/difference.ts'
import type { WatchedMetric } from '../catalog/measurement.ts'
import type { Condition, Grant } from '../engine/flag.ts'
import type { Audience, Plan } from './plan.ts'
import type { Progress } from './progress.ts'

/** A plan's audiences, and for each of its stages the place of its audience among them. */
type Layout = { readonly audiences: readonly Audience[]; readonly places: readonly number[] }

// Asked for with every block that is counted; a plan never changes once it was parsed.
const layouts = new WeakMap<Plan, Layout>()

function layOut({ stages }: Plan): Layout {
  const audiences: Audience[] = []
  const placeOf = new Map<string, number>()
  const places = stages.map(({ name, audience }) => {
    const text = canonicalJson(audience)
    const known = placeOf.get(text)
    if (known !== undefined) return known
    const place = audiences.push({ name, condition: audience }) - 1
    placeOf.set(text, place)
    return place
  })
  return { audiences, places }
}

function layoutOf(plan: Plan): Layout {
  const known = layouts.get(plan)
  if (known) return known
  const layout = layOut(plan)
  layouts.set(plan, layout)
  return layout
}

/** The distinct audiences of a plan, in order of first appearance: each one's place is its bit in a stratum. */
export function audiencesOf(plan: Plan): readonly Audience[] {
  return layoutOf(plan).audiences
}

/** The place of a stage's audience; -1 when there is no such stage. */
export function audienceAt(plan: Plan, stage: number): number {
  return layoutOf(plan).places[stage] ?? -1
}

/** The places of the audiences that have been reached so far: places go by first appearance, so they have no gaps. */
export function reachedAudiences(plan: Plan, { stage }: Pick<Progress, 'stage'>): readonly number[] {
  const count = Math.max(-1, ...layoutOf(plan).places.slice(0, stage + 1)) + 1
  return Array.from({ length: count }, (_, place) => place)
}

/** What the plan gives an audience once a stage is reached: the percentage of its latest stage so far. */
export function plannedPercentage(plan: Plan, stage: number, audience: number): number {
  const last = layoutOf(plan).places.lastIndexOf(audience, Math.max(0, stage))
  return stage < 0 ? 0 : (plan.stages[last]?.percentage ?? 0)
}

/** What an audience is given now. */
export function grantedPercentage(plan: Plan, progress: Progress, audience: number): number {
  const { stage, overrides, blocked, descent } = progress
  if (blocked.includes(audience)) return 0
  const percentage = overrides[audience] ?? plannedPercentage(plan, stage, audience)
  if (!descent || (descent.audiences !== null && !descent.audiences.includes(audience))) return percentage
  return Math.min(percentage, descent.ceiling)
}

/** An audience without those that were taken back: else a wider one would go on giving them the variant. */
function without(own: Condition | null, blocked: readonly Condition[]): Condition | null {
  if (blocked.length === 0) return own
  const others = blocked.map((condition): Condition => ({ not: condition }))
  const [only] = others
  if (own !== null) return { all: [own, ...others] }
  return others.length === 1 && only ? only : { all: others }
}

/**
 * What is granted: one grant for each audience that has been reached, in order of their places, so that their bits in a
 * stratum stay what they are. An audience that was taken back keeps its place with 0 %.
 */
export function grantsOf(plan: Plan, progress: Progress): readonly Grant[] {
  const audiences = audiencesOf(plan)
  return reachedAudiences(plan, progress).map((place) => {
    const others = progress.blocked.flatMap((other) => {
      const condition = audiences[other]?.condition
      return condition && other !== place ? [condition] : []
    })
    return {
      audience: without(audiences[place]?.condition ?? null, others),
      percentage: grantedPercentage(plan, progress, place),
    }
  })
}

/** The places of the audiences that a stratum is made of, as its tag writes them; narrowest, which owns it, first. */
export function placesIn(stratum: string): readonly number[] {
  const places: number[] = []
  // Not by bit operations: those end at 32 bits.
  for (let bits = Number.parseInt(stratum, 36), place = 0; bits >= 1; bits = Math.floor(bits / 2), place++) {
    if (bits % 2 === 1) places.push(place)
  }
  return places
}

/** The percentage of a stratum's units that get the variant: the largest that any of its audiences is given. */
export function shareOf(plan: Plan, progress: Progress, stratum: string): number {
  return Math.max(0, ...placesIn(stratum).map((place) => grantedPercentage(plan, progress, place)))
}

/** The most that anybody is given. */
export function largestPercentage(plan: Plan, progress: Progress): number {
  return Math.max(
    0,
    ...reachedAudiences(plan, progress).map((place) => grantedPercentage(plan, progress, place)),
  )
}

/** What a guardrail's observations are compared with since it was frozen; undefined before. */
export function frozenOf({ frozen }: Progress, guardrail: string): number | undefined {
  // A guardrail may be called as something that every object has.
  return Object.hasOwn(frozen, guardrail) ? frozen[guardrail] : undefined
}

/** What a measurement watches for a plan: its guardrails' metrics, each with the values that it is compared with. */
export function boundsOf(plan: Plan, progress: Progress): readonly WatchedMetric[] {
  const bounds = new Map<string, Set<number>>()
  for (const { id, metric, test } of plan.guardrails) {
    const own = bounds.get(metric) ?? new Set()
    bounds.set(metric, own)
    if (test.quantile === null) continue
    const bound = test.kind === 'threshold' ? test.limit : frozenOf(progress, id)
    if (bound !== undefined) own.add(bound)
  }
  return [...bounds].map(([metric, values]) => ({ metric, bounds: [...values].sort((a, b) => a - b) }))
}
