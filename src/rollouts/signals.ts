// Signals from outside: CI, security scanners, support desks, people. The clock acts on them at its next tick.
import { and, desc, eq, lt, or } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { randomHex } from '../access/key.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import type { Answer } from '../ledger/commit.ts'
import type { DeedError } from './deeds.ts'
import { commitBeside } from './drafts.ts'
import type { Signal } from './observations.ts'
import type { RolloutState } from './progress.ts'
import type { Rollout } from './rollout.ts'
import { rolloutSignals } from './tables.ts'

/** States in which nobody listens any more. */
const ENDED: readonly RolloutState[] = ['rolled_back', 'done', 'cancelled']
const OPEN: readonly RolloutState[] = [
  ...(['draft', 'awaiting_approval', 'scheduled', 'running', 'paused', 'rolling_back', 'watching'] as const),
]

/** A signal as it is sent. */
export type SignalDraft = Pick<Signal, 'kind' | 'passed' | 'link' | 'note'>

/** Writes a signal down; whoever sent it is its author. */
export async function giveSignal(
  database: D1Database,
  rollout: Rollout,
  draft: SignalDraft,
  author: Author,
): Promise<Result<Signal, SaveError | Extract<DeedError, { reason: 'wrong_state' }>>> {
  const { state } = rollout.progress
  if (ENDED.includes(state)) return err({ reason: 'wrong_state', state, allowed: OPEN })
  const signal = { ...draft, id: randomHex(8), at: author.now, author: author.actor }
  const answer: Answer = { status: 201, body: signal, shows: [] }
  const writes = [
    drizzle(database)
      .insert(rolloutSignals)
      .values({ ...signal, rollout: rollout.id }),
  ]
  const part = { action: 'rollout.signal', rollout, guards: [], writes, answer }
  const committed = await commitBeside(database, part, author)
  return committed.ok ? ok(signal) : committed
}

/** A page of a rollout's signals, newest first, below the one at `after`. */
export async function listSignals(
  database: D1Database,
  rollout: string,
  limit: number,
  after?: { readonly at: number; readonly id: string },
): Promise<readonly Signal[]> {
  const { id, kind, passed, at, author, link, note } = rolloutSignals
  const below = after && or(lt(at, after.at), and(eq(at, after.at), lt(id, after.id)))
  return drizzle(database)
    .select({ id, kind, passed, at, author, link, note })
    .from(rolloutSignals)
    .where(and(eq(rolloutSignals.rollout, rollout), below))
    .orderBy(desc(at), desc(id))
    .limit(limit)
}
