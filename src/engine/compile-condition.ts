import { type AttributeReader, createAttributeReader, type EvaluationContext, toUnit } from './context.ts'
import type { AttributeCondition, Condition, Segment } from './flag.ts'
import { compileOperator, type Matcher, type MatcherMaker } from './operators.ts'
import type { Recorder } from './trace.ts'

/** What conditions and flags are compiled against; asked when they run, so that what changes is seen at once. */
export type SegmentSource = {
  /** The segment's matcher; undefined when there is no such segment, which then holds for nobody. */
  readonly matcherOf: (segment: string) => Matcher | undefined
  readonly recorder: Recorder | null
}

const NEVER: Matcher = () => false

/** Makes a condition's matcher. */
export function compileCondition(condition: Condition, source: SegmentSource): Matcher {
  if ('all' in condition) return compileGroup('all', condition.all, source)
  if ('any' in condition) return compileGroup('any', condition.any, source)
  if ('not' in condition) return compileNot(condition.not, source)
  if ('segment' in condition) return compileSegmentReference(condition.segment, source)
  return compileAttribute(condition, source)
}

function compileAttribute(condition: AttributeCondition, { recorder }: SegmentSource): Matcher {
  const read = createAttributeReader(condition.attribute)
  const compiled = compileOperator(condition.op, condition.values)
  if (!compiled.ok) return NEVER
  return recorder ? recordAttribute(condition, read, compiled.value, recorder) : compiled.value(read)
}

function recordAttribute(
  condition: AttributeCondition,
  read: AttributeReader,
  makeMatcher: MatcherMaker,
  recorder: Recorder,
): Matcher {
  let actual: unknown
  const matches = makeMatcher(() => actual)
  return (context, now) => {
    actual = read(context)
    const matched = matches(context, now)
    recorder.addCondition({ ...condition, matched, actual })
    return matched
  }
}

function compileGroup(kind: 'all' | 'any', conditions: readonly Condition[], source: SegmentSource): Matcher {
  const matchers = conditions.map((condition) => compileCondition(condition, source))
  if (source.recorder) return recordGroup(kind, matchers, source.recorder)
  const [only] = matchers
  return only && matchers.length === 1 ? only : matchGroup(kind === 'any', matchers)
}

function matchGroup(decisive: boolean, matchers: readonly Matcher[]): Matcher {
  return (context, now) => {
    for (const matches of matchers) if (matches(context, now) === decisive) return decisive
    return !decisive
  }
}

/** An explanation shows every condition, those too that could not change the outcome any more. */
function recordGroup(kind: 'all' | 'any', matchers: readonly Matcher[], recorder: Recorder): Matcher {
  return (context, now) => {
    const { matched, conditions } = recorder.conditionsOf(() => {
      const results = matchers.map((matches) => matches(context, now))
      return kind === 'all' ? results.every(Boolean) : results.some(Boolean)
    })
    recorder.addCondition({ kind, matched, conditions })
    return matched
  }
}

function compileNot(condition: Condition, source: SegmentSource): Matcher {
  const matches = compileCondition(condition, source)
  return source.recorder ? recordNot(matches, source.recorder) : matchNot(matches)
}

function matchNot(matches: Matcher): Matcher {
  return (context, now) => !matches(context, now)
}

function recordNot(matches: Matcher, recorder: Recorder): Matcher {
  return (context, now) => {
    const { matched, conditions } = recorder.conditionsOf(() => matches(context, now))
    recorder.addCondition({ kind: 'not', matched: !matched, conditions })
    return !matched
  }
}

function compileSegmentReference(segment: string, source: SegmentSource): Matcher {
  const { recorder } = source
  if (!recorder) return (context, now) => source.matcherOf(segment)?.(context, now) ?? false
  return (context, now) => {
    const { matched, conditions } = recorder.conditionsOf(
      () => source.matcherOf(segment)?.(context, now) ?? false,
    )
    recorder.addCondition({ kind: 'segment', segment, matched, conditions })
    return matched
  }
}

/** Makes a segment's matcher; one that comes back to itself through other segments holds for nobody there. */
export function compileSegment(segment: Segment, source: SegmentSource): Matcher {
  const matches = segment.condition ? compileCondition(segment.condition, source) : null
  const listed = segment.included.length + segment.excluded.length > 0
  const guarded = matches ? guardCycle(matches) : () => false
  return listed ? matchListed(new Set(segment.included), new Set(segment.excluded), guarded) : guarded
}

function guardCycle(matches: Matcher): Matcher {
  let running = false
  return (context, now) => {
    if (running) return false
    running = true
    try {
      return matches(context, now)
    } finally {
      running = false
    }
  }
}

function matchListed(
  included: ReadonlySet<unknown>,
  excluded: ReadonlySet<unknown>,
  matches: Matcher,
): Matcher {
  return (context, now) => {
    const unit = toUnit(context.targetingKey)
    if (included.has(unit)) return true
    return !excluded.has(unit) && matches(context, now)
  }
}

/** Runs a recording matcher, and answers the condition that it recorded. */
export function traceMatch(matches: Matcher, recorder: Recorder, context: EvaluationContext, now: number) {
  const { matched, conditions } = recorder.conditionsOf(() => matches(context, now))
  const [condition] = conditions
  if (!condition) throw new Error('a compiled condition reported nothing')
  return { matched, condition }
}
