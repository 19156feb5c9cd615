// Who answers, and who decided it. The engine's own evaluator runs a copy of the flag in which every place that can
// serve a variant serves one under a name of its own, so that the name that comes back tells the place at full speed.
import { compileFlag, type EntitySource } from '../engine/compile-flag.ts'
import type { EvaluationContext } from '../engine/context.ts'
import type { Flag, Serve, Variant } from '../engine/flag.ts'

/** What one context is answered, and which step of the evaluation decided it. */
export type Answer = {
  /** null: the caller's default applies. */
  readonly variant: string | null
  /** `nobody`: no step served anything, as a split without its unit. */
  readonly step: 'off' | 'target' | 'rule' | 'rollout' | 'fallthrough' | 'nobody'
  /** Whether a split chose the variant. */
  readonly split: boolean
  /** The index of the rule that decided; -1 when none did. */
  readonly rule: number
}

const NOBODY: Answer = { variant: null, step: 'nobody', split: false, rule: -1 }

/** The copy, and what each of its variants stands for. */
function nameAnswers(flag: Flag): { readonly named: Flag; readonly answers: ReadonlyMap<string, Answer> } {
  const answers = new Map<string, Answer>()
  const name = (variant: string | null, step: Answer['step'], split = false, rule = -1) => {
    const key = String(answers.size)
    answers.set(key, { variant, step, split, rule })
    return key
  }
  const nameServe = (serve: Serve, step: Answer['step'], rule = -1): Serve => {
    if ('variant' in serve) return { variant: name(serve.variant, step, false, rule) }
    const weights = serve.split.weights.map(({ variant, weight }) => ({
      variant: name(variant, step, true, rule),
      weight,
    }))
    return { split: { ...serve.split, weights } }
  }
  const { targets, rules, rollout, fallthrough } = flag
  const places = {
    offVariant: name(flag.offVariant, 'off'),
    targets: targets.map(({ variant, units }) => ({ variant: name(variant, 'target'), units })),
    rules: rules.map((rule, index) => ({ ...rule, serve: nameServe(rule.serve, 'rule', index) })),
    rollout: rollout && { ...rollout, variant: name(rollout.variant, 'rollout') },
    fallthrough: nameServe(fallthrough, 'fallthrough'),
  }
  const variants: Variant[] = [...answers.keys()].map((name) => ({ name, value: name }))
  return { named: { ...flag, ...places, type: 'string', variants }, answers }
}

/** What a flag answers to each context in turn. */
export function answersOf(
  flag: Flag,
  source: EntitySource,
  contexts: readonly EvaluationContext[],
  now: number,
): Answer[] {
  const { named, answers } = nameAnswers(flag)
  const evaluate = compileFlag(named, source)
  return contexts.map((context) => {
    const evaluation = evaluate(context, now)
    const name = evaluation.reason === 'ERROR' ? undefined : evaluation.variant
    return answers.get(name ?? '') ?? NOBODY
  })
}
