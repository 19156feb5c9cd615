import type { Notice, NoticeKind } from './notification.ts'

/** A link that goes with a notice. It leads to a page that asks who opens it, and does nothing by itself. */
export type Link = { readonly label: string; readonly url: string }

/** What can be decided, by kind of notice: its label, and what the page calls it. */
type Decisions = { readonly [kind in NoticeKind]?: readonly (readonly [label: string, deed: string])[] }

const ROLL_BACK = ['Roll back', 'rollback'] as const
const ACKNOWLEDGE = ['Acknowledge', 'acknowledge'] as const

/** The pages that there are, and what can be decided there. */
const PAGES: { readonly [page: string]: Decisions } = {
  rollouts: {
    'rollout.approval_needed': [['Approve', 'approve']],
    'rollout.started': [ROLL_BACK],
    'rollout.advanced': [ROLL_BACK],
    'rollout.held': [ROLL_BACK],
    'rollout.paused': [['Resume', 'resume'], ROLL_BACK],
    'rollout.would_roll_back': [ROLL_BACK],
    'guard.notice': [ROLL_BACK],
  },
  incidents: {
    'incident.opened': [ACKNOWLEDGE],
    'incident.escalated': [ACKNOWLEDGE],
  },
}

/** The links of a notice: none where it has no page, or nobody said where the dashboard is. */
export function linksOf({ kind, path }: Notice, publicUrl: string | undefined): readonly Link[] {
  const [, name = ''] = /^\/(\w+)\/[\w-]+$/.exec(path) ?? []
  const decisions = PAGES[name]
  const page = decisions && publicUrl ? URL.parse(path, publicUrl) : null
  if (!decisions || !page) return []
  return [
    { label: 'Open', url: page.href },
    ...(decisions[kind] ?? []).map(([label, deed]) => ({ label, url: `${page.href}#${deed}` })),
  ]
}
