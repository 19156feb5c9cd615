import { describe, expect, it } from 'vitest'
import {
  type DigestedRollout,
  type DigestGround,
  digestOf,
} from '../../../../src/rollouts/incidents/digest-text.ts'
import { NO_FACTS } from '../../../../src/rollouts/incidents/facts.ts'
import type { Incident } from '../../../../src/rollouts/incidents/incident-store.ts'
import { toMarkdown } from '../../../../src/rollouts/incidents/markdown.ts'
import { DAY_MS, MINUTE_MS } from '../../../support/rollouts.ts'

const FROM = Date.UTC(2026, 2, 1, 7)

const incident: Incident = {
  id: 'r1-3',
  environment: 'production',
  flag: 'checkout',
  rollout: 'r1',
  state: 'acknowledged',
  title: 'checkout in production: "on" was taken back',
  reason: { code: 'guard_broken', words: 'failed: treated 14 of 900 | control 31', subject: 'errors' },
  facts: { ...NO_FACTS, affected: 900, safe: { seconds: 4, unreportedShare: 0.02 } },
  beganAt: FROM + MINUTE_MS,
  detectedAt: FROM + 3 * MINUTE_MS,
  committedAt: FROM + 3 * MINUTE_MS + 2_000,
  safeAt: FROM + 3 * MINUTE_MS + 7_000,
  safeVersion: 7,
  verification: 'verified',
  acknowledgeBy: FROM + 20 * MINUTE_MS,
  escalatedAt: null,
  acknowledgedAt: FROM + 5 * MINUTE_MS,
  acknowledgedBy: 'ada',
  resolvedAt: null,
  resolvedBy: null,
  resolution: '',
  postMortem: '',
  disputedBy: null,
  disputeNote: '',
  revision: 3,
  createdAt: FROM + 3 * MINUTE_MS,
  updatedAt: FROM + 5 * MINUTE_MS,
}

const rollout = (flag: string, ...decisions: DigestedRollout['decisions']): DigestedRollout => ({
  id: flag,
  flag,
  variant: 'on',
  stage: '10 %',
  decisions,
})

const ground = (more: Partial<DigestGround> = {}): DigestGround => ({
  kind: 'digest.daily',
  environment: 'production',
  from: FROM,
  to: FROM + DAY_MS,
  rollouts: [],
  incidents: [],
  ...more,
})

describe('a digest', () => {
  it('of a day in which nothing happened is none; of such a week it is one line', () => {
    expect(digestOf(ground(), 0)).toBeUndefined()
    expect(digestOf(ground({ kind: 'report.weekly', to: FROM + 7 * DAY_MS }), 0)?.text).toBe(
      'Nothing ran, and nothing went wrong, from 2026-03-01 07:00:00 UTC to 2026-03-08 07:00:00 UTC.',
    )
  })

  it('says what rollouts did, and why one is held', () => {
    const started = { deed: 'advance', reason: { code: 'start', words: 'it starts' } } as const
    const advanced = { deed: 'advance', reason: { code: 'hold_over', words: 'the hold is over' } } as const
    const waits = { deed: 'hold', reason: { code: 'hold_not_over', words: '3 h are left' } } as const
    const held = { deed: 'hold', reason: { code: 'gate_missing', words: '"ci" is missing' } } as const
    const back = { deed: 'rollback', reason: { code: 'guard_broken', words: 'failed: 4 times' } } as const
    const notice = digestOf(
      ground({
        rollouts: [
          rollout('a', started, waits, advanced, held),
          rollout('b', back),
          rollout('c', waits),
          rollout('d'),
        ],
        incidents: [incident],
      }),
      5,
    )
    expect(notice?.text.split('\n')).toEqual([
      'From 2026-03-01 07:00:00 UTC to 2026-03-02 07:00:00 UTC.',
      'Rollouts:',
      '- a, "on" (stage "10 %"): started; went on once; is held: "ci" is missing.',
      '- b, "on" (stage "10 %"): was taken back: failed: 4 times.',
      '- c, "on" (stage "10 %"): ran.',
      '- d, "on" (stage "10 %"): ran.',
      'Incidents:',
      '- checkout in production: "on" was taken back (r1-3): acknowledged, verification verified; detected after 2 min, committed after 2 s, safe after 5 s.',
    ])
    expect(notice).toMatchObject({
      id: `digest.daily-production-${FROM}`,
      kind: 'digest.daily',
      facts: {
        rollouts: 4,
        advanced: 1,
        rolledBack: 1,
        incidentsOpened: 1,
        incidentsOpen: 1,
        medianDetectMs: 120_000,
        medianSafeMs: 5_000,
      },
    })
  })
})

it('an incident as Markdown keeps what people wrote as text, but for the post-mortem', () => {
  const moment = {
    at: FROM,
    kind: 'note',
    actor: 'ada',
    words: '# not a heading\nnor [a link](x)',
    deed: null,
    decision: null,
  } as const
  const document = toMarkdown({ ...incident, postMortem: '### Learned' }, [moment])
  expect(document).toContain('failed: treated 14 of 900 \\| control 31')
  expect(document).toContain('- 2026-03-01 07:00:00 UTC, ada: \\# not a heading nor \\[a link\\](x)')
  expect(document).toContain(
    '| Safe for 99 % of the reported traffic (2 % of it not reported) | 2026-03-01 07:03:07 UTC | 5 s |',
  )
  expect(document).toContain('## Post-mortem\n\n### Learned')
})
