// Changes that wait: for a second person, for their time, or for both in that order. What waits is an operation; when
// its moment comes it is planned and committed as any other, in one batch with the end of its waiting.
import { and, asc, eq, inArray, lte, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Actor } from '../access/actor.ts'
import { randomHex } from '../access/key.ts'
import { err, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import { type Answer, type AuditEntry, commit, type Guard, guardStatement } from '../ledger/commit.ts'
import { type ChangeError, type Committed, commitChange } from './change.ts'
import { type ChangeRequest, isStillFresh } from './change-request-store.ts'
import type { Operation } from './operation.ts'
import { planOperation, type Workbench } from './plan.ts'
import type { Preview } from './preview.ts'
import { toRefusal } from './refusals.ts'
import type { SaveError } from './save-error.ts'
import { changeRequests } from './tables.ts'

/** A change that is to wait. */
export type ChangeRequestDraft = {
  readonly operation: Operation
  /** The environments that it concerns. */
  readonly environments: readonly string[]
  readonly needsApproval: boolean
  /** Milliseconds since 1970; null: as soon as it may be. */
  readonly applyAt: number | null
  readonly preview: Preview | null
}

/** What somebody decides about a change that waits. */
export type Decision = 'approve' | 'reject' | 'cancel'

const PAGE_DUE = 50

function targetOf(id: string) {
  return { kind: 'change_request', key: id }
}

const environmentsOf = (environments: readonly string[]) => sql`(
  SELECT json_group_object(key, version) FROM environments
  WHERE key IN (SELECT value FROM json_each(${JSON.stringify(environments)})))`

function isIn(id: string, ...states: ChangeRequest['state'][]): Guard {
  const where = and(eq(changeRequests.id, id), inArray(changeRequests.state, states))
  return { column: 'pending', holds: sql`EXISTS (SELECT 1 FROM ${changeRequests} WHERE ${where})` }
}

/** Lets a change wait, unless what it was made from has changed already. */
export async function createChangeRequest(
  database: D1Database,
  actor: Actor,
  draft: ChangeRequestDraft,
  author: Author,
): Promise<Result<ChangeRequest, ChangeError>> {
  const { comment, now, requestId, receipt } = author
  const request: ChangeRequest = {
    id: `change-${randomHex(8)}`,
    operation: draft.operation,
    environments: draft.environments,
    state: draft.needsApproval ? 'awaiting_approval' : 'scheduled',
    author: actor,
    comment,
    applyAt: draft.applyAt,
    preview: draft.preview,
    decidedBy: null,
    decision: '',
    decidedAt: null,
    finishedAt: null,
    failure: null,
    createdAt: now,
  }
  const result = await commit(database, {
    guards: [],
    writes: [
      drizzle(database).insert(changeRequests).values(request),
      // What is stale already could only wait in vain.
      guardStatement(isStillFresh(request.id)),
    ],
    entries: [
      {
        actor: actor.id,
        via: actor.via,
        action: 'change_request.create',
        target: targetOf(request.id),
        comment,
        details: { operation: draft.operation.kind, applyAt: draft.applyAt },
        requestId,
        at: now,
      },
    ],
    environments: environmentsOf(draft.environments),
    receipt,
    answer: { status: 202, body: { changeRequest: { ...request, stale: false } }, shows: [] },
    read: sql`SELECT 1`,
  })
  return result.ok ? { ok: true, value: request } : result
}

function entryFor(request: ChangeRequest, actor: Actor, action: string, author: Author): AuditEntry {
  const { comment, now, requestId } = author
  return {
    actor: actor.id,
    via: actor.via,
    action: `change_request.${action}`,
    target: targetOf(request.id),
    comment,
    details: { operation: request.operation.kind, author: request.author.id },
    requestId,
    at: now,
  }
}

/** Ends the waiting without the change, or lets it wait on for its time. */
export async function decideChangeRequest(
  database: D1Database,
  request: ChangeRequest,
  decision: Decision,
  actor: Actor,
  author: Author,
): Promise<Result<ChangeRequest, ChangeError>> {
  const { comment, now, receipt } = author
  const state = ({ approve: 'scheduled', reject: 'rejected', cancel: 'cancelled' } as const)[decision]
  const decided = { state, decidedBy: actor, decision: comment, decidedAt: now }
  const db = drizzle(database)
  const result = await commit(database, {
    guards: [
      decision === 'cancel'
        ? isIn(request.id, 'awaiting_approval', 'scheduled')
        : isIn(request.id, 'awaiting_approval'),
      ...(decision === 'approve' ? [isStillFresh(request.id)] : []),
    ],
    writes: [db.update(changeRequests).set(decided).where(eq(changeRequests.id, request.id))],
    entries: [entryFor(request, actor, decision, author)],
    environments: environmentsOf(request.environments),
    receipt,
    answer: {
      status: 200,
      body: { changeRequest: { ...request, ...decided, stale: false }, environments: {} },
      shows: [],
    },
    read: sql`SELECT 1`,
  })
  return result.ok ? { ok: true, value: { ...request, ...decided } } : result
}

/**
 * Does what waited, and ends its waiting in the same batch: it happens once, however many try.
 * @param approver who approved it just now; undefined when its time has come
 */
export async function applyChangeRequest(
  workbench: Workbench,
  request: ChangeRequest,
  approver: Actor | undefined,
  author: Author,
): Promise<Result<Committed, SaveError>> {
  const { id, comment, operation } = request
  const pending = approver ? 'awaiting_approval' : 'scheduled'
  if (request.state !== pending) return err({ reason: 'not_pending' })
  const original: Author = {
    ...author,
    actor: request.author.id,
    via: request.author.via,
    comment,
  }
  const planned = await planOperation(workbench, operation, original)
  if (!planned.ok) return planned
  const by = approver ?? request.decidedBy
  const finished = {
    state: 'applied',
    finishedAt: author.now,
    ...(approver ? { decidedBy: approver, decision: author.comment, decidedAt: author.now } : {}),
  } as const
  const shown = { ...request, ...finished, stale: false }
  const answer: Answer = { status: 200, body: { changeRequest: shown }, shows: ['environments'] }
  const change = { ...planned.value, answer }
  return commitChange(workbench.database, change, original, {
    guards: [isIn(id, pending), isStillFresh(id)],
    writes: [
      drizzle(workbench.database).update(changeRequests).set(finished).where(eq(changeRequests.id, id)),
    ],
    entries: approver ? [entryFor(request, approver, 'approve', author)] : [],
    details: { changeRequest: id, ...(by ? { approvedBy: by.id } : {}) },
  })
}

async function recordFailure(
  database: D1Database,
  request: ChangeRequest,
  error: SaveError | { readonly reason: 'not_allowed' },
  author: Author,
): Promise<void> {
  const { code, message, details } =
    error.reason === 'not_allowed'
      ? { code: 'not_allowed', message: 'whoever asked for it may no longer do it', details: undefined }
      : toRefusal(error)
  const failure = { code, message, ...(details === undefined ? {} : { details }) }
  await commit(database, {
    guards: [isIn(request.id, 'scheduled')],
    writes: [
      drizzle(database)
        .update(changeRequests)
        .set({ state: 'failed', finishedAt: author.now, failure })
        .where(eq(changeRequests.id, request.id)),
    ],
    entries: [
      {
        ...entryFor(request, { ...request.author, id: author.actor, via: author.via }, 'fail', author),
        details: { operation: request.operation.kind, code },
      },
    ],
    environments: environmentsOf(request.environments),
    receipt: undefined,
    answer: { status: 200, body: {}, shows: [] },
    read: sql`SELECT 1`,
  })
}

/** The next scheduled changes whose time has come, after the last that was looked at. */
async function loadDue(
  database: D1Database,
  now: number,
  last: ChangeRequest | undefined,
): Promise<ChangeRequest[]> {
  const { state, applyAt, createdAt, id } = changeRequests
  const behind =
    last && sql`(${applyAt}, ${createdAt}, ${id}) > (${last.applyAt}, ${last.createdAt}, ${last.id})`
  return drizzle(database)
    .select()
    .from(changeRequests)
    .where(and(eq(state, 'scheduled'), lte(applyAt, now), behind))
    .orderBy(asc(applyAt), asc(createdAt), asc(id))
    .limit(PAGE_DUE)
}

/**
 * Applies every scheduled change whose time has come, each once, or records why it could not be.
 * @param isStillAllowed whether a change's author may still make it
 * @returns what was committed, to be published
 */
export async function applyDue(
  workbench: Workbench,
  isStillAllowed: (author: Actor, request: ChangeRequest) => Promise<boolean>,
  author: Author,
): Promise<readonly Committed[]> {
  const committed: Committed[] = []
  let last: ChangeRequest | undefined
  for (;;) {
    const due = await loadDue(workbench.database, author.now, last)
    for (const request of due) {
      try {
        const result = (await isStillAllowed(request.author, request))
          ? await applyChangeRequest(workbench, request, undefined, author)
          : err({ reason: 'not_allowed' } as const)
        if (result.ok) committed.push(result.value)
        // Another tick was first.
        else if (result.error.reason !== 'not_pending') {
          await recordFailure(workbench.database, request, result.error, author)
        }
      } catch (error) {
        // It stays scheduled, and the next tick tries again; those behind it are not held up.
        console.error('scheduled change not applied', { id: request.id, error: String(error) })
      }
    }
    last = due.at(-1)
    if (due.length < PAGE_DUE) break
  }
  return committed
}
