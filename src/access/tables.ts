import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { ROLES } from './actor.ts'

/** Management tokens; the token itself is never stored, only its SHA-256 in hex. */
export const tokens = sqliteTable(
  'tokens',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    hash: text('hash').notNull().unique(),
    /** Whom it acts for. */
    owner: text('owner').notNull(),
    role: text('role', { enum: ROLES }).notNull(),
    /** null: all. */
    environments: text('environments', { mode: 'json' }).$type<readonly string[] | null>(),
    createdBy: text('created_by').notNull(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at'),
    revokedAt: integer('revoked_at'),
  },
  (table) => [index('tokens_by_owner').on(table.owner)],
)

/** Who may do what: by e-mail (`ada@example.com`), or by a claim that their identity carries (`groups:release`). */
export const members = sqliteTable('members', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  role: text('role', { enum: ROLES }).notNull(),
  /** null: all. */
  environments: text('environments', { mode: 'json' }).$type<readonly string[] | null>(),
  revision: integer('revision').notNull(),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
})
