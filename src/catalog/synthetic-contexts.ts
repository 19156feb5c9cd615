// Contexts for a flag of which none, or too few, have been seen. They are no picture of the traffic: each is made
// for one condition, so that every rule, target, segment and grant is met by some of them, however rare in truth.
import { type EvaluationContext, toUnit } from '../engine/context.ts'
import { type AttributeCondition, type Condition, DEFAULT_UNIT, type Flag } from '../engine/flag.ts'
import { type ConditionExamples, createExamples, pickValue } from './condition-examples.ts'
import { type Wish, WishSource } from './condition-wishes.ts'
import { createRandom, type Random } from './random.ts'
import type { Surroundings } from './surroundings.ts'

export type SyntheticOptions = {
  /** The flag as it is and as it may become. */
  readonly flags: readonly Flag[]
  readonly surroundings: Surroundings
  readonly size: number
  /** Milliseconds since 1970. */
  readonly now: number
  readonly seed: number
}

/** By which attributes a flag buckets units. */
function unitsOf({ rules, rollout, fallthrough }: Flag): string[] {
  const splits = [...rules.map(({ serve }) => serve), fallthrough].flatMap((serve) =>
    'split' in serve ? [serve.split.by] : [],
  )
  return rollout ? [...splits, rollout.by] : splits
}

/** The flags themselves, and all that are prerequisites of them. */
function withPrerequisites(flags: readonly Flag[], { flagOf }: Surroundings): readonly Flag[] {
  const known = new Map<string, Flag>()
  const visit = (flag: Flag) => {
    for (const { flag: key } of flag.prerequisites) {
      const prerequisite = known.has(key) ? undefined : flagOf(key)
      if (!prerequisite) continue
      known.set(key, prerequisite)
      visit(prerequisite)
    }
  }
  flags.forEach(visit)
  return [...flags, ...known.values()]
}

/** What decides between the steps of some flags: the conditions of rules and grants, and the lists of targets. */
function collectRoots(flags: readonly Flag[], wishes: WishSource): Condition[] {
  const conditions = flags.flatMap(({ rules, targets, rollout }) => [
    ...rules.map(({ when }) => when),
    ...targets.map(({ units }) => wishes.isListed(units)),
    ...(rollout?.grants ?? []).map(({ audience }) => audience),
  ])
  return distinct(conditions.filter((condition) => condition !== null))
}

function distinct(conditions: readonly Condition[]): Condition[] {
  return [...new Map(conditions.map((condition) => [JSON.stringify(condition), condition])).values()]
}

/** Some conditions and all that are within them or their segments, what lists of units amount to included. */
function unfold(roots: readonly Condition[], surroundings: Surroundings, wishes: WishSource): Condition[] {
  const known = new Map<string, Condition>()
  const visit = (condition: Condition | null) => {
    const text = JSON.stringify(condition)
    if (!condition || known.has(text)) return
    known.set(text, condition)
    if ('all' in condition) condition.all.forEach(visit)
    else if ('any' in condition) condition.any.forEach(visit)
    else if ('not' in condition) visit(condition.not)
    else if ('segment' in condition) {
      const segment = surroundings.segmentOf(condition.segment)
      visit(segment?.condition ?? null)
      visit(wishes.isListed(segment?.included ?? []))
      visit(wishes.isListed(segment?.excluded ?? []))
    }
  }
  roots.forEach(visit)
  return [...known.values()]
}

/** Makes contexts one by one. */
class ContextMaker {
  private readonly examples = new Map<AttributeCondition, ConditionExamples>()
  /** By attribute: all that conditions on it have as examples. */
  private readonly values = new Map<string, unknown[]>()
  private readonly units: ReadonlySet<string>
  private readonly now: number
  private readonly random: Random

  constructor(units: readonly string[], conditions: readonly Condition[], now: number, random: Random) {
    this.units = new Set([DEFAULT_UNIT, ...units])
    this.now = now
    this.random = random
    for (const condition of conditions) {
      if (!('attribute' in condition)) continue
      const { attribute } = condition
      const { met, unmet } = this.examplesOf(condition)
      const values = [...met, ...unmet].filter(
        (value) => !this.units.has(attribute) || toUnit(value) !== undefined,
      )
      this.values.set(attribute, [...(this.values.get(attribute) ?? []), ...values])
    }
  }

  make(wishes: readonly Wish[]): EvaluationContext {
    const { random } = this
    const context = new Map<string, unknown>()
    for (const [attribute, wished] of Map.groupBy(wishes, ({ condition }) => condition.attribute)) {
      const wanted = wished.map(({ condition, wanted }) => ({ examples: this.examplesOf(condition), wanted }))
      const unit = this.units.has(attribute) ? this.makeUnit() : undefined
      const unitWill =
        unit !== undefined && wanted.every(({ examples, wanted }) => examples.holds(unit) === wanted)
      context.set(attribute, unitWill ? unit : pickValue(wanted, random))
    }
    // Contexts that say little meet the late rules, those that say much meet several conditions at once.
    const density = random.pick([0, 0.25, 0.5, 1]) ?? 0
    for (const [attribute, values] of this.values) {
      const probability = this.units.has(attribute) ? density / 4 : density
      if (!context.has(attribute) && random.chance(probability)) context.set(attribute, random.pick(values))
    }
    for (const unit of this.units) if (!context.has(unit)) context.set(unit, this.makeUnit())
    // A path finds an attribute of that very name too, and one that is undefined is lacking.
    return Object.fromEntries(context)
  }

  private makeUnit(): string {
    return `unit-${this.random.below(2 ** 32).toString(16)}`
  }

  private examplesOf(condition: AttributeCondition): ConditionExamples {
    const examples = this.examples.get(condition) ?? createExamples(condition, this.now, this.random)
    this.examples.set(condition, examples)
    return examples
  }
}

/** Which of `count` things comes at a place out of `size`: all of them in turn, or some from all over. */
function turnOf(index: number, count: number, size: number): number {
  return count <= size ? index % count : Math.floor((index * count) / size)
}

/**
 * Makes contexts that meet, each on its own and in many combinations, the conditions of some flags and of the
 * segments and prerequisites that they name. The same options always make the same contexts.
 */
export function createSyntheticContexts(options: SyntheticOptions): EvaluationContext[] {
  const { flags, surroundings, size, now, seed } = options
  const random = createRandom(seed)
  const source = new WishSource(surroundings, random)
  const all = withPrerequisites(flags, surroundings)
  const roots = collectRoots(all, source)
  const conditions = unfold(roots, surroundings, source)
  const maker = new ContextMaker(all.flatMap(unitsOf), conditions, now, random)
  const goals = [[null, ...roots], conditions]
  return Array.from({ length: size }, (_, index) => {
    const kind = goals[index % 2] ?? []
    const goal = kind[turnOf(Math.floor(index / 2), kind.length, Math.ceil(size / 2))]
    const flag = random.chance(0.8) ? random.pick(flags) : undefined
    return maker.make([
      ...(goal ? source.forCondition(goal, true) : []),
      ...(flag ? source.forPrerequisites(flag) : []),
    ])
  })
}
