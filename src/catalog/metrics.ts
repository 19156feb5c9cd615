// Metrics: what is counted, defined once and for every environment.
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { type Problem, Problems } from '../engine/problem.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Guard } from '../ledger/commit.ts'
import type { Statement } from '../ledger/statement.ts'
import type { Attachments } from './attachments.ts'
import { type Change, type EntityWrite, isAtRevision, nextRevision } from './change.ts'
import { toChunks } from './chunks.ts'
import { areEnvironments, loadEnvironmentKeys } from './every-environment.ts'
import { type Metric, type MetricKind, metricText, unitKindOf } from './measurement.ts'
import { countMetrics, loadMetric, loadMetricUsers, type StoredMetric } from './metric-store.ts'
import type { MetricDraft, MetricNotes, Operation } from './operation.ts'
import type { SaveError } from './save-error.ts'
import { environments, metrics, references, revisions } from './tables.ts'

/** Every environment's snapshot has them all. */
export const MAX_METRICS = 500

/** What a key of a metric is: it stands in addresses as it is. */
export const METRIC_KEY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

const MAX_NAME = 200
const MAX_UNIT = 200

const CAPPED: readonly MetricKind[] = ['count', 'mean', 'ratio']
const BETTER_LOW: readonly MetricKind[] = ['error', 'latency', 'resource']

/** A metric with its notes, ready to be stored. */
export type NewMetric = Metric & MetricNotes

function checkName(field: string, name: string, longest: number, problems: Problems): void {
  if (name.length >= 1 && name.length <= longest) return
  problems.add(field, 'limit', `must have 1 to ${longest} characters`)
}

function checkDenominator({ kind, denominator }: MetricDraft, problems: Problems): void {
  if (kind === 'ratio' && denominator === null) {
    problems.add('denominator', 'type', 'must name the events that a ratio is divided by')
  } else if (kind !== 'ratio' && denominator !== null) {
    problems.add('denominator', 'type', 'must be null: only a ratio has one')
  } else if (denominator !== null) checkName('denominator', denominator, MAX_NAME, problems)
}

function checkCap({ kind, cap }: MetricDraft, problems: Problems): void {
  if (cap === null) return
  if (!CAPPED.includes(kind)) {
    problems.add('cap', 'type', `must be null: only ${CAPPED.join(', ')} have one`)
  } else if (!(Number.isFinite(cap) && cap > 0)) problems.add('cap', 'limit', 'must be more than 0')
}

/** Checks a metric, and fills in which direction is good where it is not said. */
export function parseMetric(key: string, draft: MetricDraft): Result<NewMetric, readonly Problem[]> {
  const { event, kind, denominator, unit, cap, preExposure, description, tags, owner } = draft
  const problems = new Problems()
  if (!METRIC_KEY.test(key)) {
    problems.add('key', 'type', 'must be 1 to 100 letters, digits, dots, dashes or underscores')
  }
  checkName('event', event, MAX_NAME, problems)
  checkName('unit', unit, MAX_UNIT, problems)
  if (unitKindOf(unit) !== unit) {
    problems.add('unit', 'type', `must be a kind of unit, as "${unitKindOf(unit)}", and no attribute`)
  }
  checkDenominator(draft, problems)
  checkCap(draft, problems)
  if (problems.found.length > 0) return err(problems.found)
  const goodDirection = draft.goodDirection ?? (BETTER_LOW.includes(kind) ? 'down' : 'up')
  const metric = { key, event, kind, denominator, unit, goodDirection, cap, preExposure }
  return ok({ ...metric, description, tags, owner })
}

/** What people change of a metric, as its revisions hold it. */
export function toMetricDraft(metric: NewMetric): MetricDraft {
  const { event, kind, denominator, unit, goodDirection, cap, preExposure } = metric
  const { description, tags, owner } = metric
  return { event, kind, denominator, unit, goodDirection, cap, preExposure, description, tags, owner }
}

/** What is searched when a metric is looked for. */
function metricSearch({ key, event, description, owner, tags }: NewMetric): string {
  return [key, event, description, owner, ...tags].join(' ').toLowerCase()
}

/** The entity that a metric is in an environment's snapshot. */
export function metricEntity(environment: string, metric: Metric): EntityWrite {
  return { environment, kind: 'metrics', key: metric.key, text: metricText(toMetric(metric)) }
}

function toMetric({ key, event, kind, denominator, unit, goodDirection, cap, preExposure }: Metric): Metric {
  return { key, event, kind, denominator, unit, goodDirection, cap, preExposure }
}

/** Statements that store new metrics, however many. */
export function metricInserts(all: readonly NewMetric[], now: number): Statement[] {
  const rows = all.map((metric) => [
    metric.key,
    metric.event,
    metric.kind,
    metric.denominator,
    metric.unit,
    metric.goodDirection,
    metric.cap,
    Number(metric.preExposure),
    metric.description,
    JSON.stringify(metric.tags),
    metric.owner,
    metricSearch(metric),
  ])
  return toChunks(rows).map(
    (
      chunk,
    ) => sql`INSERT INTO ${metrics} (key, event, kind, denominator, unit, good_direction, cap, pre_exposure,
        description, tags, owner, search, revision, created_at, updated_at)
      SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
        value ->> 8, value ->> 9, value ->> 10, value ->> 11, 1 + coalesce((SELECT max(revision) FROM ${revisions}
          WHERE kind = 'metric' AND environment = '' AND key = value ->> 0), 0), ${now}, ${now}
      FROM json_each(${chunk})`,
  )
}

const revisionOf = (key: string) => ({ kind: 'metric', environment: '', key }) as const

function isMetricAt(key: string, revision: number): Guard {
  return isAtRevision(sql`${metrics}`, eq(metrics.key, key), revision)
}

/** A guard: no measurement watches the metric. */
function isUnwatched(key: string): Guard {
  return {
    column: 'unreferenced',
    holds: sql`NOT EXISTS (SELECT 1 FROM ${references} WHERE (environment, to_kind, to_key) IN
      (SELECT key, 'metrics', ${key} FROM ${environments}))`,
  }
}

/** Whether the same events would count otherwise from now on. */
function isRedefined(before: Metric, after: Metric): boolean {
  const { event, kind, denominator, unit, cap } = before
  return (
    event !== after.event ||
    kind !== after.kind ||
    denominator !== after.denominator ||
    unit !== after.unit ||
    cap !== after.cap
  )
}

async function checkUnwatched(database: D1Database, key: string): Promise<Result<void, SaveError>> {
  const users = await loadMetricUsers(database, key)
  return users.length === 0 ? ok(undefined) : err({ reason: 'metric_in_use', users })
}

async function planMetricCreation(
  database: D1Database,
  metric: NewMetric,
  now: number,
): Promise<Result<Change, SaveError>> {
  const [all, count] = await Promise.all([loadEnvironmentKeys(database), countMetrics(database)])
  if (count >= MAX_METRICS) return err({ reason: 'too_many', limit: MAX_METRICS, what: 'metrics' })
  const { key } = metric
  return ok({
    action: 'metric.create',
    target: { kind: 'metric', key },
    guards: [
      isMetricAt(key, 0),
      areEnvironments(all),
      { column: 'fresh', holds: sql`(SELECT count(*) FROM ${metrics}) < ${MAX_METRICS}` },
    ],
    writes: metricInserts([metric], now),
    entities: all.map((environment) => metricEntity(environment, metric)),
    revisions: [{ ...revisionOf(key), body: toMetricDraft(metric) }],
  })
}

async function planMetricChange(
  database: D1Database,
  before: StoredMetric,
  metric: NewMetric,
  revision: number,
  now: number,
): Promise<Result<Change, SaveError>> {
  const { key } = metric
  const redefined = isRedefined(before, metric)
  const unwatched = redefined ? await checkUnwatched(database, key) : ok(undefined)
  if (!unwatched.ok) return unwatched
  const isSame = metricText(toMetric(before)) === metricText(toMetric(metric))
  const concerned = isSame ? [] : await loadEnvironmentKeys(database)
  return ok({
    action: 'metric.save',
    target: { kind: 'metric', key },
    guards: [
      isMetricAt(key, revision),
      ...(isSame ? [] : [areEnvironments(concerned)]),
      ...(redefined ? [isUnwatched(key)] : []),
    ],
    writes: [
      drizzle(database)
        .update(metrics)
        .set({
          ...metric,
          search: metricSearch(metric),
          revision: nextRevision(revisionOf(key)),
          updatedAt: now,
        })
        .where(eq(metrics.key, key)),
    ],
    entities: concerned.map((environment) => metricEntity(environment, metric)),
    revisions: [{ ...revisionOf(key), body: toMetricDraft(metric) }],
  })
}

/**
 * Makes a metric (`revision` 0) or changes it, in every environment at once. What a measurement watches keeps its
 * meaning. A new description touches no environment.
 */
export async function planMetricSave(
  database: D1Database,
  { metric: key, draft, revision }: Extract<Operation, { kind: 'metric.save' }>,
  now: number,
): Promise<Result<Change, SaveError>> {
  const parsed = parseMetric(key, draft)
  if (!parsed.ok) return err({ reason: 'invalid', problems: parsed.error })
  if (revision === 0) return planMetricCreation(database, parsed.value, now)
  const before = await loadMetric(database, key)
  if (!before) return err({ reason: 'stale' })
  return planMetricChange(database, before, parsed.value, revision, now)
}

/** Deletes a metric in every environment; refused while a measurement watches it, or a rollout is going to. */
export async function planMetricDelete(
  database: D1Database,
  { metric: key, revision }: Extract<Operation, { kind: 'metric.delete' }>,
  { running, isIdle }: Attachments,
): Promise<Result<Change, SaveError>> {
  const [found, all, rollouts] = await Promise.all([
    loadMetric(database, key),
    loadEnvironmentKeys(database),
    running(database, { metric: key }),
  ])
  if (!found) return err({ reason: 'not_found', what: `metric "${key}"` })
  if (rollouts.length > 0) return err({ reason: 'rollout_running', rollouts })
  const unwatched = await checkUnwatched(database, key)
  if (!unwatched.ok) return unwatched
  return ok({
    action: 'metric.delete',
    target: { kind: 'metric', key },
    guards: [isMetricAt(key, revision), areEnvironments(all), isUnwatched(key), isIdle({ metric: key })],
    writes: [drizzle(database).delete(metrics).where(eq(metrics.key, key))],
    entities: all.map((environment) => ({ environment, kind: 'metrics', key, text: null })),
    revisions: [{ ...revisionOf(key), body: null }],
  })
}
