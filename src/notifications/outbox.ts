// What people are owed: written in the batch of what it tells of, so that neither happens without the other.
import { sql } from 'drizzle-orm'
import type { Statement } from '../ledger/statement.ts'
import type { Notice } from './notification.ts'
import { channels, deliveries, reportsMade } from './tables.ts'

/** How many notices one statement owes: a bound text ends at 2 MB. */
const NOTICES_PER_STATEMENT = 200

/**
 * Statements that owe notices to every channel of their environment that is on and wants their kind. Given twice, each
 * is owed once.
 */
export function noticeStatements(...notices: readonly Notice[]): Statement[] {
  const statements: Statement[] = []
  for (let first = 0; first < notices.length; first += NOTICES_PER_STATEMENT) {
    const some = JSON.stringify(notices.slice(first, first + NOTICES_PER_STATEMENT))
    statements.push(sql`INSERT INTO ${deliveries}
        (channel, environment, notice, body, state, attempts, next_at, last_error, created_at)
      SELECT channels.id, channels.environment, told.value ->> 'id', told.value, 'due', 0, told.value ->> 'at', '',
        told.value ->> 'at'
      FROM json_each(${some}) AS told JOIN ${channels} ON channels.environment = told.value ->> 'environment'
      WHERE enabled = 1 AND EXISTS (SELECT 1 FROM json_each(events) AS wanted WHERE wanted.value = told.value ->> 'kind')
      ON CONFLICT (channel, notice) DO NOTHING`)
  }
  return statements
}

/** Statements that remove an environment's channels and what they are owed. */
export function belongings(environment: string): Statement[] {
  return [
    sql`DELETE FROM ${channels} WHERE environment = ${environment}`,
    sql`DELETE FROM ${reportsMade} WHERE environment = ${environment}`,
  ]
}
