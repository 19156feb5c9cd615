import { compileCondition, type SegmentSource, traceMatch } from './compile-condition.ts'
import { compileRollout, type Place } from './compile-rollout.ts'
import { type Assign, compileSplit, NO_UNIT, NOT_SERVED } from './compile-split.ts'
import { type EvaluationContext, toUnit } from './context.ts'
import { type Assignment, type Evaluation, fail, type Reason, type Resolution } from './evaluation.ts'
import type { Flag, FlagMetadata, Serve } from './flag.ts'
import type { Matcher } from './operators.ts'
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

  of(variant: string | null, reason: Reason): Resolution {
    const id = `${reason} ${variant ?? ''}`
    const resolution = this.made.get(id) ?? this.make(variant, reason, this.flag.metadata)
    this.made.set(id, resolution)
    return resolution
  }

  /** The off variant's, because of a prerequisite. */
  without(prerequisite: string): Resolution {
    return this.make(this.flag.offVariant, 'DEFAULT', { ...this.flag.metadata, prerequisite })
  }

  private make(variant: string | null, reason: Reason, metadata: FlagMetadata): Resolution {
    const found = this.flag.variants.find(({ name }) => name === variant)
    return {
      flagKey: this.flag.key,
      reason,
      variant: found?.name,
      value: found?.value,
      metadata,
      assignment: undefined,
    }
  }
}

/** What is served: always the same, or what the unit's range says. */
type Server =
  | { readonly resolution: Resolution; readonly split: null }
  | { readonly resolution: null; readonly split: CompiledSplit }

type CompiledSplit = { readonly assign: Assign; readonly resolutions: readonly Resolution[] }

/** The split has no unit to go by, or an imported one serves it nothing. */
type Unserved = typeof NO_UNIT | typeof NOT_SERVED

function compileServe(
  serve: Serve,
  reason: Reason,
  resolutions: Resolutions,
  recorder: Recorder | null,
): Server {
  if ('variant' in serve) return { resolution: resolutions.of(serve.variant, reason), split: null }
  const split = {
    assign: compileSplit(serve.split, recorder),
    resolutions: serve.split.weights.map(({ variant }) => resolutions.of(variant, 'SPLIT')),
  }
  return { resolution: null, split }
}

function serveFrom({ resolution, split }: Server, context: EvaluationContext): Resolution | Unserved {
  if (resolution) return resolution
  const index = split.assign(context)
  return (
    split.resolutions[index < 0 ? split.resolutions.length : index] ??
    (index === NO_UNIT ? NO_UNIT : NOT_SERVED)
  )
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

function assigned(evaluation: Evaluation, assignment: Assignment | undefined): Evaluation {
  return assignment === undefined || evaluation.reason === 'ERROR'
    ? evaluation
    : { ...evaluation, assignment }
}

type CompiledRule = Server & { readonly id: string; readonly matches: Matcher }

/** All that an enabled flag's evaluator needs, and nothing of what it was made from. */
type CompiledParts = {
  readonly key: string
  readonly prerequisites: readonly CompiledPrerequisite[] | null
  readonly targets: ReadonlyMap<unknown, Resolution> | null
  readonly rules: readonly CompiledRule[]
  readonly place: Place | null
  readonly treatment: Resolution | null
  readonly fallthrough: Server
  /** For whom an imported split serves nothing; Rampart's own splits serve every unit. */
  readonly nothing: Resolution | null
}

const NO_RULES: readonly CompiledRule[] = []

function isImported(serve: Serve): boolean {
  return 'split' in serve && serve.split.bucketing !== undefined
}

function compileTargets(flag: Flag, resolutions: Resolutions): ReadonlyMap<unknown, Resolution> | null {
  const targets = new Map<unknown, Resolution>()
  for (const { variant, units } of flag.targets) {
    const resolution = resolutions.of(variant, 'TARGETING_MATCH')
    for (const unit of units) if (!targets.has(unit)) targets.set(unit, resolution)
  }
  return targets.size > 0 ? targets : null
}

function compileParts(flag: Flag, source: EntitySource, resolutions: Resolutions): CompiledParts {
  const { recorder } = source
  const prerequisites = flag.prerequisites.map(({ flag, variants }) => ({
    flag,
    variants: new Set<string | undefined>(variants),
    failed: resolutions.without(flag),
  }))
  const targets = compileTargets(flag, resolutions)
  // Written out, because a spread would give each rule a second object for what does not fit the first.
  const rules = flag.rules.map(({ id, when, serve }): CompiledRule => {
    const { resolution, split } = compileServe(serve, 'TARGETING_MATCH', resolutions, recorder)
    const matches = compileCondition(when, source)
    return resolution ? { id, matches, resolution, split: null } : { id, matches, resolution: null, split }
  })
  const bare = prerequisites.length + rules.length === 0 && !targets && !flag.rollout
  return {
    key: flag.key,
    prerequisites: prerequisites.length > 0 ? prerequisites : null,
    targets,
    rules: rules.length > 0 ? rules : NO_RULES,
    place: flag.rollout ? compileRollout(flag.rollout, source) : null,
    treatment: flag.rollout ? resolutions.of(flag.rollout.variant, 'SPLIT') : null,
    fallthrough: compileServe(flag.fallthrough, bare ? 'STATIC' : 'DEFAULT', resolutions, recorder),
    nothing: isImported(flag.fallthrough) ? resolutions.of(null, 'DEFAULT') : null,
  }
}

function compileDisabled(off: Resolution, recorder: Recorder | null): Evaluator {
  return () => {
    recorder?.addStep({ step: 'enabled', matched: false })
    return off
  }
}

function serveFallthrough(
  { key, fallthrough, nothing }: CompiledParts,
  recorder: Recorder | null,
  context: EvaluationContext,
): Evaluation {
  const served = serveFrom(fallthrough, context)
  if (recorder) {
    const split = recorder.takeBucket()
    recorder.addStep(split ? { step: 'fallthrough', split } : { step: 'fallthrough' })
  }
  if (typeof served !== 'number') return served
  if (served === NOT_SERVED && nothing) return nothing
  return fail(key, 'TARGETING_KEY_MISSING', 'the flag is split by an attribute that the context lacks')
}

function compileDecision(parts: CompiledParts, source: EntitySource): Evaluator {
  return (context, now) => {
    const { recorder } = source
    const { prerequisites, targets, rules, place, treatment } = parts
    recorder?.addStep({ step: 'enabled', matched: true })
    if (prerequisites) {
      for (const prerequisite of prerequisites) {
        if (!isMet(prerequisite, source, context, now)) return prerequisite.failed
      }
    }
    if (targets) {
      const unit = toUnit(context.targetingKey)
      const target = targets.get(unit)
      recorder?.addStep({ step: 'target', unit: unit ?? null, matched: target !== undefined })
      if (target) return target
    }
    for (const rule of rules) {
      const { id, matches } = rule
      const trace = recorder ? traceMatch(matches, recorder, context, now) : null
      const served = (trace ? trace.matched : matches(context, now)) ? serveFrom(rule, context) : NOT_SERVED
      const resolution = typeof served === 'number' ? null : served
      if (recorder && trace) {
        const split = recorder.takeBucket()
        const step = { step: 'rule', id, matched: resolution !== null, condition: trace.condition } as const
        recorder.addStep(split ? { ...step, split } : step)
      }
      if (resolution) return resolution
    }
    const placement = place?.(context, now)
    if (placement?.treated && treatment) return assigned(treatment, placement.assignment)
    return assigned(serveFallthrough(parts, recorder, context), placement?.assignment)
  }
}

/**
 * Keeps a flag that is a prerequisite of itself from being asked without end: each flag of such a circle fails,
 * whichever is asked, and is no met prerequisite for the others.
 */
function guardCycle(key: string, decide: Evaluator): Evaluator {
  const failure = () => fail(key, 'GENERAL', 'the flag is a prerequisite of itself')
  let running = false
  let circular = false
  return (context, now) => {
    if (running) {
      circular = true
      return failure()
    }
    running = true
    circular = false
    try {
      const evaluation = decide(context, now)
      return circular ? failure() : evaluation
    } finally {
      running = false
    }
  }
}

/**
 * Makes a flag's evaluator. Its order is the contract: disabled, prerequisites, single targets, rules, rollout,
 * fallthrough; each answers with its reason or passes on. The functions that last are made apart from those that
 * read the flag, because a function keeps alive whatever its neighbours could see.
 */
export function compileFlag(flag: Flag, source: EntitySource): Evaluator {
  const resolutions = new Resolutions(flag)
  if (!flag.enabled) return compileDisabled(resolutions.of(flag.offVariant, 'DISABLED'), source.recorder)
  const parts = compileParts(flag, source, resolutions)
  const decide = compileDecision(parts, source)
  return parts.prerequisites ? guardCycle(flag.key, decide) : decide
}
