// What steps of rollouts of one environment come to: one change of the catalog, with their own rows in it.
import { sql } from 'drizzle-orm'
import type { Change, EntityWrite, Extras, RevisionWrite } from '../catalog/change.ts'
import { toChunks } from '../catalog/chunks.ts'
import {
  type MeasurementDraft,
  measurementEnds,
  measurementSaves,
  rolloutEntity,
} from '../catalog/measurements.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { environments } from '../catalog/tables.ts'
import type { JsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import type { Answer, AuditEntry, Guard } from '../ledger/commit.ts'
import type { Statement } from '../ledger/statement.ts'
import type { Notice } from '../notifications/notification.ts'
import { noticeStatements } from '../notifications/outbox.ts'
import type { Decision } from './decision.ts'
import { noticesOf } from './deed-notices.ts'
import { atEdge } from './edge.ts'
import { foldPart } from './fold.ts'
import { openIncidents } from './incidents/opening.ts'
import type { Reading } from './observations.ts'
import type { Part } from './part.ts'
import type { Rollout } from './rollout.ts'
import { rolloutDecisions, rollouts } from './tables.ts'

/** A decision that is to be carried out, about a rollout as it was read. */
export type Step = {
  readonly rollout: Rollout
  readonly decision: Decision
  /** What it was decided from, so that it can be replayed; null where it rests on no counts. */
  readonly evidence: JsonObject | null
  /** What the guards said; left out where nothing was read. */
  readonly reading?: Reading | null
  /** What goes into the same batch, whole or not at all with it. */
  readonly extras?: {
    readonly guards?: readonly Guard[]
    readonly writes?: readonly Statement[]
    readonly entities?: readonly EntityWrite[]
    readonly revisions?: readonly RevisionWrite[]
    /** What the request is answered with; of a step by itself. */
    readonly answer?: Answer
    /** What the audit is told beside the step itself. */
    readonly entries?: readonly AuditEntry[]
  }
}

/** Steps as one change. */
export type StepChange = { readonly change: Change; readonly extras: Extras }

/** Whether a step changes the rollout's own row; one that does not is only written down. */
export function changesRow({ rollout, decision }: Step): boolean {
  return decision.progress !== rollout.progress
}

/** What becomes of the edge. */
type EdgeWrites = {
  readonly entities: readonly EntityWrite[]
  readonly saved: readonly MeasurementDraft[]
  readonly ended: readonly string[]
}

function edgeWrites(environment: string, steps: readonly Step[]): EdgeWrites {
  const entities: EntityWrite[] = []
  const saved: MeasurementDraft[] = []
  const ended: string[] = []
  for (const { rollout, decision } of steps) {
    const before = atEdge(rollout, rollout.progress)
    const after = atEdge(rollout, decision.progress)
    if (JSON.stringify(before.grants) !== JSON.stringify(after.grants)) {
      entities.push(rolloutEntity(environment, rollout.plan.flag, after.grants))
    }
    if (JSON.stringify(before.measurement) === JSON.stringify(after.measurement)) continue
    if (after.measurement) saved.push(after.measurement)
    else ended.push(rollout.id)
  }
  return { entities, saved, ended }
}

function freshGuards(steps: readonly Step[]): Guard[] {
  const rows = steps.map(({ rollout }) => [rollout.id, rollout.revision])
  return toChunks(rows).map((chunk) => ({
    column: 'fresh',
    holds: sql`NOT EXISTS (SELECT 1 FROM json_each(${chunk}) AS step
      LEFT JOIN ${rollouts} ON rollouts.id = step.value ->> 0 WHERE rollouts.revision IS NOT step.value ->> 1)`,
  }))
}

function rowStatements(steps: readonly Step[], now: number): Statement[] {
  const rows = steps.filter(changesRow).map(({ rollout, decision: { progress } }) => {
    const isGranted = progress.epoch !== rollout.progress.epoch && progress.grantedVersion === null
    return [rollout.id, progress.state, progress, Number(isGranted)]
  })
  return toChunks(rows).map(
    // The environment has its new version by now.
    (chunk) => sql`UPDATE ${rollouts} SET state = step.state, revision = revision + 1, updated_at = ${now},
      progress = CASE WHEN step.granted THEN json_set(step.progress, '$.grantedVersion',
        (SELECT version FROM ${environments} WHERE key = rollouts.environment)) ELSE step.progress END
      FROM (SELECT value ->> 0 AS id, value ->> 1 AS state, value -> 2 AS progress, value ->> 3 AS granted
        FROM json_each(${chunk})) AS step WHERE rollouts.id = step.id`,
  )
}

function decisionStatements(steps: readonly Step[], { actor, comment, now }: Author): Statement[] {
  const rows = steps.map(({ rollout, decision: { deed, reason, progress, proven }, evidence }) => [
    ...[rollout.id, deed, reason, progress.stage, progress.epoch],
    ...[proven === null ? null : Number(proven), evidence],
  ])
  return toChunks(rows).map(
    (chunk) => sql`INSERT INTO ${rolloutDecisions}
      (rollout, at, deed, reason, actor, comment, stage, epoch, proven, evidence)
      SELECT value ->> 0, ${now}, value ->> 1, value -> 2, ${actor}, ${comment}, value ->> 3, value ->> 4, value ->> 5,
        nullif(value -> 6, 'null') FROM json_each(${chunk}) ORDER BY json_each.key`,
  )
}

function entryOf({ rollout, decision }: Step, author: Author): AuditEntry {
  const { actor, via, comment, requestId, now } = author
  const { deed, reason, progress } = decision
  return {
    ...{ actor, via, comment, requestId, at: now },
    action: `rollout.${deed}`,
    target: { kind: 'rollout', key: rollout.id },
    details: {
      flag: rollout.plan.flag,
      environment: rollout.plan.environment,
      reason,
      state: progress.state,
      stage: progress.stage,
      epoch: progress.epoch,
    },
  }
}

/** What becomes of the flags of rollouts that are done. */
async function foldFinished(
  database: D1Database,
  steps: readonly Step[],
  now: number,
  spent: { calls: number },
): Promise<Result<readonly Part[], SaveError>> {
  const parts: Part[] = []
  for (const { rollout, decision } of steps) {
    if (decision.deed !== 'finish') continue
    spent.calls++
    const part = await foldPart(database, { ...rollout, progress: decision.progress }, now)
    if (!part.ok) return part
    parts.push(part.value)
  }
  return ok(parts)
}

/**
 * Composes the change that carries out steps of one environment: their rows, what was decided, grants, measurements,
 * notices. However many there are, it is about the same number of statements.
 */
export async function composeSteps(
  database: D1Database,
  author: Author,
  steps: readonly [Step, ...Step[]],
  spent: { calls: number },
): Promise<Result<StepChange, SaveError>> {
  const [first] = steps
  const { environment } = first.rollout.plan
  const { entities, saved, ended } = edgeWrites(environment, steps)
  const folded = await foldFinished(database, steps, author.now, spent)
  if (!folded.ok) return folded
  if (saved.length > 0) spent.calls++
  const saves = await measurementSaves(database, environment, saved, author.now)
  if (!saves.ok) return saves
  for (const problems of saves.value.refused.values()) return err({ reason: 'invalid', problems })
  const ends = measurementEnds(environment, ended)
  const { part } = saves.value
  const parts = [...folded.value, ...steps.flatMap(({ extras }) => extras ?? [])]
  const notices: Notice[] = steps.flatMap(({ rollout, decision }) =>
    noticesOf(rollout, decision, author.comment, author.now),
  )
  const opened = openIncidents(
    steps.filter(({ decision }) => decision.deed === 'rollback'),
    author,
  )
  const entries = steps.map((step) => entryOf(step, author))
  const { action, target, details } = entryOf(first, author)
  return ok({
    change: {
      ...{ action, target, details },
      guards: [
        ...freshGuards(steps),
        ...part.guards,
        ...ends.guards,
        ...parts.flatMap(({ guards = [] }) => guards),
      ],
      writes: [...part.writes, ...ends.writes, ...parts.flatMap(({ writes = [] }) => writes)],
      entities: [
        ...entities,
        ...part.entities,
        ...ends.entities,
        ...parts.flatMap(({ entities = [] }) => entities),
      ],
      revisions: parts.flatMap(({ revisions = [] }) => revisions),
      ...(first.extras?.answer ? { answer: first.extras.answer } : {}),
    },
    extras: {
      writes: [
        ...rowStatements(steps, author.now),
        ...decisionStatements(steps, author),
        ...opened.statements,
        ...noticeStatements(...notices, ...opened.notices),
      ],
      entries: [...entries.slice(1), ...steps.flatMap(({ extras }) => extras?.entries ?? [])],
    },
  })
}
