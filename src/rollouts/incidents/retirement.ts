// What the edge still has of a rollout that was rolled back: it is counted until its verification is over, then it goes.
import { and, eq, not, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { measurementEnds, rolloutEntity } from '../../catalog/measurements.ts'
import { rollouts } from '../tables.ts'
import type { Beside } from './commit-incidents.ts'

/** A rollout that was rolled back. */
export type Retiring = {
  readonly id: string
  readonly environment: string
  readonly flag: string
  /** When it was rolled back, in milliseconds since 1970. */
  readonly endedAt: number
}

/** An expression: whether another rollout of the flag has begun since one was rolled back. */
export function isReplaced(id: SQL, environment: SQL, flag: SQL, endedAt: SQL): SQL {
  return sql`EXISTS (SELECT 1 FROM ${rollouts} AS later WHERE later.environment = ${environment}
    AND later.flag = ${flag} AND later.id <> ${id} AND later.progress ->> 'startedAt' >= ${endedAt})`
}

/** Takes what is left of rollouts from the edge; nothing is done where another one has taken a flag over meanwhile. */
export function retire(all: readonly Retiring[]): Beside {
  const ends = [...Map.groupBy(all, ({ environment }) => environment)].map(([environment, some]) =>
    measurementEnds(
      environment,
      some.map(({ id }) => id),
    ),
  )
  return {
    guards: all.map(({ id, environment, flag, endedAt }) => ({
      column: 'fresh',
      holds: sql`NOT ${isReplaced(sql`${id}`, sql`${environment}`, sql`${flag}`, sql`${endedAt}`)}
        AND EXISTS (SELECT 1 FROM ${rollouts} WHERE id = ${id} AND state = 'rolled_back')`,
    })),
    writes: ends.flatMap(({ writes }) => writes),
    entities: [
      ...all.map(({ environment, flag }) => rolloutEntity(environment, flag, null)),
      ...ends.flatMap(({ entities }) => entities),
    ],
  }
}

/** Takes from the edge what is left of an incident's rollout, where it was rolled back and none has taken its place. */
export async function retirementOf(database: D1Database, rollout: string): Promise<Beside> {
  const { id, environment, flag, state, progress } = rollouts
  const endedAt = sql<number>`${progress} ->> 'endedAt'`
  const replaced = isReplaced(sql`${id}`, sql`${environment}`, sql`${flag}`, endedAt)
  const found = await drizzle(database)
    .select({ id, environment, flag, endedAt })
    .from(rollouts)
    .where(and(eq(id, rollout), eq(state, 'rolled_back'), not(replaced)))
    .get()
  return found ? retire([found]) : {}
}
