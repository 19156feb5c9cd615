// What people are told, before it is decided who and how.

/** What happened. Channels choose among these. */
export const NOTICE_KINDS = [
  'rollout.started',
  'rollout.advanced',
  'rollout.held',
  'rollout.approval_needed',
  'rollout.paused',
  'rollout.rolled_back',
  'rollout.would_roll_back',
  'rollout.completed',
  'rollout.done',
  'guard.notice',
  'incident.opened',
  'incident.safe',
  'incident.verified',
  'incident.escalated',
  'incident.resolved',
  'clock.stopped',
  'digest.daily',
  'report.weekly',
  'test',
] as const

export type NoticeKind = (typeof NOTICE_KINDS)[number]

/** Something that people are told, once for each channel that wants it. */
export type Notice = {
  /** The same for what is the same: however often it is given, it is told once. */
  readonly id: string
  readonly environment: string
  readonly kind: NoticeKind
  /** One line. */
  readonly title: string
  /** Plain sentences, separated by line breaks. */
  readonly text: string
  /** A path of the dashboard, such as `/rollouts/7k2m…`; empty: none. */
  readonly path: string
  /** What programs read: flat. */
  readonly facts: { readonly [name: string]: string | number | boolean | null }
  /** Milliseconds since 1970. */
  readonly at: number
}
