import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { toEmail } from '../../../src/notifications/email-message.ts'
import { linksOf } from '../../../src/notifications/links.ts'
import { NOTICE_KINDS, type Notice } from '../../../src/notifications/notification.ts'
import { MAX_ATTEMPTS, retryDelay } from '../../../src/notifications/retry-delay.ts'
import { toSlackMessage } from '../../../src/notifications/slack-message.ts'
import { createWebhookSecret, toWebhookMessage } from '../../../src/notifications/webhook-message.ts'

const NOTICE: Notice = {
  id: '7k2m4p9q1r3s-4',
  environment: 'production',
  kind: 'rollout.rolled_back',
  title: 'new-checkout was rolled back',
  text: 'Treated 14 of 900, control 31 of 8,100.\nA false alarm at most 1 in 100.',
  path: '/rollouts/7k2m4p9q1r3s',
  facts: { flag: 'new-checkout', stage: 2 },
  at: Date.UTC(2026, 10, 21, 4),
}

const OPEN = { label: 'Open', url: 'https://rampart.example.com/rollouts/7k2m4p9q1r3s' }

describe('links', () => {
  it('lead to the page, and to what can be decided there', () => {
    const asks = { ...NOTICE, kind: 'rollout.approval_needed' } as const
    expect(linksOf(asks, 'https://rampart.example.com')).toEqual([
      OPEN,
      { label: 'Approve', url: `${OPEN.url}#approve` },
    ])
    expect(linksOf(NOTICE, 'https://rampart.example.com/')).toEqual([OPEN])
  })

  it.each([
    ['nobody said where the dashboard is', NOTICE, undefined],
    ['where it is makes no address', NOTICE, 'rampart.example.com'],
    ['the notice has no page', { ...NOTICE, path: '' }, 'https://rampart.example.com'],
    ['there is no such page', { ...NOTICE, path: '/rollouts' }, 'https://rampart.example.com'],
    ['it would lead elsewhere', { ...NOTICE, path: '//evil.example/x' }, 'https://rampart.example.com'],
  ])('are none where %s', (_, notice, publicUrl) => {
    expect(linksOf(notice, publicUrl)).toEqual([])
  })

  it.each([
    ['incident.opened', '/incidents/7k2m4p9q1r3s-4', ['Open', 'Acknowledge']],
    ['incident.verified', '/incidents/7k2m4p9q1r3s-4', ['Open']],
    ['guard.notice', '/incidents/7k2m4p9q1r3s-4', ['Open']],
    ['guard.notice', '/rollouts/7k2m4p9q1r3s', ['Open', 'Roll back']],
    ['rollout.paused', '/rollouts/7k2m4p9q1r3s', ['Open', 'Resume', 'Roll back']],
  ] as const)('of %s on %s are %j', (kind, path, labels) => {
    const links = linksOf({ ...NOTICE, kind, path }, 'https://rampart.example.com')
    expect(links.map(({ label }) => label)).toEqual(labels)
  })
})

describe('a message for Slack', () => {
  it('has a header, the text, where it is from, and a button for each link', () => {
    expect(toSlackMessage(NOTICE, [OPEN])).toEqual({
      text: 'new-checkout was rolled back',
      blocks: [
        { type: 'header', text: { type: 'plain_text', text: NOTICE.title } },
        { type: 'section', text: { type: 'plain_text', text: NOTICE.text } },
        { type: 'context', elements: [{ type: 'plain_text', text: 'Rampart, production' }] },
        {
          type: 'actions',
          elements: [{ type: 'button', text: { type: 'plain_text', text: 'Open' }, url: OPEN.url }],
        },
      ],
    })
  })

  it('stays within what Slack takes, and mentions nobody', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 9_000 }), fc.string({ maxLength: 9_000 }), (title, text) => {
        const message = toSlackMessage({ ...NOTICE, title: `<!channel> ${title}`, text }, [])
        expect(message.text).not.toMatch(/[<>]/)
        for (const block of message.blocks) {
          if (!('text' in block)) continue
          expect(block.text.type).toBe('plain_text')
          expect(block.text.text.length).toBeLessThanOrEqual(block.type === 'header' ? 150 : 3_000)
          expect(block.text.text.length).toBeGreaterThan(0)
        }
      }),
    )
  })
})

describe('a webhook', () => {
  it('is verified by the published library, and says the same every time', () => {
    const secret = createWebhookSecret()
    const now = Date.now()
    const { headers, body } = toWebhookMessage(NOTICE, [OPEN], secret, now)
    expect(new Webhook(secret).verify(body, headers)).toEqual({
      type: 'rollout.rolled_back',
      timestamp: '2026-11-21T04:00:00.000Z',
      data: {
        environment: 'production',
        title: NOTICE.title,
        text: NOTICE.text,
        url: OPEN.url,
        facts: NOTICE.facts,
      },
    })
    const later = toWebhookMessage(NOTICE, [OPEN], secret, now + 60_000)
    expect(later.headers['webhook-id']).toBe('7k2m4p9q1r3s-4')
    expect(later.body).toBe(body)
    expect(() => new Webhook(createWebhookSecret()).verify(body, headers)).toThrow('No matching signature')
    expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow('No matching signature')
  })

  it('has an id that a header carries, another for each notice', () => {
    const idOf = (id: string) =>
      toWebhookMessage({ ...NOTICE, id }, [], 'whsec_AAAA', 0).headers['webhook-id']
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (one, other) => {
        expect(idOf(one)).toMatch(/^[\w~-]*$/)
        expect(idOf(one) === idOf(other)).toBe(one === other)
      }),
    )
    expect(idOf('guard/p95.latency')).toBe('guard~2fp95~2elatency')
  })

  it('has a secret of its own, of 256 bits', () => {
    const secret = createWebhookSecret()
    expect(atob(secret.replace(/^whsec_/, ''))).toHaveLength(32)
    expect(createWebhookSecret()).not.toBe(secret)
  })
})

it('writes an e-mail whose subject is one line', () => {
  const { subject, text } = toEmail({ ...NOTICE, title: 'new\r\nBcc: eve@example.com' }, [OPEN])
  expect(subject).toBe('[production] new Bcc: eve@example.com')
  expect(text).toContain(`\n\nOpen: ${OPEN.url}\n`)
})

it('tries for a day, less and less often', () => {
  const delays = Array.from({ length: MAX_ATTEMPTS - 1 }, (_, attempts) => retryDelay(attempts + 1) ?? 0)
  expect(delays.slice(0, 6)).toEqual([10_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000])
  const total = delays.reduce((sum, delay) => sum + delay, 0)
  expect(total).toBeLessThanOrEqual(24 * 3_600_000)
  expect(total).toBeGreaterThan(23 * 3_600_000)
  expect(retryDelay(MAX_ATTEMPTS)).toBeNull()
})

it('knows every kind of notice once', () => {
  expect(new Set(NOTICE_KINDS).size).toBe(NOTICE_KINDS.length)
})
