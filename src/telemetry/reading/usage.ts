// What was counted in an environment: asked of all its shards and put together.
import type { Bindings } from '../../bindings.ts'
import { type EnvironmentActivity, overallActivity } from '../../catalog/staleness.ts'
import type { EvaluationContext } from '../../engine/context.ts'
import { isJsonObject } from '../../engine/json.ts'
import {
  type KeptContext,
  MAX_CONTEXTS,
  type UsageQuery,
  type UsageSpan,
  type UsageStep,
} from '../shard-protocol.ts'
import { askShards } from './ask-shards.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const STEP_MS: { readonly [step in UsageStep]: number } = { hour: HOUR_MS, day: DAY_MS }
/** The longest range that is answered: all hours, or all days, that are ever kept. */
const MAX_STEPS: { readonly [step in UsageStep]: number } = { hour: 15 * 24, day: 401 }

/** How many evaluations had one variant, or one reason. */
export type UsageSeries = {
  /** null: no variant, so the caller's default. */
  readonly name: string | null
  readonly evaluations: number
  /** One for each start of the usage. */
  readonly counts: readonly number[]
}

/** How one flag was used; most used first. */
export type FlagUsage = {
  readonly flag: string
  readonly evaluations: number
  readonly variants: readonly UsageSeries[]
  readonly reasons: readonly UsageSeries[]
}

/** How the flags of an environment were used; instants in milliseconds since 1970. */
export type Usage = {
  readonly step: UsageStep
  /** When each hour or day begins. */
  readonly starts: readonly number[]
  /** Most used first. */
  readonly flags: readonly FlagUsage[]
  /** Whether a shard did not answer, so that something is missing. */
  readonly partial: boolean
}

/** Counts by name, an array of one number for each start. */
class SeriesSet {
  private readonly series = new Map<string | null, number[]>()
  private readonly length: number

  constructor(length: number) {
    this.length = length
  }

  add(name: string | null, index: number, evaluations: number): void {
    const counts = this.series.get(name) ?? new Array<number>(this.length).fill(0)
    counts[index] = (counts[index] ?? 0) + evaluations
    this.series.set(name, counts)
  }

  list(): UsageSeries[] {
    return [...this.series]
      .map(([name, counts]) => ({ name, evaluations: counts.reduce((sum, count) => sum + count, 0), counts }))
      .sort(byUse((series) => series.name ?? ''))
  }
}

function byUse<T extends { readonly evaluations: number }>(nameOf: (item: T) => string) {
  return (a: T, b: T) => b.evaluations - a.evaluations || (nameOf(a) < nameOf(b) ? -1 : 1)
}

function mergeSpans(spans: readonly UsageSpan[], starts: readonly number[]): FlagUsage[] {
  const indexOf = new Map(starts.map((start, index) => [start, index]))
  const flags = new Map<string, { readonly variants: SeriesSet; readonly reasons: SeriesSet }>()
  for (const { start, flags: counted } of spans) {
    const index = indexOf.get(start)
    if (index === undefined) continue
    for (const [flag, counts] of counted) {
      const known = flags.get(flag)
      const sets = known ?? { variants: new SeriesSet(starts.length), reasons: new SeriesSet(starts.length) }
      flags.set(flag, sets)
      for (const { variant, reason, evaluations } of counts) {
        sets.variants.add(variant, index, evaluations)
        sets.reasons.add(reason, index, evaluations)
      }
    }
  }
  return [...flags]
    .map(([flag, sets]) => {
      const variants = sets.variants.list()
      const evaluations = variants.reduce((sum, series) => sum + series.evaluations, 0)
      return { flag, evaluations, variants, reasons: sets.reasons.list() }
    })
    .sort(byUse(({ flag }) => flag))
}

/**
 * Loads how flags were used, by variant and by reason, hour by hour (of the last two weeks) or day by day (of the
 * last 400). `from` and `to` are widened to whole steps; of a range that is too long, its end is answered.
 */
export async function loadUsage(
  bindings: Bindings,
  environment: string,
  { from, to, step, flag }: UsageQuery,
): Promise<Usage> {
  const width = STEP_MS[step]
  const end = Math.ceil(to / width) * width
  const begin = Math.max(Math.floor(from / width) * width, end - MAX_STEPS[step] * width)
  const length = Math.max(0, Math.round((end - begin) / width))
  const starts = Array.from({ length }, (_, index) => begin + index * width)
  const query = { from: begin, to: end, step, ...(flag === undefined ? {} : { flag }) }
  const { answers, partial } = await askShards(bindings, environment, (shard) => shard.usage(query))
  return { step, starts, flags: mergeSpans(answers.flat(), starts), partial }
}

/** Loads when every flag was evaluated last, and since when what is known: what staleness is judged by. */
export async function loadFlagActivity(
  bindings: Bindings,
  environment: string,
): Promise<EnvironmentActivity> {
  const { answers, partial } = await askShards(bindings, environment, (shard) => shard.activity())
  const begun = answers.flatMap(({ knownSince }) => knownSince ?? [])
  const uncounted = answers.flatMap(({ uncountedAt }) => uncountedAt ?? [])
  const shards = answers.map((answer) => ({ ...answer, partial: false }))
  const keys = new Set(answers.flatMap(({ flags }) => [...flags.keys()]))
  return {
    knownSince: begun.length > 0 ? Math.min(...begun) : null,
    uncountedAt: uncounted.length > 0 ? Math.max(...uncounted) : null,
    partial,
    flags: new Map(
      [...keys].flatMap((key) => {
        const activity = overallActivity(key, shards)
        return activity ? [[key, activity] as const] : []
      }),
    ),
  }
}

function parseKept({ text }: KeptContext): EvaluationContext[] {
  const context: unknown = JSON.parse(text)
  return isJsonObject(context) ? [context] : []
}

/** Loads contexts that were evaluated with in the last day, newest first: none where the environment keeps none. */
export async function loadContexts(
  bindings: Bindings,
  environment: string,
): Promise<readonly EvaluationContext[]> {
  const { answers } = await askShards(bindings, environment, (shard) => shard.contexts())
  const newest = answers.flat().sort((a, b) => b.at - a.at)
  return newest.slice(0, MAX_CONTEXTS).flatMap(parseKept)
}
