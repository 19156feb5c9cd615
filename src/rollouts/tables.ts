import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { JsonObject } from '../engine/json.ts'
import type { Reason } from './decision.ts'
import type { IncidentFacts } from './incidents/facts.ts'
import type { Plan } from './plan.ts'
import type { Progress, RolloutState } from './progress.ts'

/** Instants are milliseconds since 1970 everywhere. */
export const rollouts = sqliteTable(
  'rollouts',
  {
    id: text('id').primaryKey(),
    environment: text('environment').notNull(),
    flag: text('flag').notNull(),
    state: text('state').$type<RolloutState>().notNull(),
    plan: text('plan', { mode: 'json' }).$type<Plan>().notNull(),
    /** The plan as people wrote it, for editing. */
    draft: text('draft', { mode: 'json' }).$type<JsonObject>().notNull(),
    seed: text('seed').notNull(),
    reversed: integer('reversed', { mode: 'boolean' }).notNull().default(false),
    progress: text('progress', { mode: 'json' }).$type<Progress>().notNull(),
    revision: integer('revision').notNull(),
    retries: text('retries'),
    createdBy: text('created_by').notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
    /** Who started it, as an actor: nobody approves their own. */
    startedBy: text('started_by', { mode: 'json' }).$type<JsonObject | null>(),
  },
  (table) => [
    index('rollouts_by_environment').on(table.environment, table.state),
    index('rollouts_by_flag').on(table.flag, table.environment),
    // At most one rollout for a flag and environment has grants, or may get them.
    uniqueIndex('rollouts_live')
      .on(table.environment, table.flag)
      .where(
        sql`${table.state} IN ('awaiting_approval', 'scheduled', 'running', 'paused', 'rolling_back', 'watching')`,
      ),
  ],
)

/** What was decided or done about a rollout, in order: its timeline. Rows are only ever added. */
export const rolloutDecisions = sqliteTable(
  'rollout_decisions',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    rollout: text('rollout')
      .notNull()
      .references(() => rollouts.id, { onDelete: 'cascade' }),
    at: integer('at').notNull(),
    deed: text('deed').notNull(),
    reason: text('reason', { mode: 'json' }).$type<Reason>().notNull(),
    /** Who did it: an actor's id, or `clock`. */
    actor: text('actor').notNull(),
    comment: text('comment').notNull(),
    stage: integer('stage').notNull(),
    epoch: integer('epoch').notNull(),
    /** Whether the stage that it left was proven safe; null where it left none. */
    proven: integer('proven', { mode: 'boolean' }),
    /** What it was decided from, so that it can be replayed; null where it rests on no counts. */
    evidence: text('evidence', { mode: 'json' }).$type<JsonObject | null>(),
  },
  (table) => [index('rollout_decisions_by_rollout').on(table.rollout, table.id)],
)

/** Signals from outside: CI, scanners, support desks, people. */
export const rolloutSignals = sqliteTable(
  'rollout_signals',
  {
    id: text('id').primaryKey(),
    rollout: text('rollout')
      .notNull()
      .references(() => rollouts.id, { onDelete: 'cascade' }),
    kind: text('kind').notNull(),
    passed: integer('passed', { mode: 'boolean' }).notNull(),
    at: integer('at').notNull(),
    author: text('author').notNull(),
    link: text('link').notNull(),
    note: text('note').notNull(),
  },
  (table) => [index('rollout_signals_by_rollout').on(table.rollout, table.at)],
)

/** Fire drills and backtests, and what came of them. */
export const rolloutDrills = sqliteTable(
  'rollout_drills',
  {
    id: text('id').primaryKey(),
    rollout: text('rollout')
      .notNull()
      .references(() => rollouts.id, { onDelete: 'cascade' }),
    kind: text('kind', { enum: ['drill', 'backtest'] }).notNull(),
    at: integer('at').notNull(),
    actor: text('actor').notNull(),
    request: text('request', { mode: 'json' }).$type<JsonObject>().notNull(),
    result: text('result', { mode: 'json' }).$type<JsonObject>().notNull(),
  },
  (table) => [index('rollout_drills_by_rollout').on(table.rollout, table.at)],
)

/** What went wrong, and what was done about it. */
export const incidents = sqliteTable(
  'incidents',
  {
    id: text('id').primaryKey(),
    environment: text('environment').notNull(),
    flag: text('flag').notNull(),
    /** null: it was opened by hand, about no rollout. */
    rollout: text('rollout'),
    state: text('state', { enum: ['open', 'acknowledged', 'resolved'] }).notNull(),
    title: text('title').notNull(),
    reason: text('reason', { mode: 'json' }).$type<Reason>().notNull(),
    /** Numbers, estimated beginning, units affected: see incidents/facts.ts. */
    facts: text('facts', { mode: 'json' }).$type<IncidentFacts>().notNull(),
    /** When it most likely began, was decided, was committed, and was safe for 99 % of the reported traffic. */
    beganAt: integer('began_at'),
    detectedAt: integer('detected_at').notNull(),
    committedAt: integer('committed_at').notNull(),
    safeAt: integer('safe_at'),
    /** The version that is safe: what propagation is measured by. */
    safeVersion: integer('safe_version'),
    verification: text('verification', { enum: ['pending', 'verified', 'failed', 'none'] }).notNull(),
    /** Until when somebody should have acknowledged it. */
    acknowledgeBy: integer('acknowledge_by').notNull(),
    escalatedAt: integer('escalated_at'),
    acknowledgedAt: integer('acknowledged_at'),
    acknowledgedBy: text('acknowledged_by'),
    resolvedAt: integer('resolved_at'),
    resolvedBy: text('resolved_by'),
    resolution: text('resolution').notNull().default(''),
    postMortem: text('post_mortem').notNull().default(''),
    /** Whether somebody disputes it: a false alarm. */
    disputedBy: text('disputed_by'),
    disputeNote: text('dispute_note').notNull().default(''),
    revision: integer('revision').notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [
    index('incidents_by_environment').on(table.environment, table.createdAt),
    index('incidents_by_rollout').on(table.rollout),
    index('incidents_open').on(table.state, table.environment),
  ],
)

/** What was noted about an incident, in order. */
export const incidentNotes = sqliteTable(
  'incident_notes',
  {
    incident: text('incident')
      .notNull()
      .references(() => incidents.id, { onDelete: 'cascade' }),
    at: integer('at').notNull(),
    number: integer('number').notNull(),
    actor: text('actor').notNull(),
    words: text('words').notNull(),
  },
  (table) => [primaryKey({ columns: [table.incident, table.number] })],
)
