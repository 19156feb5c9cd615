// How the demo's rollouts are, on the screen.
import type { Health, Rollout } from './rollouts.ts'

/** Writes how a rollout is: where it stands, what it waits for, and what each guardrail says. */
export function writeRollout({ flag, state, stage, stages }: Rollout, { next, guards }: Health): string {
  const where = stages[stage]?.name ?? 'not begun'
  const lines = guards.map(({ guardrail, verdict, words }) => `  ${guardrail}: ${verdict}, ${words}`)
  return [`${flag}: ${state.replaceAll('_', ' ')}, ${where}; ${next.words}`, ...lines].join('\n')
}
