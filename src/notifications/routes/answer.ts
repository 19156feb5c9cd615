// What the routes of channels have in common: whom they know, how a change is committed, and what is shown.

import type { z } from '@hono/zod-openapi'
import { type SQL, sql } from 'drizzle-orm'
import type { Context } from 'hono'
import { type Role, reaches } from '../../access/actor.ts'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import type { Result } from '../../access/result.ts'
import type { Refusal } from '../../http/problem.ts'
import { type Answer, type CommitError, commit } from '../../ledger/commit.ts'
import type { Channel } from '../channel.ts'
import { type GuardedWrites, loadChannel } from '../channel-store.ts'
import type { channel as channelSchema } from '../schemas.ts'
import { maskTarget } from '../target.ts'

/** What channels belong to and do not know themselves. */
export type Environments = {
  /** An expression: the version that an environment has; null where there is no such environment. */
  readonly versionOf: (environment: string) => SQL
}

/** A change of a channel, before anything is done. */
export type ChannelChange = GuardedWrites & {
  /** Such as `channel.create`. */
  readonly action: string
  readonly channel: Channel
  readonly comment: string
  /** What the audit keeps beside that. */
  readonly details: { readonly [name: string]: unknown }
  readonly answer: Answer
}

type Refused = Refusal<404 | 409 | 412>

const REFUSALS: { readonly [reason in CommitError['reason']]?: Refused } = {
  stale: { status: 412, code: 'stale', message: 'it has changed since: read it again' },
  unknown_reference: { status: 404, code: 'not_found', message: 'there is no such environment' },
  not_pending: { status: 409, code: 'not_dead', message: 'only what was given up can be tried again' },
  repeated: { status: 409, code: 'repeated', message: 'the same request is being answered already' },
}

/** The refusal of what does not exist, or is not to be known. */
export const notFound = (what: string): Refusal<404> => ({
  status: 404,
  code: 'not_found',
  message: `there is no ${what}`,
})

/** A channel as it is shown. */
export function shown(channel: Channel): z.output<typeof channelSchema> {
  const { id, environment, kind, name, events, enabled, revision, createdAt, updatedAt } = channel
  const target = maskTarget(channel)
  return {
    id,
    environment,
    kind,
    name,
    target,
    events: [...events],
    enabled,
    revision,
    createdAt,
    updatedAt,
  }
}

/** What the audit keeps of a channel. */
export function auditedOf(channel: Channel): { readonly [name: string]: unknown } {
  const { kind, name, events, enabled } = channel
  return { kind, name, target: maskTarget(channel), events, enabled }
}

export const etagOf = ({ revision }: Channel) => ({ etag: `"${revision}"` })

/** A channel that an actor sees, and for which they have the role; or why not. */
export async function findChannel(
  c: Context<Management>,
  id: string,
  needed: Role,
): Promise<Result<Channel, Refusal<403 | 404>>> {
  const found = await loadChannel(c.env.DB, id)
  // Who does not reach it is not told that it is there.
  if (!found || !reaches(c.var.actor, found.environment))
    return { ok: false, error: notFound(`channel "${id}"`) }
  const refusal = refusalFor(c.var.actor, needed)
  return refusal ? { ok: false, error: refusal } : { ok: true, value: found }
}

/** Carries a change out, whole or not at all; why it did not happen, undefined when it did. */
export async function commitChannel(
  c: Context<Management>,
  { versionOf }: Environments,
  { action, channel, comment, guards, writes, details, answer }: ChannelChange,
): Promise<Refused | undefined> {
  const { actor, via, now, requestId, receipt } = authorOf(c, comment)
  const { id, environment } = channel
  const version = versionOf(environment)
  const result = await commit(c.env.DB, {
    guards: [{ column: 'found', holds: sql`(${version}) IS NOT NULL` }, ...guards],
    writes,
    entries: [
      { actor, via, action, target: { kind: 'channel', key: id }, comment, details, requestId, at: now },
    ],
    environments: sql`json_object(${environment}, (${version}))`,
    receipt,
    answer,
    read: sql`SELECT 1`,
  })
  if (result.ok) return undefined
  const refusal = REFUSALS[result.error.reason]
  if (!refusal) throw new Error(`a change of a channel cannot be refused as ${result.error.reason}`)
  return refusal
}
