// What is known of an incident, beside its times: numbers, units affected, what is verified. Stored as it is.
import type { ArmCount } from '../observations.ts'
import type { GuardTest, RollbackMode } from '../plan.ts'

/** What a guardrail said when it was broken. */
export type GuardFact = {
  readonly guardrail: string
  readonly metric: string
  readonly test: GuardTest
  /** The audience's place and name; null: all together. */
  readonly audience: { readonly place: number; readonly name: string } | null
  readonly treatment: ArmCount
  readonly control: ArmCount | null
  /** How many times as much the treated have as the control; null where that cannot be told. */
  readonly ratio: number | null
  /** Chance alone would show as much at most once in so many rollouts; and once in how many is enough. */
  readonly oneIn: number
  readonly enough: number
  readonly words: string
}

/** What an audience was given, and what it is given after the first step of the rollback. */
export type ShareFact = { readonly audience: string; readonly before: number; readonly after: number }

/** How much of the traffic was on the safe version, as the hub was told. */
export type SafeFact = {
  /** Seconds from the hub's knowing of the version until 99 % of what was reported was on it. */
  readonly seconds: number
  /** The part of the expected traffic that had not been reported then, 0 to 1. */
  readonly unreportedShare: number
}

/** What an incident is about. */
export type IncidentFacts = {
  /** The rollout's epoch that took something back; null: opened by hand. */
  readonly epoch: number | null
  readonly mode: RollbackMode | null
  /** The places of the audiences that are taken back; null: everyone. */
  readonly audiences: readonly number[] | null
  readonly phase: Phase | null
  readonly stage: { readonly place: number; readonly name: string; readonly since: number | null } | null
  readonly variant: string | null
  readonly shares: readonly ShareFact[]
  /** Treated units in the stage; null where that is not known. */
  readonly affected: number | null
  /** Those that broke and called for the rollback. */
  readonly guards: readonly GuardFact[]
  readonly safe: SafeFact | null
  /** What came of the verification; empty before it is over. */
  readonly verified: string
}

/** How far a rollout has come, as far as it says how fast somebody should look: ramping, held back, watched. */
export type Phase = 'ramping' | 'hold_back' | 'watching'

const MINUTE_MS = 60_000

/** How long after it was opened somebody should have acknowledged an incident. */
export const ACKNOWLEDGE_WITHIN_MS: { readonly [phase in Phase]: number } = {
  ramping: 15 * MINUTE_MS,
  hold_back: 60 * MINUTE_MS,
  watching: 240 * MINUTE_MS,
}

/** The facts of an incident that somebody opened by hand. */
export const NO_FACTS: IncidentFacts = {
  epoch: null,
  mode: null,
  audiences: null,
  phase: null,
  stage: null,
  variant: null,
  shares: [],
  affected: null,
  guards: [],
  safe: null,
  verified: '',
}
