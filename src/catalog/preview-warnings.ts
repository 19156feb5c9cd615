// What a draft does that its author may not have meant. Each kind is told once, and only where the draft is the
// cause: what was so before is no news.
import { compileCondition } from '../engine/compile-condition.ts'
import { createUnitReader } from '../engine/compile-split.ts'
import type { EvaluationContext } from '../engine/context.ts'
import type { Flag, Serve } from '../engine/flag.ts'
import type { Answer } from './preview-answers.ts'
import type { Comparison, Place } from './split-moves.ts'
import type { Surroundings } from './surroundings.ts'

export type WarningCode =
  | 'moves_units'
  | 'off_variant_changes'
  | 'reaches_nobody'
  | 'shadowed_rule'
  | 'needs_unit'

export type Warning = { readonly code: WarningCode; readonly message: string }

/** What warnings are drawn from. */
export type WarningFacts = {
  readonly before: Flag
  readonly after: Flag
  readonly surroundings: Surroundings
  readonly contexts: readonly EvaluationContext[]
  readonly source: 'seen' | 'synthetic'
  /** What both answer to each context once they are enabled. */
  readonly beforeEnabled: readonly Answer[]
  readonly afterEnabled: readonly Answer[]
  readonly splits: readonly ({ readonly place: Place } & Comparison)[]
  /** The share of the units that move, 0 to 1. */
  readonly moved: number
  readonly now: number
}

const MAX_NAMED = 5

function listOf(names: readonly string[]): string {
  const more = names.length - MAX_NAMED
  return `${names.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function percent(share: number): string {
  return share < 0.000_01 ? 'less than 0.001 %' : `${Number((share * 100).toPrecision(3))} %`
}

function placeName(place: Place): string {
  return place === 'fallthrough' ? 'the fallthrough' : `rule "${place.rule}"`
}

function isDecidedAt(place: Place, { rules }: Flag, answer: Answer): boolean {
  return place === 'fallthrough' ? answer.step === 'fallthrough' : rules[answer.rule]?.id === place.rule
}

function warnOfMoves({ before, after, beforeEnabled, splits, moved }: WarningFacts): Warning[] {
  // A small sample can miss the few that a split moves; nobody moves where nobody comes.
  const moving = splits.filter(
    (split) =>
      before.enabled &&
      after.enabled &&
      split.moved > 0 &&
      beforeEnabled.some((answer) => isDecidedAt(split.place, before, answer)),
  )
  if (moved === 0 && moving.length === 0) return []
  const whole = moved > 0 ? [`${percent(moved)} of all units`] : []
  const places = moving.map((split) => `${percent(split.moved)} of those at ${placeName(split.place)}`)
  const message = `units move from one variant of a split to another: ${listOf([...whole, ...places])}`
  return [{ code: 'moves_units', message }]
}

function warnOfOffVariant({ before, after }: WarningFacts): Warning[] {
  if (before.offVariant === after.offVariant) return []
  const [from, to] = [before, after].map(({ offVariant }) =>
    offVariant === null ? "the caller's default" : `"${offVariant}"`,
  )
  const message = `wherever the flag is off or a prerequisite is not met, the answer is ${to} instead of ${from}`
  return [{ code: 'off_variant_changes', message }]
}

function isTurnedOn({ before, after }: WarningFacts): boolean {
  return after.enabled && !before.enabled
}

/** The indices of rules that decide nothing, which is news: they are new or turned on, or used to decide something. */
function findIdleRules(facts: WarningFacts): number[] {
  const { before, after, beforeEnabled, afterEnabled } = facts
  const conditions = new Map(before.rules.map(({ id, when }) => [id, JSON.stringify(when)]))
  const decided = new Set(beforeEnabled.map(({ rule }) => before.rules[rule]?.id))
  const decides = new Set(afterEnabled.map(({ rule }) => rule))
  return [...after.rules.entries()].flatMap(([index, { id, when }]) => {
    const isNews = isTurnedOn(facts) || decided.has(id) || conditions.get(id) !== JSON.stringify(when)
    return isNews && !decides.has(index) ? [index] : []
  })
}

/** Whether a context was answered before it came to a rule. */
function isAnsweredBefore({ step, rule }: Answer, index: number): boolean {
  return step === 'target' || (step === 'rule' && rule < index)
}

function warnOfRules(facts: WarningFacts): Warning[] {
  const { after, surroundings, contexts, afterEnabled, source, now } = facts
  const unmet: string[] = []
  const shadowed: string[] = []
  for (const index of findIdleRules(facts)) {
    const rule = after.rules[index]
    if (!rule) continue
    const matches = compileCondition(rule.when, surroundings)
    const met = afterEnabled.filter((_, at) => matches(contexts[at] ?? {}, now))
    const asked = met.filter(({ step }) => step !== 'off')
    if (met.length === 0) unmet.push(placeName({ rule: rule.id }))
    else if (asked.length > 0 && asked.every((answer) => isAnsweredBefore(answer, index)))
      shadowed.push(placeName({ rule: rule.id }))
  }
  const sample = `the ${contexts.length} contexts ${source === 'seen' ? 'seen lately' : 'that were made'}`
  const warnings: Warning[] = []
  if (unmet.length > 0) {
    warnings.push({ code: 'reaches_nobody', message: `none of ${sample} meets ${listOf(unmet)}` })
  }
  if (shadowed.length > 0) {
    const message = `of ${sample}, a target or an earlier rule answers all that meet ${listOf(shadowed)}`
    warnings.push({ code: 'shadowed_rule', message })
  }
  return warnings
}

/** The attribute that a place splits by in our own way; undefined when it does not. */
function unitOf(serve: Serve | undefined): string | undefined {
  return serve && 'split' in serve && !serve.split.bucketing ? serve.split.by : undefined
}

/** For each place that begins to split by an attribute, how many contexts come to it without. */
function countUnitless(facts: WarningFacts): { place: Place; by: string; count: number }[] {
  const { before, after, surroundings, contexts, afterEnabled, now } = facts
  const served = new Map(before.rules.map(({ id, serve }) => [id, serve]))
  const isNews = (by: string, previous: Serve | undefined) => isTurnedOn(facts) || unitOf(previous) !== by
  const counts: { place: Place; by: string; count: number }[] = []
  for (const [index, { id, when, serve }] of after.rules.entries()) {
    const by = unitOf(serve)
    if (by === undefined || !isNews(by, served.get(id))) continue
    const matches = compileCondition(when, surroundings)
    const read = createUnitReader(by)
    const lacking = afterEnabled.filter((answer, at) => {
      const context = contexts[at] ?? {}
      const comes = answer.step !== 'off' && !isAnsweredBefore(answer, index)
      return comes && read(context) === undefined && matches(context, now)
    })
    counts.push({ place: { rule: id }, by, count: lacking.length })
  }
  const by = unitOf(after.fallthrough)
  if (by !== undefined && isNews(by, before.fallthrough)) {
    const lacking = afterEnabled.filter(({ step }) => step === 'nobody')
    counts.push({ place: 'fallthrough', by, count: lacking.length })
  }
  return counts.filter(({ count }) => count > 0)
}

function warnOfUnits(facts: WarningFacts): Warning[] {
  // Contexts that were made have whatever is asked for.
  const places = facts.source === 'seen' ? countUnitless(facts) : []
  if (places.length === 0) return []
  const total = facts.contexts.length
  const named = places.map(
    ({ place, by, count }) => `"${by}" at ${placeName(place)} (${percent(count / total)} of ${total})`,
  )
  const message = `contexts seen lately lack the attribute that is split by: ${listOf(named)}`
  return [{ code: 'needs_unit', message }]
}

/** Warns of what a draft does beyond what it says; at most once of each kind. */
export function findWarnings(facts: WarningFacts): Warning[] {
  return [...warnOfMoves(facts), ...warnOfOffVariant(facts), ...warnOfRules(facts), ...warnOfUnits(facts)]
}
