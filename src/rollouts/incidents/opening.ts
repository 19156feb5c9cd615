// The incident that a rollback opens: composed from what was decided, written in the rollback's own batch. Pure.
import { sql } from 'drizzle-orm'
import { toChunks } from '../../catalog/chunks.ts'
import { environments } from '../../catalog/tables.ts'
import type { Statement } from '../../ledger/statement.ts'
import type { Notice } from '../../notifications/notification.ts'
import { incidentNotes, incidents } from '../tables.ts'
import { ACKNOWLEDGE_WITHIN_MS, type IncidentFacts, type ShareFact } from './facts.ts'
import { beganAt, detectedAt, factsOf, type Opening, sharesOf } from './opening-facts.ts'
import { sayCount, sayInstant } from './words.ts'

/** What is written and told of rollbacks. The statements belong behind those that raise the environment's version. */
export type Opened = { readonly statements: readonly Statement[]; readonly notices: readonly Notice[] }

/** The id of the incident that a rollback opens: the same however often its batch is repeated. */
export function incidentIdOf({ rollout, decision }: Opening): string {
  return `${rollout.id}-${decision.progress.epoch}`
}

/** A step that follows another one of the same rollback: it belongs to that one's incident. */
function isFurther({ rollout }: Opening): boolean {
  return rollout.progress.state === 'rolling_back'
}

function sayShares(shares: readonly ShareFact[]): string {
  return shares
    .map(({ audience, before, after }) => `"${audience}" from ${before} % to ${after} %`)
    .join(', ')
}

function sayMode({ mode, audiences, shares }: IncidentFacts): string {
  const taken = {
    immediate: 'Taken back at once',
    gradual: 'Taken back step by step',
    partial: 'Taken back in part',
  }
  const concerned = audiences === null ? shares : shares.filter((_, place) => audiences.includes(place))
  return `${taken[mode ?? 'immediate']}: ${sayShares(concerned)}.`
}

/** The first notes of an incident: evidence first, then what is known of where and since when, then what was done. */
function firstNotes(opening: Opening, facts: IncidentFacts, began: number | null, comment: string): string[] {
  const { stage, affected, guards } = facts
  const { words } = opening.decision.reason
  const others = guards
    .filter((guard) => !words.includes(guard.words))
    .map((guard) => `${guard.metric}: ${guard.words}`)
  const where = stage ? `It was at stage "${stage.name}"` : 'It had not reached a stage'
  const units =
    affected === null
      ? 'how many units were treated is not known'
      : `${sayCount(affected)} units were treated`
  const since = began === null ? '' : ` What broke it most likely began at ${sayInstant(began)}.`
  return [
    `${[words, ...others].join('\n')}${comment === '' ? '' : `\n${comment}`}`,
    `${where}; ${units}.${since}`,
    sayMode(facts),
  ]
}

type Composed = {
  readonly row: readonly unknown[]
  readonly notes: readonly (readonly unknown[])[]
  readonly notice: Notice
}

function compose(opening: Opening, actor: string, comment: string, at: number): Composed {
  const { rollout, decision } = opening
  const { environment, flag, variant } = rollout.plan
  const id = incidentIdOf(opening)
  const facts = factsOf(opening)
  const began = beganAt(opening)
  const detected = detectedAt(opening, at)
  const title = `${flag} in ${environment}: "${variant}" was taken back${facts.mode === 'partial' ? ' in part' : ''}`
  const acknowledgeBy = at + ACKNOWLEDGE_WITHIN_MS[facts.phase ?? 'ramping']
  const isWhole = decision.progress.state !== 'rolling_back'
  const words = firstNotes(opening, facts, began, comment)
  return {
    row: [
      id,
      environment,
      flag,
      rollout.id,
      title,
      decision.reason,
      facts,
      began,
      detected,
      acknowledgeBy,
      Number(isWhole),
    ],
    notes: words.map((text, index) => [id, index + 1, text]),
    notice: {
      id: `${id}-opened`,
      environment,
      kind: 'incident.opened',
      title,
      text: [...words, `Somebody should acknowledge it by ${sayInstant(acknowledgeBy)}.`].join('\n'),
      path: `/incidents/${id}`,
      facts: {
        incident: id,
        rollout: rollout.id,
        flag,
        environment,
        variant,
        by: actor,
        reason: decision.reason.code,
        subject: decision.reason.subject ?? null,
        stage: facts.stage?.name ?? null,
        mode: facts.mode,
        affected: facts.affected,
        beganAt: began,
        detectedAt: detected,
        acknowledgeBy,
      },
      at,
    },
  }
}

/** The version that the batch has just made. */
const newVersion = sql`(SELECT version FROM ${environments} WHERE key = incidents.environment)`

function openingStatements(composed: readonly Composed[], actor: string, at: number): Statement[] {
  return [
    ...toChunks(composed.map(({ row }) => row)).map(
      (
        chunk,
      ) => sql`INSERT INTO ${incidents} (id, environment, flag, rollout, state, title, reason, facts, began_at,
          detected_at, committed_at, safe_version, verification, acknowledge_by, revision, created_at, updated_at)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 'open', value ->> 4, value -> 5, value -> 6,
          value ->> 7, value ->> 8, ${at},
          CASE WHEN value ->> 10 THEN (SELECT version FROM ${environments} WHERE key = value ->> 1) END,
          'pending', value ->> 9, 1, ${at}, ${at} FROM json_each(${chunk}) WHERE true ON CONFLICT (id) DO NOTHING`,
    ),
    ...toChunks(composed.flatMap(({ notes }) => notes)).map(
      (chunk) => sql`INSERT INTO ${incidentNotes} (incident, at, number, actor, words)
        SELECT value ->> 0, ${at}, value ->> 1, ${actor}, value ->> 2 FROM json_each(${chunk}) WHERE true
        ON CONFLICT (incident, number) DO NOTHING`,
    ),
  ]
}

/** Steps that follow: a note each, and the safe version once nobody is given anything any more. */
function furtherStatements(further: readonly Opening[], actor: string, at: number): Statement[] {
  const rows = further.map((opening) => {
    const { rollout, decision } = opening
    const words = `${decision.reason.words}: ${sayShares(sharesOf(opening))}.`
    return [rollout.id, words, Number(decision.progress.state === 'rolled_back')]
  })
  return toChunks(rows).flatMap((chunk) => [
    sql`INSERT INTO ${incidentNotes} (incident, at, number, actor, words)
      SELECT incidents.id, ${at}, (SELECT coalesce(max(number), 0) + 1 FROM ${incidentNotes} WHERE incident = incidents.id),
        ${actor}, value ->> 1
      FROM json_each(${chunk}) JOIN ${incidents} ON incidents.id = (SELECT id FROM ${incidents}
        WHERE rollout = value ->> 0 ORDER BY created_at DESC, id DESC LIMIT 1)`,
    sql`UPDATE ${incidents} SET safe_version = ${newVersion}, revision = revision + 1, updated_at = ${at}
      WHERE safe_version IS NULL AND rollout IN (SELECT value ->> 0 FROM json_each(${chunk}) WHERE value ->> 2)`,
  ])
}

/**
 * What rollbacks of one environment open: an incident each, with its first notes. A step that follows another of the
 * same rollback is noted in that one's incident. However many there are, it is about the same number of statements.
 */
export function openIncidents(
  openings: readonly Opening[],
  { actor, comment, now }: { readonly actor: string; readonly comment: string; readonly now: number },
): Opened {
  const composed = openings
    .filter((opening) => !isFurther(opening))
    .map((opening) => compose(opening, actor, comment, now))
  return {
    statements: [
      ...openingStatements(composed, actor, now),
      ...furtherStatements(openings.filter(isFurther), actor, now),
    ],
    notices: composed.map(({ notice }) => notice),
  }
}

/** What one rollback opens. */
export function incidentOpening({
  actor,
  at,
  ...opening
}: Opening & { readonly actor: string; readonly at: number }): Opened & { readonly id: string } {
  return { id: incidentIdOf(opening), ...openIncidents([opening], { actor, comment: '', now: at }) }
}
