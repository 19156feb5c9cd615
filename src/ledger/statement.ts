import type { SQL } from 'drizzle-orm'
import { SQLiteSyncDialect } from 'drizzle-orm/sqlite-core'

/** Anything that drizzle or `sql` can say. */
export type Statement = SQL | { toSQL(): { sql: string; params: unknown[] } }

const dialect = new SQLiteSyncDialect()

/** Prepares any statement for D1's own batch, which runs what drizzle's does not: raw SQL. */
export function prepare(database: D1Database, statement: Statement): D1PreparedStatement {
  const query = 'toSQL' in statement ? statement.toSQL() : dialect.sqlToQuery(statement)
  return database.prepare(query.sql).bind(...query.params)
}
