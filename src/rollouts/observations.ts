// What `decide` is told of the world: read by the clock, made from blocks by evidence/.

/** What one guardrail says of one audience, or of all together. */
export type GuardReading = {
  readonly guardrail: string
  /** The audience's place; null: all together. */
  readonly audience: number | null
  /**
   * `waiting`: it cannot say anything yet (no control, nothing frozen, no units); `fine`; `broken`: the evidence passed
   * its limit, now or since its evidence began.
   */
  readonly verdict: 'waiting' | 'fine' | 'broken'
  /** Natural logarithm of the evidence, and of the limit at which it is enough. */
  readonly evidence: number
  readonly limit: number
  /** Hits (or units above the bound) and units of both arms in this stage. */
  readonly treatment: ArmCount
  readonly control: ArmCount | null
  /** Whether the stage is shown to be no worse than what advanceWhen `shown-safe` asks. */
  readonly shownSafe: boolean
  /** In words: "treated 14 of 900, control 31 of 8,100: 4.5 times; a false alarm at most 1 in 100". */
  readonly words: string
  /** When what broke it is most likely to have begun, in milliseconds since 1970; null while it is not broken. */
  readonly since: number | null
}

/** Hits and units of one arm; for means, Σ over units instead of hits. */
export type ArmCount = { readonly hits: number; readonly units: number }

/** What was counted, as `decide` needs it. */
export type Reading = {
  /** The end of the last block that was read, in milliseconds since 1970. */
  readonly through: number
  readonly guards: readonly GuardReading[]
  /** Units that came in this stage, both arms. */
  readonly units: { readonly treatment: number; readonly control: number }
  /** Natural logarithm of the evidence against the arms' shares; 6.9 (1 in 1,000) is enough. */
  readonly sampleRatio: { readonly evidence: number; readonly mismatch: boolean; readonly words: string }
  /** Whether the treated have fallen silent, or everybody has; `since` the last sign of life. */
  readonly life: {
    readonly evidence: number
    readonly verdict: 'waiting' | 'alive' | 'treatment_silent' | 'all_silent'
    readonly since: number | null
    readonly words: string
  }
}

/** A signal from outside. */
export type Signal = {
  readonly id: string
  readonly kind: string
  readonly passed: boolean
  /** Milliseconds since 1970. */
  readonly at: number
  readonly author: string
  readonly link: string
  readonly note: string
}

/** Everything that a decision is made from, beside the plan and the progress. */
export type Observations = {
  /** null: nothing could be read yet, or the rollout has nothing to read. */
  readonly reading: Reading | null
  /** Since when a shard could not be read; null: all can be. */
  readonly unreadSince: number | null
  /** The newest version that the hub has published, and since when; null: it did not say. */
  readonly published: { readonly version: number; readonly at: number } | null
  /** Newest first. */
  readonly signals: readonly Signal[]
  /** Those of `plan.after` that are not done. */
  readonly notDone: readonly string[]
  /** The control's present quantile for guardrails that have nothing frozen, where there is enough to tell. */
  readonly quantiles: { readonly [guardrail: string]: number }
}
