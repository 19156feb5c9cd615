import { createAttributeReader, type EvaluationContext } from './context.ts'
import type { AttributeCondition, Condition, Segment } from './flag.ts'
import { compileOperator } from './operators.ts'
import type { Recorder } from './trace.ts'

/** Tells whether a condition holds for one context. */
export type Matcher = (context: EvaluationContext, now: number) => boolean

/** What conditions and flags are compiled against; asked when they run, so that what changes is seen at once. */
export type SegmentSource = {
  /** The segment's matcher; undefined when there is no such segment, which then holds for nobody. */
  readonly matcherOf: (segment: string) => Matcher | undefined
  readonly recorder: Recorder | null
}

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
  const holds = compiled.ok ? compiled.value : () => false
  if (!recorder) return (context, now) => holds(read(context), now)
  return (context, now) => {
    const actual = read(context)
    const matched = holds(actual, now)
    recorder.addCondition({ ...condition, matched, actual })
    return matched
  }
}

function compileGroup(kind: 'all' | 'any', conditions: readonly Condition[], source: SegmentSource): Matcher {
  const matchers = conditions.map((condition) => compileCondition(condition, source))
  const { recorder } = source
  if (recorder) {
    // An explanation shows every condition, those too that could not change the outcome any more.
    return (context, now) => {
      const { matched, conditions } = recorder.conditionsOf(() => {
        const results = matchers.map((matches) => matches(context, now))
        return kind === 'all' ? results.every(Boolean) : results.some(Boolean)
      })
      recorder.addCondition({ kind, matched, conditions })
      return matched
    }
  }
  const [only] = matchers
  if (only && matchers.length === 1) return only
  const decisive = kind === 'any'
  return (context, now) => {
    for (const matches of matchers) if (matches(context, now) === decisive) return decisive
    return !decisive
  }
}

function compileNot(condition: Condition, source: SegmentSource): Matcher {
  const matches = compileCondition(condition, source)
  const { recorder } = source
  if (!recorder) return (context, now) => !matches(context, now)
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
  const included = new Set<unknown>(segment.included)
  const excluded = new Set<unknown>(segment.excluded)
  const matches = segment.condition ? compileCondition(segment.condition, source) : () => false
  const listed = included.size + excluded.size > 0
  let running = false
  return (context, now) => {
    if (listed) {
      if (included.has(context.targetingKey)) return true
      if (excluded.has(context.targetingKey)) return false
    }
    if (running) return false
    running = true
    try {
      return matches(context, now)
    } finally {
      running = false
    }
  }
}
