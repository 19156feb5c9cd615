// Features × audiences: what each is given now, and what it is to be given. Drafts are changed here, many at once.
import { and, eq, inArray, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { canonicalJson } from '../catalog/difference.ts'
import { environments } from '../catalog/tables.ts'
import type { Condition } from '../engine/flag.ts'
import { isJsonObject, type JsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import { type Answer, commit } from '../ledger/commit.ts'
import { STANDING_STATES } from './attachments.ts'
import { type DraftError, planDraftChange } from './drafts.ts'
import { type FoundRollout, findRollout } from './found-rollout.ts'
import { audienceAt, audiencesOf, grantedPercentage, plannedPercentage } from './grants.ts'
import type { Rollout } from './rollout.ts'
import { toRollout } from './rollout-store.ts'
import { rollouts } from './tables.ts'

const MAX_ROWS = 200

/** What a feature gives an audience: `present` now, `planned` when its rollout is through. */
export type MatrixCell = { readonly audience: string; readonly present: number; readonly planned: number }

/** How an audience is called in the matrix: a segment by its key, everyone as '', others as their condition. */
export function audienceKey(condition: Condition | null): string {
  if (condition === null) return ''
  return 'segment' in condition ? condition.segment : canonicalJson(condition)
}

function cellsOf({ plan, progress }: Rollout): MatrixCell[] {
  const last = plan.stages.length - 1
  return audiencesOf(plan).map(({ condition }, place) => ({
    audience: audienceKey(condition),
    present: progress.stage < 0 ? 0 : grantedPercentage(plan, progress, place),
    planned: plannedPercentage(plan, last, place),
  }))
}

/** The matrix of an environment: every rollout that is planned or goes on. */
export async function loadMatrix(database: D1Database, environment: string) {
  const rows = await drizzle(database)
    .select()
    .from(rollouts)
    .where(and(eq(rollouts.environment, environment), inArray(rollouts.state, ['draft', ...STANDING_STATES])))
    .orderBy(rollouts.flag, rollouts.createdAt)
    .limit(MAX_ROWS)
  const features = rows.map(toRollout).map((rollout) => ({
    rollout: rollout.id,
    flag: rollout.plan.flag,
    variant: rollout.plan.variant,
    state: rollout.progress.state,
    revision: rollout.revision,
    cells: cellsOf(rollout),
  }))
  const audiences = [...new Set(features.flatMap(({ cells }) => cells.map(({ audience }) => audience)))]
  return { audiences: audiences.sort(), features }
}

/** What a draft is to give some audiences in the end, by their names in the matrix. */
export type MatrixEdit = {
  readonly rollout: string
  readonly revision: number
  readonly cells: readonly { readonly audience: string; readonly percentage: number }[]
}

const NEW_STAGE_HOLD = '1d'

/** The stages of a draft with another percentage in the last one of an audience; a new stage where it has none. */
function withCell(
  { rollout }: FoundRollout,
  stages: readonly JsonObject[],
  { audience, percentage }: MatrixEdit['cells'][number],
): readonly JsonObject[] {
  const { plan } = rollout
  const known = audiencesOf(plan).findIndex(({ condition }) => audienceKey(condition) === audience)
  const places = plan.stages.map((_, place) => audienceAt(plan, place))
  const last = known < 0 ? -1 : places.lastIndexOf(known)
  if (last >= 0) return stages.map((stage, place) => (place === last ? { ...stage, percentage } : stage))
  const isEveryone = audience === ''
  const stage = {
    name: isEveryone ? 'all' : audience,
    audience: isEveryone ? null : { segment: audience },
    percentage,
    hold: NEW_STAGE_HOLD,
  }
  // A narrower audience comes before everyone.
  return isEveryone ? [...stages, stage] : [stage, ...stages]
}

function editedStages(found: FoundRollout, cells: MatrixEdit['cells']): readonly JsonObject[] {
  const { stages } = found.draft
  const drafted = Array.isArray(stages) ? stages.filter(isJsonObject) : []
  const isNew = ({ audience }: MatrixEdit['cells'][number]) =>
    !audiencesOf(found.rollout.plan).some(({ condition }) => audienceKey(condition) === audience)
  // New stages come last: they move the places of the others.
  const inOrder = [...cells.filter((cell) => !isNew(cell)), ...cells.filter(isNew)]
  return inOrder.reduce<readonly JsonObject[]>((edited, cell) => withCell(found, edited, cell), drafted)
}

/** What becomes of the drafts, with their new revisions. */
export type Edited = { readonly drafts: readonly { readonly rollout: string; readonly revision: number }[] }

/** Changes drafts of an environment, all of them or none. */
export async function editMatrix(
  database: D1Database,
  environment: string,
  edits: readonly MatrixEdit[],
  author: Author,
): Promise<Result<Edited, DraftError>> {
  const planned = []
  for (const { rollout: id, revision, cells } of edits) {
    const found = await findRollout(database, id)
    if (!found || found.rollout.plan.environment !== environment) {
      return err({ reason: 'not_found', what: `rollout "${id}" in "${environment}"` })
    }
    if (found.rollout.revision !== revision) return err({ reason: 'stale' })
    const changes = { stages: editedStages(found, cells) }
    const change = await planDraftChange(database, found, changes, author.now)
    if (!change.ok) return change
    planned.push(change.value)
  }
  const edited = { drafts: planned.map(({ after }) => ({ rollout: after.id, revision: after.revision })) }
  const answer: Answer = { status: 200, body: edited, shows: [] }
  const { actor, via, comment, requestId, now, receipt } = author
  const committed = await commit(database, {
    guards: planned.map(({ guard }) => guard),
    writes: planned.map(({ write }) => write),
    entries: planned.map(({ after }) => ({
      ...{ actor, via, comment, requestId, at: now, action: 'rollout.change' },
      target: { kind: 'rollout', key: after.id },
      details: { flag: after.plan.flag, environment },
    })),
    environments: sql`(SELECT json_group_object(key, version) FROM ${environments}
      WHERE ${eq(environments.key, environment)})`,
    receipt,
    answer,
    read: sql`SELECT 1`,
  })
  return committed.ok ? ok(edited) : committed
}
