// Drafts of rollouts: made, changed and thrown away. Nothing of them is at the edge.
import { eq, type SQL, sql } from 'drizzle-orm'
import { randomHex } from '../access/key.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { createSeed } from '../catalog/seeds.ts'
import { environments } from '../catalog/tables.ts'
import type { JsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import { type Answer, commit, type Guard } from '../ledger/commit.ts'
import type { Statement } from '../ledger/statement.ts'
import type { FoundRollout } from './found-rollout.ts'
import type { Plan } from './plan.ts'
import { groundPlan } from './plan-ground.ts'
import { newProgress } from './progress.ts'
import type { Rollout } from './rollout.ts'
import { toView } from './rollout-view.ts'
import { rolloutDecisions, rolloutDrills, rolloutSignals, rollouts } from './tables.ts'

/** Why nothing became of a draft. */
export type DraftError = SaveError | { readonly reason: 'not_a_draft'; readonly state: string }

type Part = {
  readonly action: string
  readonly rollout: Rollout
  readonly guards: readonly Guard[]
  readonly writes: readonly Statement[]
  readonly answer: Answer
}

/** What has happened to a rollout without the edge: a batch with its audit and answer. */
export async function commitBeside(
  database: D1Database,
  { action, rollout, guards, writes, answer }: Part,
  { actor, via, comment, requestId, now, receipt }: Author,
): Promise<Result<Answer, SaveError>> {
  const { flag, environment } = rollout.plan
  const own = eq(environments.key, environment)
  const committed = await commit(database, {
    guards: [{ column: 'fresh', holds: sql`EXISTS (SELECT 1 FROM ${environments} WHERE ${own})` }, ...guards],
    writes,
    entries: [
      {
        ...{ actor, via, comment, requestId, at: now, action },
        target: { kind: 'rollout', key: rollout.id },
        details: { flag, environment },
      },
    ],
    environments: sql`(SELECT json_group_object(key, version) FROM ${environments} WHERE ${own})`,
    receipt,
    answer,
    read: sql`SELECT 1`,
  })
  return committed.ok ? ok(answer) : committed
}

/** A guard: the draft stands as it was read. */
function isDraftAt({ id, revision }: Rollout): Guard {
  return {
    column: 'fresh',
    holds: sql`EXISTS (SELECT 1 FROM ${rollouts}
      WHERE ${eq(rollouts.id, id)} AND ${eq(rollouts.revision, revision)} AND ${eq(rollouts.state, 'draft')})`,
  }
}

/** What a rollout goes on from that is tried again. */
export type Predecessor = Pick<Rollout, 'id' | 'seed' | 'reversed'>

function insertion({ id, plan, seed, reversed, progress, ...rest }: Rollout, draft: JsonObject): SQL {
  const { flag, environment } = plan
  const { revision, retries, createdBy, createdAt, updatedAt } = rest
  return sql`INSERT INTO ${rollouts} (id, environment, flag, state, plan, draft, seed, reversed, progress, revision,
      retries, created_by, created_at, updated_at)
    VALUES (${id}, ${environment}, ${flag}, ${progress.state}, ${JSON.stringify(plan)}, ${JSON.stringify(draft)},
      ${seed}, ${Number(reversed)}, ${JSON.stringify(progress)}, ${revision}, ${retries}, ${createdBy},
      ${createdAt}, ${updatedAt})`
}

function newRollout(plan: Plan, { actor, now }: Author, before: Predecessor | null): Rollout {
  return {
    // Twelve hex digits: 48 random bits, of which a collision is refused by the table.
    id: randomHex(6),
    plan,
    seed: before?.seed ?? createSeed(),
    reversed: before?.reversed ?? false,
    progress: newProgress(),
    revision: 1,
    retries: before?.id ?? null,
    ...{ createdBy: actor, createdAt: now, updatedAt: now, startedBy: null },
  }
}

/** Makes a draft of a plan; of one that is tried again, its units fall where they fell. */
export async function createDraft(
  database: D1Database,
  draft: JsonObject,
  author: Author,
  before: Predecessor | null = null,
): Promise<Result<Answer, SaveError>> {
  const grounded = await groundPlan(database, draft)
  if (!grounded.ok) return grounded
  const rollout = newRollout(grounded.value.plan, author, before)
  const answer: Answer = { status: 201, body: toView(rollout, draft), shows: [] }
  const writes = [insertion(rollout, draft)]
  return commitBeside(database, { action: 'rollout.create', rollout, guards: [], writes, answer }, author)
}

/** A draft's plan with some fields replaced, or taken away where they are null; flag and environment stay. */
function patched({ draft, rollout }: FoundRollout, changes: JsonObject): JsonObject {
  const fields = new Map(Object.entries(draft))
  for (const [field, value] of Object.entries(changes)) {
    if (value === null) fields.delete(field)
    else fields.set(field, value)
  }
  const { flag, environment } = rollout.plan
  return { ...Object.fromEntries(fields), flag, environment }
}

/** What changes a draft, to go into any batch; and how it is then. */
export async function planDraftChange(
  database: D1Database,
  found: FoundRollout,
  changes: JsonObject,
  now: number,
): Promise<
  Result<
    { readonly after: Rollout; readonly draft: JsonObject; readonly guard: Guard; readonly write: SQL },
    DraftError
  >
> {
  const { rollout } = found
  if (rollout.progress.state !== 'draft') return err({ reason: 'not_a_draft', state: rollout.progress.state })
  const draft = patched(found, changes)
  const grounded = await groundPlan(database, draft)
  if (!grounded.ok) return grounded
  const { plan } = grounded.value
  const after = { ...rollout, plan, revision: rollout.revision + 1, updatedAt: now }
  return ok({
    after,
    draft,
    guard: isDraftAt(rollout),
    write: sql`UPDATE ${rollouts} SET plan = ${JSON.stringify(plan)}, draft = ${JSON.stringify(draft)},
      revision = revision + 1, updated_at = ${now} WHERE ${eq(rollouts.id, rollout.id)}`,
  })
}

/** Changes the plan of a draft that stands at a revision. */
export async function changeDraft(
  database: D1Database,
  found: FoundRollout,
  changes: JsonObject,
  revision: number,
  author: Author,
): Promise<Result<Answer, DraftError>> {
  if (found.rollout.revision !== revision) return err({ reason: 'stale' })
  const planned = await planDraftChange(database, found, changes, author.now)
  if (!planned.ok) return planned
  const { after, draft, guard, write } = planned.value
  const answer: Answer = { status: 200, body: toView(after, draft), shows: [] }
  const part = { action: 'rollout.change', rollout: after, guards: [guard], writes: [write], answer }
  return commitBeside(database, part, author)
}

/** Throws a draft away that stands at a revision. */
export async function deleteDraft(
  database: D1Database,
  { rollout }: FoundRollout,
  revision: number,
  author: Author,
): Promise<Result<Answer, DraftError>> {
  const { id, progress } = rollout
  if (progress.state !== 'draft') return err({ reason: 'not_a_draft', state: progress.state })
  if (rollout.revision !== revision) return err({ reason: 'stale' })
  const beside = [rolloutDecisions, rolloutSignals, rolloutDrills]
  const writes = [
    ...beside.map((table) => sql`DELETE FROM ${table} WHERE ${eq(table.rollout, id)}`),
    sql`DELETE FROM ${rollouts} WHERE ${eq(rollouts.id, id)}`,
  ]
  const answer: Answer = { status: 200, body: { id }, shows: [] }
  const part = { action: 'rollout.delete', rollout, guards: [isDraftAt(rollout)], writes, answer }
  return commitBeside(database, part, author)
}
