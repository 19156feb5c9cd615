// Channels and deliveries, as the routes take and answer them.
import { z } from '@hono/zod-openapi'
import { environmentKey } from '../access/schemas.ts'
import { comment, instant } from '../http/schemas.ts'
import { CHANNEL_KINDS } from './channel.ts'
import { NOTICE_KINDS } from './notification.ts'

const MAX_TARGET = 2_000

export const channelId = z.string().min(1).max(100).openapi({ example: 'channel-0123456789ab' })

export const ofChannel = z.object({ id: channelId })

const kind = z.enum(CHANNEL_KINDS).openapi({
  description: 'An incoming webhook of Slack, a signed webhook, or e-mail.',
  example: 'webhook',
})

const name = z.string().min(1).max(200).openapi({ description: 'For people to read.', example: 'On call' })

const events = z
  .array(z.enum(NOTICE_KINDS).exclude(['test']))
  .min(1)
  .overwrite((kinds) => [...new Set(kinds)])
  .openapi({
    description: 'What it is told of. docs/notifications.md has every kind.',
    example: ['rollout.rolled_back', 'incident.opened'],
  })

const target = z.string().min(1).max(MAX_TARGET).openapi({
  description: 'The address of the webhook, or an e-mail address. Never shown whole again.',
  example: 'https://hooks.example.com/rampart/3f9c2a',
})

const enabled = z.boolean().openapi({ description: 'Whether it is told anything.', example: true })

const secret = z.string().optional().openapi({
  description: 'What its messages are signed with, shown this once; only webhooks have one.',
  example: 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=',
})

export const channelDraft = z
  .strictObject({
    environment: environmentKey,
    kind,
    name,
    target,
    events,
    enabled: enabled.default(true),
    comment,
  })
  .openapi('ChannelDraft')

export const channelChange = z
  .strictObject({
    name,
    target: target.optional().openapi({ description: 'Left out: as it is.' }),
    events,
    enabled: enabled.default(true),
    comment,
  })
  .openapi('ChannelChange')

export const channelFilter = z.object({
  environment: environmentKey.optional().openapi({ description: 'Of this environment alone.' }),
})

export const reason = z.strictObject({ comment })

export const channel = z
  .object({
    id: channelId,
    environment: environmentKey,
    kind,
    name,
    target: z
      .string()
      .openapi({ description: 'The beginning of it.', example: 'https://hooks.example.com/…' }),
    events: z.array(z.enum(NOTICE_KINDS)).openapi({ example: ['rollout.rolled_back', 'incident.opened'] }),
    enabled,
    revision: z.number().int().openapi({ example: 1 }),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Channel')

export const newChannel = channel.extend({ secret }).openapi('NewChannel')

export const tested = z
  .object({
    sent: z.boolean().openapi({ description: 'Whether the receiver took it.', example: true }),
    status: z
      .number()
      .int()
      .nullable()
      .openapi({ description: 'What it answered; null where it answered nothing.', example: 200 }),
    error: z.string().openapi({ description: 'Why it was not taken.', example: '' }),
    answer: z.string().openapi({ description: 'How its answer begins: up to 1 KiB.', example: 'ok' }),
  })
  .openapi('ChannelTest')

const deliveryState = z.enum(['due', 'sent', 'dead']).openapi({
  description: '`due`: it is tried again; `dead`: it was given up after a day.',
  example: 'dead',
})

export const deliveryFilter = z.object({ state: deliveryState.optional() })

export const ofDelivery = z.object({
  id: channelId,
  delivery: z
    .string()
    .regex(/^\S{1,40}$/)
    .openapi({ description: 'Its id.', example: '7' }),
})

export const delivery = z
  .object({
    id: z.number().int().openapi({ example: 7 }),
    notice: z.string().openapi({
      description: 'What it tells, the same for every channel that is told.',
      example: '7k2m4p9q1r3s-4',
    }),
    kind: z.enum(NOTICE_KINDS).openapi({ example: 'rollout.rolled_back' }),
    title: z.string().openapi({ example: 'new-checkout was rolled back' }),
    state: deliveryState,
    attempts: z.number().int().openapi({ description: 'How often it was tried.', example: 28 }),
    nextAt: instant.nullable().openapi({ description: 'When it is tried next; null: it is not.' }),
    lastError: z.string().openapi({ example: 'answered 503' }),
    createdAt: instant,
    finishedAt: instant.nullable().openapi({ description: 'When it was sent or given up; null while due.' }),
  })
  .openapi('Delivery')
