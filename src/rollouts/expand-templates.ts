// Templates and guardrail sets made out with what a request says; what it leaves out has a name that shows what goes
// there. Pure.
import { GUARDRAIL_SET_WORDS, type GuardrailSetName, guardrailSets, type Parts } from './guardrail-sets.ts'
import type { GuardrailDraft, StageDraft } from './plan-draft.ts'
import {
  canary,
  countries,
  custom,
  geographic,
  linear,
  progressive,
  segments,
  staged,
  TEMPLATE_WORDS,
  type TemplateName,
  timed,
} from './templates.ts'

const DAY_MS = 86_400_000

/** What templates are made out with; lists are separated by commas. */
export type TemplateParameters = {
  readonly [name in 'hold' | 'percentages' | 'internal' | 'beta' | 'countries' | 'segments' | 'from' | 'to']?:
    | string
    | undefined
} & { readonly holdBack?: boolean | undefined }

/** A template with its stages. */
export type ExpandedTemplate = {
  readonly name: TemplateName
  readonly words: string
  readonly stages: readonly StageDraft[]
}

function listed(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function percentagesOf(text: string): number[] {
  return listed(text)
    .map(Number)
    .filter((percentage) => percentage > 0 && percentage <= 100)
}

/** All templates, made out. */
export function expandTemplates(parameters: TemplateParameters, now: number): readonly ExpandedTemplate[] {
  const { hold = '1d', holdBack = true, internal = 'internal', beta = 'beta-testers' } = parameters
  const { percentages, countries: codes = 'IE', segments: keys = 'power,regular,new', from, to } = parameters
  const pace = { hold, holdBack }
  const begin = from === undefined ? now : Date.parse(from)
  const end = to === undefined ? begin + 7 * DAY_MS : Math.max(Date.parse(to), begin + DAY_MS)
  const stages: { readonly [name in TemplateName]: readonly StageDraft[] } = {
    canary: canary(pace),
    progressive: progressive(pace),
    staged: staged({ internal: { segment: internal }, beta: { segment: beta }, ...pace }),
    geographic: geographic({
      regions: listed(codes).map((code) => countries(code, [code])),
      ...(percentages === undefined ? {} : { percentages: percentagesOf(percentages) }),
      ...pace,
    }),
    segments: segments({ groups: listed(keys).map((segment) => ({ segment, hold })), holdBack }),
    timed: timed({ holdBack }),
    linear: linear({ from: begin, to: end, holdBack }),
    custom: custom({ percentages: percentagesOf(percentages ?? '10,50'), ...pace }),
  }
  const names = Object.keys(stages) as TemplateName[]
  return names.map((name) => ({ name, words: TEMPLATE_WORDS[name], stages: stages[name] }))
}

/** All guardrail sets, with the metrics that play their parts. */
export function expandGuardrails(
  parts: {
    readonly [part in keyof Parts]: string | undefined
  },
): readonly {
  readonly name: GuardrailSetName
  readonly words: string
  readonly guardrails: readonly GuardrailDraft[]
}[] {
  const { error = 'error', latency = 'latency', ...others } = parts
  const named = { error, latency }
  const given: Parts = {
    ...named,
    ...(others.satisfaction === undefined ? {} : { satisfaction: others.satisfaction }),
    ...(others.critical === undefined ? {} : { critical: others.critical }),
    ...(others.crash === undefined ? {} : { crash: others.crash }),
  }
  const names = Object.keys(guardrailSets) as GuardrailSetName[]
  return names.map((name) => ({
    name,
    words: GUARDRAIL_SET_WORDS[name],
    guardrails: guardrailSets[name](given),
  }))
}
