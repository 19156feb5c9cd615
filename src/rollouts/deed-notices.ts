// What people are told of a decision: the deed itself, and what stands beside it. Pure.
import type { Notice, NoticeKind } from '../notifications/notification.ts'
import type { Decision, Deed, Reason } from './decision.ts'
import type { Rollout } from './rollout.ts'

type Told = { readonly kind: NoticeKind; readonly words: string }

function deedOf(deed: Deed, isFirst: boolean): Told | undefined {
  switch (deed) {
    case 'advance':
      return isFirst
        ? { kind: 'rollout.started', words: 'has started' }
        : { kind: 'rollout.advanced', words: 'goes on' }
    case 'pause':
      return { kind: 'rollout.paused', words: 'is paused' }
    case 'rollback':
      return { kind: 'rollout.rolled_back', words: 'is taken back' }
    case 'complete':
      return { kind: 'rollout.completed', words: 'is complete' }
    case 'finish':
      return { kind: 'rollout.done', words: 'is done' }
    default:
      return undefined
  }
}

function beside({ plan }: Rollout, { code, subject }: Reason): Told {
  if (code === 'approval_missing') return { kind: 'rollout.approval_needed', words: 'waits for an approval' }
  if (code !== 'guard_broken') return { kind: 'rollout.held', words: 'is held' }
  const guardrail = plan.guardrails.find(({ id }) => id === subject)
  return guardrail?.action === 'would-roll-back'
    ? { kind: 'rollout.would_roll_back', words: 'would have been taken back' }
    : { kind: 'guard.notice', words: 'broke a guardrail' }
}

/** The notices of a decision about a rollout as it stood before. */
export function noticesOf(
  rollout: Rollout,
  decision: Decision,
  comment: string,
  at: number,
): readonly Notice[] {
  const { id, plan, progress, revision } = rollout
  const { flag, environment, variant } = plan
  const notice = ({ kind, words }: Told, reason: Reason): Notice => ({
    id: `${id}-${revision}-${kind}${reason.subject === undefined ? '' : `-${reason.subject}`}`,
    environment,
    kind,
    title: `${flag} in ${environment}: the rollout of "${variant}" ${words}`,
    text: [reason.words, comment].filter((line) => line !== '').join('\n'),
    path: `/rollouts/${id}`,
    facts: {
      rollout: id,
      flag,
      environment,
      variant,
      stage: plan.stages[decision.progress.stage]?.name ?? null,
      state: decision.progress.state,
      reason: reason.code,
      subject: reason.subject ?? null,
    },
    at,
  })
  const deed = deedOf(decision.deed, progress.stage < 0)
  return [
    ...(deed ? [notice(deed, decision.reason)] : []),
    ...decision.notices.map((reason) => notice(beside(rollout, reason), reason)),
  ]
}
