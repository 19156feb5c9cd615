// Webhooks as the Standard Webhooks specification has them: https://www.standardwebhooks.com
import { Webhook } from 'standardwebhooks'
import type { Link } from './links.ts'
import type { Notice } from './notification.ts'

const SECRET_BYTES = 32

/** A signed request, without its address. */
export type WebhookMessage = {
  readonly headers: { readonly [name: string]: string }
  readonly body: string
}

/** Makes what a webhook's messages are signed with. */
export function createWebhookSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(SECRET_BYTES))))}`
}

/** A notice's id as a header can carry it, and the signature, which puts a dot behind it. */
function toMessageId(id: string): string {
  return id.replaceAll(/[^\w-]/gu, (character) => `~${character.codePointAt(0)?.toString(16)}`)
}

/**
 * Writes and signs a notice. Its id is the same however often it is sent, so that receivers tell what they have already.
 * @param now milliseconds since 1970
 */
export function toWebhookMessage(
  { id, environment, kind, title, text, facts, at }: Notice,
  links: readonly Link[],
  secret: string,
  now: number,
): WebhookMessage {
  const body = JSON.stringify({
    type: kind,
    timestamp: new Date(at).toISOString(),
    data: { environment, title, text, url: links[0]?.url ?? null, facts },
  })
  const messageId = toMessageId(id)
  const sentAt = new Date(now)
  return {
    headers: {
      'webhook-id': messageId,
      'webhook-timestamp': String(Math.floor(now / 1_000)),
      'webhook-signature': new Webhook(secret).sign(messageId, sentAt, body),
    },
    body,
  }
}
