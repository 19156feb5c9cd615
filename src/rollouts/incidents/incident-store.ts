// Incidents as the database holds them, and what was noted about them.
import { and, asc, desc, eq, lt, or, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { incidentNotes, incidents } from '../tables.ts'

/** An incident. Instants are milliseconds since 1970. */
export type Incident = typeof incidents.$inferSelect

export type IncidentState = Incident['state']

/** What was noted about an incident. */
export type Note = typeof incidentNotes.$inferSelect

/** Which incidents are asked for; what is left out does not narrow. */
export type IncidentFilter = {
  readonly environment?: string | undefined
  readonly flag?: string | undefined
  readonly rollout?: string | undefined
  readonly state?: IncidentState | undefined
  /** Those alone that somebody reaches; null: all. */
  readonly environments: readonly string[] | null
}

/** Where a page of incidents ended. */
export type IncidentPosition = { readonly createdAt: number; readonly id: string }

/** One incident; undefined when there is none of that id. */
export async function loadIncident(database: D1Database, id: string): Promise<Incident | undefined> {
  return drizzle(database).select().from(incidents).where(eq(incidents.id, id)).get()
}

/** What was noted about an incident, in order. */
export async function loadNotes(database: D1Database, incident: string): Promise<Note[]> {
  return drizzle(database)
    .select()
    .from(incidentNotes)
    .where(eq(incidentNotes.incident, incident))
    .orderBy(asc(incidentNotes.number))
}

function conditionsOf({ environment, flag, rollout, state, environments }: IncidentFilter): SQL[] {
  return [
    ...(environment === undefined ? [] : [eq(incidents.environment, environment)]),
    ...(flag === undefined ? [] : [eq(incidents.flag, flag)]),
    ...(rollout === undefined ? [] : [eq(incidents.rollout, rollout)]),
    ...(state === undefined ? [] : [eq(incidents.state, state)]),
    ...(environments === null
      ? []
      : [sql`${incidents.environment} IN (SELECT value FROM json_each(${JSON.stringify(environments)}))`]),
  ]
}

/** A page of incidents, newest first, below the one at `after`. */
export async function listIncidents(
  database: D1Database,
  filter: IncidentFilter,
  limit: number,
  after?: IncidentPosition,
): Promise<Incident[]> {
  const below =
    after &&
    or(
      lt(incidents.createdAt, after.createdAt),
      and(eq(incidents.createdAt, after.createdAt), lt(incidents.id, after.id)),
    )
  return drizzle(database)
    .select()
    .from(incidents)
    .where(and(...conditionsOf(filter), below))
    .orderBy(desc(incidents.createdAt), desc(incidents.id))
    .limit(limit)
}
