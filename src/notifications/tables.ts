import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { Notice, NoticeKind } from './notification.ts'

/** Where people are told. Instants are milliseconds since 1970. */
export const channels = sqliteTable(
  'channels',
  {
    id: text('id').primaryKey(),
    environment: text('environment').notNull(),
    kind: text('kind', { enum: ['slack', 'webhook', 'email'] }).notNull(),
    name: text('name').notNull(),
    /** An address: of Slack's webhook, of a webhook, or of a person. Never shown whole. */
    target: text('target').notNull(),
    /** What webhooks are signed with; shown once. */
    secret: text('secret').notNull(),
    events: text('events', { mode: 'json' }).$type<readonly NoticeKind[]>().notNull(),
    enabled: integer('enabled', { mode: 'boolean' }).notNull(),
    revision: integer('revision').notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [index('channels_by_environment').on(table.environment)],
)

/** What is to be told to whom: one row for each notice and channel, in the batch of what it tells of. */
export const deliveries = sqliteTable(
  'deliveries',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    channel: text('channel')
      .notNull()
      .references(() => channels.id, { onDelete: 'cascade' }),
    environment: text('environment').notNull(),
    notice: text('notice').notNull(),
    body: text('body', { mode: 'json' }).$type<Notice>().notNull(),
    /** `dead`: it was tried for a day. */
    state: text('state', { enum: ['due', 'sent', 'dead'] }).notNull(),
    attempts: integer('attempts').notNull().default(0),
    /** When it is tried next; claimed by moving it ahead. */
    nextAt: integer('next_at').notNull(),
    lastError: text('last_error').notNull().default(''),
    createdAt: integer('created_at').notNull(),
    finishedAt: integer('finished_at'),
  },
  (table) => [
    uniqueIndex('deliveries_once').on(table.channel, table.notice),
    index('deliveries_due').on(table.nextAt).where(sql`${table.state} = 'due'`),
    index('deliveries_by_environment').on(table.environment, table.id),
  ],
)

/** Reports that were made, so that each is made once. */
export const reportsMade = sqliteTable(
  'reports_made',
  {
    environment: text('environment').notNull(),
    kind: text('kind').notNull(),
    /** The start of the day or week that it is about. */
    about: integer('about').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environment, table.kind, table.about] })],
)
