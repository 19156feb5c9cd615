import { createBucketer, toBuckets } from './bucket.ts'
import { compileCondition, type Matcher, type SegmentSource } from './compile-condition.ts'
import { type Assign, compileSplit, createUnitReader, NO_UNIT, NOT_SERVED } from './compile-split.ts'
import { type EvaluationContext, toUnit } from './context.ts'
import { type Evaluation, fail, type Reason, type Resolution } from './evaluation.ts'
import type { Flag, FlagMetadata, RolloutGrants, Serve } from './flag.ts'
import type { Recorder } from './trace.ts'

/** Answers one flag for one context. Total: every fault is a failure of this flag alone. */
export type Evaluator = (context: EvaluationContext, now: number) => Evaluation

/** What a flag is compiled against; asked when it runs, so that what changes is seen at once. */
export type EntitySource = SegmentSource & {
  readonly evaluatorOf: (flag: string) => Evaluator | undefined
}

/** The resolutions of one flag, made once so that an evaluation allocates nothing. */
class Resolutions {
  private readonly made = new Map<string, Resolution>()
  private readonly flag: Flag

  constructor(flag: Flag) {
    this.flag = flag
  }

  of(variant: string | null, reason: Reason, metadata: FlagMetadata = this.flag.metadata): Resolution {
    const id = `${reason} ${variant ?? ''}`
    const known = this.made.get(id)
    if (known && metadata === this.flag.metadata) return known
    const found = this.flag.variants.find(({ name }) => name === variant)
    const resolution = {
      flagKey: this.flag.key,
      reason,
      variant: found?.name,
      value: found?.value,
      metadata,
      tag: undefined,
    }
    if (metadata === this.flag.metadata) this.made.set(id, resolution)
    return resolution
  }
}

/** What serving answers: an index of `resolutions`, NO_UNIT or NOT_SERVED. */
type Server = { readonly assign: Assign; readonly resolutions: readonly Resolution[] }

function compileServe(
  serve: Serve,
  reason: Reason,
  resolutions: Resolutions,
  recorder: Recorder | null,
): Server {
  if ('variant' in serve) return { assign: () => 0, resolutions: [resolutions.of(serve.variant, reason)] }
  return {
    assign: compileSplit(serve.split, recorder),
    resolutions: serve.split.weights.map(({ variant }) => resolutions.of(variant, 'SPLIT')),
  }
}

type CompiledPrerequisite = {
  readonly flag: string
  readonly variants: ReadonlySet<string | undefined>
  readonly failed: Resolution
}

function isMet(
  prerequisite: CompiledPrerequisite,
  source: EntitySource,
  context: EvaluationContext,
  now: number,
): boolean {
  const evaluate = () => source.evaluatorOf(prerequisite.flag)?.(context, now)
  const { recorder } = source
  const { result, steps } = recorder ? recorder.stepsOf(evaluate) : { result: evaluate(), steps: [] }
  const serves = result !== undefined && result.reason !== 'ERROR' && result.reason !== 'DISABLED'
  const variant = serves ? result.variant : undefined
  const matched = variant !== undefined && prerequisite.variants.has(variant)
  recorder?.addStep({
    step: 'prerequisite',
    flag: prerequisite.flag,
    variant: variant ?? null,
    matched,
    steps,
  })
  return matched
}

/** Where a unit stands in a rollout: its arm, and the tag by which its events are counted. */
type Placement = { readonly treated: boolean; readonly tag: string | undefined }
type Place = (context: EvaluationContext, now: number) => Placement | undefined

/** A match that is recorded on its own, for a step's trace. */
function traced(matches: Matcher, recorder: Recorder, context: EvaluationContext, now: number) {
  const { matched, conditions } = recorder.conditionsOf(() => matches(context, now))
  const [condition] = conditions
  if (!condition) throw new Error('a compiled condition reported nothing')
  return { matched, condition }
}

function compileRollout(rollout: RolloutGrants, source: EntitySource): Place {
  const { recorder } = source
  const readUnit = createUnitReader(rollout.by)
  const bucketOf = createBucketer(rollout.seed)
  const grants = rollout.grants.map(({ audience, percentage }, index) => ({
    matches: audience ? compileCondition(audience, source) : null,
    buckets: toBuckets(percentage),
    percentage,
    // A stratum is a set of grants: at most 50 of them, so that it stays exact in a number.
    bit: 2 ** index,
  }))
  return (context, now) => {
    let stratum = 0
    let share = 0
    const traces = []
    for (const { matches, buckets, bit, percentage } of grants) {
      const trace = matches && recorder ? traced(matches, recorder, context, now) : null
      const matched = trace ? trace.matched : !matches || matches(context, now)
      if (recorder) traces.push({ percentage, matched, condition: trace?.condition ?? null })
      if (!matched) continue
      stratum += bit
      if (buckets > share) share = buckets
    }
    const unit = readUnit(context)
    const bucket = unit === undefined ? undefined : bucketOf(unit)
    const treated = bucket !== undefined && bucket < share
    recorder?.addStep({
      step: 'rollout',
      id: rollout.id,
      stage: rollout.stage,
      matched: treated,
      grants: traces,
      split: { by: rollout.by, unit: unit ?? null, bucket: bucket ?? null },
    })
    if (stratum === 0 || bucket === undefined) return undefined
    if (!rollout.measured) return treated ? { treated, tag: undefined } : undefined
    return { treated, tag: `${rollout.id}.${rollout.stage}.${stratum.toString(36)}.${treated ? 't' : 'c'}` }
  }
}

function tagged(evaluation: Evaluation, tag: string | undefined): Evaluation {
  return tag === undefined || evaluation.reason === 'ERROR' ? evaluation : { ...evaluation, tag }
}

/**
 * Makes a flag's evaluator. Its order is the contract: disabled, prerequisites, single targets, rules, rollout,
 * fallthrough; each answers with its reason or passes on.
 */
export function compileFlag(flag: Flag, source: EntitySource): Evaluator {
  const { recorder } = source
  const resolutions = new Resolutions(flag)

  if (!flag.enabled) {
    const off = resolutions.of(flag.offVariant, 'DISABLED')
    return () => {
      recorder?.addStep({ step: 'enabled', matched: false })
      return off
    }
  }

  const prerequisites = flag.prerequisites.map((prerequisite) => ({
    flag: prerequisite.flag,
    variants: new Set<string | undefined>(prerequisite.variants),
    failed: resolutions.of(flag.offVariant, 'DEFAULT', { ...flag.metadata, prerequisite: prerequisite.flag }),
  }))
  const targets = new Map<unknown, Resolution>()
  for (const { variant, units } of flag.targets) {
    for (const unit of units) {
      if (!targets.has(unit)) targets.set(unit, resolutions.of(variant, 'TARGETING_MATCH'))
    }
  }
  const rules = flag.rules.map((rule) => ({
    id: rule.id,
    matches: compileCondition(rule.when, source),
    server: compileServe(rule.serve, 'TARGETING_MATCH', resolutions, recorder),
  }))
  const place = flag.rollout ? compileRollout(flag.rollout, source) : null
  const treatment = flag.rollout ? resolutions.of(flag.rollout.variant, 'SPLIT') : null
  const bare = prerequisites.length + targets.size + rules.length === 0 && !place
  const fallthrough = compileServe(flag.fallthrough, bare ? 'STATIC' : 'DEFAULT', resolutions, recorder)
  const keyMissing = fail(
    flag.key,
    'TARGETING_KEY_MISSING',
    'the flag is split by an attribute that the context lacks',
  )
  const cycle = fail(flag.key, 'GENERAL', 'the flag is a prerequisite of itself')

  const serveFallthrough = (context: EvaluationContext): Evaluation => {
    const index = fallthrough.assign(context)
    if (recorder) {
      const split = recorder.takeBucket()
      recorder.addStep(split ? { step: 'fallthrough', split } : { step: 'fallthrough' })
    }
    if (index === NO_UNIT) return keyMissing
    return fallthrough.resolutions[index] ?? resolutions.of(null, 'DEFAULT')
  }

  const decide: Evaluator = (context, now) => {
    recorder?.addStep({ step: 'enabled', matched: true })
    for (const prerequisite of prerequisites) {
      if (!isMet(prerequisite, source, context, now)) return prerequisite.failed
    }
    if (targets.size > 0) {
      const target = targets.get(context.targetingKey)
      recorder?.addStep({
        step: 'target',
        unit: toUnit(context.targetingKey) ?? null,
        matched: target !== undefined,
      })
      if (target) return target
    }
    for (const { id, matches, server } of rules) {
      const trace = recorder ? traced(matches, recorder, context, now) : null
      const index = (trace ? trace.matched : matches(context, now)) ? server.assign(context) : NOT_SERVED
      if (recorder && trace) {
        const split = recorder.takeBucket()
        const step = { step: 'rule', id, matched: index >= 0, condition: trace.condition } as const
        recorder.addStep(split ? { ...step, split } : step)
      }
      if (index < 0) continue
      const resolution = server.resolutions[index]
      if (resolution) return resolution
    }
    const placement = place?.(context, now)
    if (placement?.treated && treatment) return tagged(treatment, placement.tag)
    return tagged(serveFallthrough(context), placement?.tag)
  }

  if (prerequisites.length === 0) return decide
  let running = false
  let circular = false
  return (context, now) => {
    if (running) {
      circular = true
      return cycle
    }
    running = true
    circular = false
    try {
      const evaluation = decide(context, now)
      return circular ? cycle : evaluation
    } finally {
      running = false
    }
  }
}
