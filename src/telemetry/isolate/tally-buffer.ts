// What an isolate has counted and not yet sent. Pure: time is passed in.
import type { EvaluationContext } from '../../engine/context.ts'
import type { Evaluation } from '../../engine/evaluation.ts'
import type { KeptContext, Tallied } from '../shard-protocol.ts'

const MINUTE_MS = 60_000
/** What is counted beyond this, while nothing can be sent, is only known to have happened. */
export const MAX_COUNTERS = 20_000
/** The largest context that is kept, in bytes of UTF-8. */
export const MAX_CONTEXT_BYTES = 4_096
const CONTEXT_INTERVAL_MS = 1_000
const MAX_UNSENT_CONTEXTS = 60

type Counter = { readonly variant: string | null; readonly reason: string; evaluations: number }
type Flags = Map<string, Counter[]>

/** The JSON text of a context; undefined when it has none, as one that came over RPC may, or is too large. */
function toText(context: EvaluationContext): string | undefined {
  try {
    const text = JSON.stringify(context)
    const isSmall = text.length <= MAX_CONTEXT_BYTES
    return isSmall && new TextEncoder().encode(text).length <= MAX_CONTEXT_BYTES ? text : undefined
  } catch {
    return undefined
  }
}

/** Counts the evaluations of one environment by minute, flag, variant and reason; its size is bounded. */
export class TallyBuffer {
  private minutes = new Map<number, Flags>()
  private minute = Number.NaN
  private flags: Flags = new Map()
  /** The minute's counters by the evaluation itself: the engine answers with the same few objects again and again. */
  private seen = new Map<Evaluation, Counter>()
  private counters = 0
  private uncounted = false
  private contexts: KeptContext[] | null = null
  private contextAt = Number.NEGATIVE_INFINITY
  private since: number | undefined

  /** When the first of what is here was counted, in milliseconds since 1970; undefined when there is nothing. */
  get oldestAt(): number | undefined {
    return this.since
  }

  /** Counts evaluations at one instant; those of flags that do not exist are left out, as their names never end. */
  count(evaluations: readonly Evaluation[], now: number): void {
    this.turnTo(now)
    for (const evaluation of evaluations) {
      const seen = this.seen.get(evaluation)
      if (seen) seen.evaluations++
      else this.countAnew(evaluation, now)
    }
  }

  /** Notes that flags were evaluated out of sight. */
  miss(now: number): void {
    this.uncounted = true
    this.since ??= now
  }

  /** Says whether the environment keeps contexts; if not, those that are here are forgotten. */
  allowContexts(allowed: boolean): void {
    if (!allowed) this.contexts = null
    else this.contexts ??= []
  }

  /** Keeps a context along where that is allowed, at most one a second, and none that is large. */
  keep(context: EvaluationContext, now: number): void {
    if (this.contexts === null || now - this.contextAt < CONTEXT_INTERVAL_MS) return
    this.contextAt = now
    const text = toText(context)
    if (text === undefined) return
    if (this.contexts.length >= MAX_UNSENT_CONTEXTS) this.contexts.shift()
    this.contexts.push({ at: now, text })
    this.since ??= now
  }

  /** Hands out what was counted and starts anew; undefined when there is nothing. */
  take(): Tallied | undefined {
    if (this.since === undefined) return undefined
    const { minutes, uncounted, contexts } = this
    this.minutes = new Map()
    this.minute = Number.NaN
    this.seen = new Map()
    this.counters = 0
    this.uncounted = false
    this.contexts = contexts && []
    this.since = undefined
    return { minutes, uncounted, contexts }
  }

  private countAnew(evaluation: Evaluation, now: number): void {
    const { flagKey, reason } = evaluation
    const isError = evaluation.reason === 'ERROR'
    if (isError && evaluation.errorCode === 'FLAG_NOT_FOUND') return
    this.since ??= now
    const variant = isError ? null : (evaluation.variant ?? null)
    const counters = this.flags.get(flagKey)
    const known = counters && find(counters, variant, reason)
    if (!known && this.counters >= MAX_COUNTERS) {
      this.uncounted = true
      return
    }
    const counter = known ?? this.open(flagKey, { variant, reason, evaluations: 0 })
    counter.evaluations++
    // Errors and measured evaluations are made for one answer each, and never come again.
    if (!isError && evaluation.assignment === undefined && this.seen.size < MAX_COUNTERS) {
      this.seen.set(evaluation, counter)
    }
  }

  private turnTo(now: number): void {
    const minute = now - (now % MINUTE_MS)
    if (minute === this.minute) return
    this.minute = minute
    this.seen = new Map()
    this.flags = this.minutes.get(minute) ?? new Map()
  }

  private open(flag: string, counter: Counter): Counter {
    // Not before there is something in it: a minute in which nothing was counted is not sent.
    this.minutes.set(this.minute, this.flags)
    const counters = this.flags.get(flag)
    if (counters) counters.push(counter)
    else this.flags.set(flag, [counter])
    this.counters++
    return counter
  }
}

/** A plain loop: it runs for every evaluation, and a flag has few counters. */
function find(counters: readonly Counter[], variant: string | null, reason: string): Counter | undefined {
  for (const counter of counters) {
    if (counter.variant === variant && counter.reason === reason) return counter
  }
  return undefined
}
