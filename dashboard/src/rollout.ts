// A rollout as the page knows it, and what can be decided about it. Pure.

/** A rollout, of what the API answers what the page shows. Instants are milliseconds since 1970. */
export type Rollout = {
  readonly id: string
  readonly environment: string
  readonly flag: string
  readonly variant: string
  readonly state: string
  readonly stage: number
  readonly stages: readonly Stage[]
  readonly granted: readonly { readonly audience: string; readonly percentage: number }[]
  readonly blocked: readonly string[]
  readonly publishedAt: number | null
}

export type Stage = {
  readonly name: string
  readonly percentage: number
  readonly holdMs: number
  readonly needsApproval: boolean
}

/** What somebody can decide. */
export type Deed = 'approve' | 'rollback' | 'pause' | 'resume'

export const DEEDS: readonly Deed[] = ['approve', 'resume', 'pause', 'rollback']

const STATES: { readonly [state: string]: string } = {
  draft: 'Draft',
  awaiting_approval: 'Waits for approval to start',
  scheduled: 'Scheduled',
  running: 'Running',
  paused: 'Paused',
  rolling_back: 'Being taken back',
  rolled_back: 'Taken back',
  watching: 'Complete, still watched',
  done: 'Done',
  cancelled: 'Cancelled',
}

/** A rollout's state in words. */
export function stateOf({ state }: Rollout): string {
  return STATES[state] ?? state
}

/** The stage that comes next; undefined when none does. */
export function nextStage({ state, stage, stages }: Rollout): Stage | undefined {
  const isGoingOn = ['awaiting_approval', 'scheduled', 'running', 'paused'].includes(state)
  return isGoingOn ? stages[stage + 1] : undefined
}

/** When the present stage has held for as long as it must; null when it does not hold yet, or nothing follows. */
export function holdEnd(rollout: Rollout): number | null {
  const { state, stage, stages, publishedAt } = rollout
  const present = stages[stage]
  if (state !== 'running' || publishedAt === null || !present || !nextStage(rollout)) return null
  return publishedAt + present.holdMs
}

/** Whether a deed can be asked for in a rollout's state. */
export function canDo(deed: Deed, rollout: Rollout): boolean {
  switch (deed) {
    case 'approve':
      return rollout.state === 'awaiting_approval' || nextStage(rollout)?.needsApproval === true
    case 'pause':
      return rollout.state === 'running'
    case 'resume':
      return rollout.state === 'paused'
    case 'rollback':
      return ['running', 'paused', 'rolling_back', 'watching'].includes(rollout.state)
  }
}

/** What one guardrail says. */
export type Guard = {
  readonly guardrail: string
  /** null: everybody together. */
  readonly audience: string | null
  readonly verdict: string
  readonly words: string
}

/** How a rollout does: what would be done now and why, what can be promised, and what its guardrails say. */
export type Health = {
  readonly next: { readonly code: string; readonly words: string }
  readonly promise: { readonly words: string }
  readonly guards: readonly Guard[]
}

/** Something that was decided. */
export type Decided = {
  readonly id: number
  readonly at: number
  readonly deed: string
  readonly reason: { readonly code: string; readonly words: string }
  readonly actor: string
  readonly comment: string
}

/** Why a rollout stands as it does: what would happen now, or where nothing would, what happened last. */
export function whyOf({ next }: Health, [last]: readonly Decided[]): string {
  return next.code === 'nothing_to_do' && last ? last.reason.words : next.words
}
