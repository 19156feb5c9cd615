// Sending one notice to one channel. Whatever goes wrong is an outcome, told without the target and the secret.
import type { Bindings } from '../bindings.ts'
import type { Channel } from './channel.ts'
import { toEmail } from './email-message.ts'
import { type Link, linksOf } from './links.ts'
import type { Notice } from './notification.ts'
import { toSlackMessage } from './slack-message.ts'
import { parseTarget, redact, type TargetProblem, type TargetRules } from './target.ts'
import { toWebhookMessage } from './webhook-message.ts'

const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 1_024

/** What came of sending something. */
export type Outcome = {
  readonly sent: boolean
  /** What was answered; null where nothing was. */
  readonly status: number | null
  /** In words; empty where it was sent. */
  readonly error: string
  /** How the answer begins, without what only the channel may know. */
  readonly answer: string
  /** Whether the receiver says that it is gone for good. */
  readonly isGone: boolean
}

/** Why nothing was sent to a target that was taken once. */
const PROBLEMS: { readonly [problem in TargetProblem]: string } = {
  malformed: 'the target is none',
  not_https: 'the target is not https',
  has_credentials: 'the target has a user name or a password',
  private: 'the target is not on the public internet',
  email_not_configured: 'e-mail is not configured',
}

/** The outcome where nothing was answered. */
export function failed(error: string): Outcome {
  return { sent: false, status: null, error, answer: '', isGone: false }
}

/** What the operator allows. */
export function targetRulesOf({ ALLOW_PRIVATE_WEBHOOKS, EMAIL, EMAIL_FROM }: Bindings): TargetRules {
  return { allowPrivate: ALLOW_PRIVATE_WEBHOOKS === 'true', allowEmail: Boolean(EMAIL && EMAIL_FROM) }
}

/** Reads no more than is kept, and lets go of the rest; what breaks off was read as far as it came. */
async function readStart(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  if (!reader) return ''
  const start = new Uint8Array(MAX_ANSWER_BYTES)
  let length = 0
  while (length < MAX_ANSWER_BYTES) {
    const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }))
    if (done || !value) break
    start.set(value.subarray(0, MAX_ANSWER_BYTES - length), length)
    length = Math.min(MAX_ANSWER_BYTES, length + value.length)
  }
  // Not waited for: a body that never ends may take as long to be let go of.
  reader.cancel().catch(() => {})
  return new TextDecoder().decode(start.subarray(0, length))
}

function errorOf(status: number): string {
  if (status >= 200 && status < 300) return ''
  if (status >= 300 && status < 400) return `answered ${status}: redirects are not followed`
  return `answered ${status}`
}

async function post(
  channel: Channel,
  address: string,
  headers: { readonly [name: string]: string },
  body: string,
): Promise<Outcome> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const response = await fetch(address, {
      method: 'POST',
      // Where it leads to was not looked at, and may be inside.
      redirect: 'manual',
      headers: { 'content-type': 'application/json', 'user-agent': 'Rampart', ...headers },
      body,
      signal,
    })
    const { status } = response
    const answer = redact(await readStart(response), channel)
    const error = errorOf(status)
    return { sent: error === '', status, error, answer, isGone: status === 410 }
  } catch {
    // What the platform says of it names the address.
    return failed(signal.aborted ? `no answer within ${TIMEOUT_MS / 1_000} seconds` : 'not reached')
  }
}

async function mail(
  { EMAIL, EMAIL_FROM }: Bindings,
  address: string,
  notice: Notice,
  links: readonly Link[],
): Promise<Outcome> {
  if (!EMAIL || !EMAIL_FROM) return failed(PROBLEMS.email_not_configured)
  try {
    await EMAIL.send({ from: EMAIL_FROM, to: address, ...toEmail(notice, links) })
    return { sent: true, status: null, error: '', answer: '', isGone: false }
  } catch (error) {
    const code: unknown = Reflect.get(Object(error), 'code')
    const isCode = typeof code === 'string' && /^E_[A-Z_]{1,60}$/.test(code)
    return failed(isCode ? `the e-mail was not taken: ${code}` : 'the e-mail was not taken')
  }
}

/**
 * Sends a notice to a channel, once.
 * @param now milliseconds since 1970
 */
export async function send(
  bindings: Bindings,
  channel: Channel,
  notice: Notice,
  now: number,
): Promise<Outcome> {
  const { kind, secret } = channel
  const target = parseTarget(kind, channel.target, targetRulesOf(bindings))
  if (!target.ok) return failed(PROBLEMS[target.error])
  const links = linksOf(notice, bindings.PUBLIC_URL)
  switch (kind) {
    case 'slack':
      return post(channel, target.value, {}, JSON.stringify(toSlackMessage(notice, links)))
    case 'webhook': {
      const { headers, body } = toWebhookMessage(notice, links, secret, now)
      return post(channel, target.value, headers, body)
    }
    case 'email':
      return mail(bindings, target.value, notice, links)
  }
}
