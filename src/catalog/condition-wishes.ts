// What has to be true of single attributes so that a whole condition holds: a lot is drawn wherever one of several
// would do, so that many draws find many ways.
import {
  type AttributeCondition,
  type Condition,
  DEFAULT_UNIT,
  type Flag,
  type Serve,
} from '../engine/flag.ts'
import type { Random } from './random.ts'
import type { Surroundings } from './surroundings.ts'

/** That a condition on one attribute holds, or does not. */
export type Wish = { readonly condition: AttributeCondition; readonly wanted: boolean }

/** How many of a list of units stand for all of them. */
const MAX_UNITS = 20

function variantsOf(serve: Serve): readonly string[] {
  return 'variant' in serve ? [serve.variant] : serve.split.weights.map(({ variant }) => variant)
}

/** Draws wishes for conditions and prerequisites of one environment. */
export class WishSource {
  private readonly surroundings: Surroundings
  private readonly random: Random
  private readonly listed = new Map<readonly string[], AttributeCondition>()

  constructor(surroundings: Surroundings, random: Random) {
    this.surroundings = surroundings
    this.random = random
  }

  /** The condition that a list of targeting keys amounts to; null for an empty one. */
  isListed(units: readonly string[]): AttributeCondition | null {
    if (units.length === 0) return null
    const condition = this.listed.get(units) ?? {
      attribute: DEFAULT_UNIT,
      op: 'in',
      values: units.slice(0, MAX_UNITS),
    }
    this.listed.set(units, condition)
    return condition
  }

  /** @param within the segments on the way here, because they may lead in circles */
  forCondition(condition: Condition, wanted: boolean, within: readonly string[] = []): Wish[] {
    if ('not' in condition) return this.forCondition(condition.not, !wanted, within)
    if ('segment' in condition) return this.forSegment(condition.segment, wanted, within)
    if ('attribute' in condition) return [{ condition, wanted }]
    const children = 'all' in condition ? condition.all : condition.any
    if ('all' in condition === wanted) {
      return children.flatMap((child) => this.forCondition(child, wanted, within))
    }
    const child = this.random.pick(children)
    return child ? this.forCondition(child, wanted, within) : []
  }

  private forSegment(key: string, wanted: boolean, within: readonly string[]): Wish[] {
    const segment = within.includes(key) ? undefined : this.surroundings.segmentOf(key)
    if (!segment) return []
    const included = this.isListed(segment.included)
    const excluded = this.isListed(segment.excluded)
    const { condition } = segment
    const [sufficient, preventing] = wanted ? [included, excluded] : [excluded, included]
    if (sufficient && ((wanted && !condition) || this.random.chance(0.3))) {
      return [{ condition: sufficient, wanted: true }]
    }
    return [
      ...(preventing ? [{ condition: preventing, wanted: false }] : []),
      ...(condition ? this.forCondition(condition, wanted, [...within, key]) : []),
    ]
  }

  /** @param within the flags on the way here, because they may lead in circles */
  forPrerequisites(flag: Flag, within: readonly string[] = []): Wish[] {
    return flag.prerequisites.flatMap(({ flag: key, variants }) => {
      const prerequisite = within.includes(key) ? undefined : this.surroundings.flagOf(key)
      if (!prerequisite) return []
      const serves = (serve: Serve) => variantsOf(serve).some((variant) => variants.includes(variant))
      const { rules, fallthrough } = prerequisite
      const ways: (Condition | null)[] = rules.filter(({ serve }) => serves(serve)).map(({ when }) => when)
      if (serves(fallthrough)) ways.push(null)
      const way = this.random.pick(ways)
      return [
        ...(way ? this.forCondition(way, true) : []),
        ...this.forPrerequisites(prerequisite, [...within, key]),
      ]
    })
  }
}
