// Channels and what they are owed, as the database holds them.
import { and, asc, desc, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Guard } from '../ledger/commit.ts'
import type { Channel } from './channel.ts'
import { channels, deliveries } from './tables.ts'

/** A delivery as it is stored. */
export type Delivery = typeof deliveries.$inferSelect

/** Statements of one batch: nothing is written unless every guard holds. */
export type GuardedWrites = { readonly guards: readonly Guard[]; readonly writes: readonly SQL[] }

/** A page of the channels of some environments (null: of all), by id, after the id `after`. */
export async function listChannels(
  database: D1Database,
  environments: readonly string[] | null,
  limit: number,
  after = '',
): Promise<readonly Channel[]> {
  const among =
    environments === null
      ? undefined
      : sql`${channels.environment} IN (SELECT value FROM json_each(${JSON.stringify(environments)}))`
  return drizzle(database)
    .select()
    .from(channels)
    .where(and(gt(channels.id, after), among))
    .orderBy(asc(channels.id))
    .limit(limit)
}

/** One channel; undefined when there is none of that id. */
export async function loadChannel(database: D1Database, id: string): Promise<Channel | undefined> {
  return drizzle(database).select().from(channels).where(eq(channels.id, id)).get()
}

/** How many channels an environment has. */
export async function countChannels(database: D1Database, environment: string): Promise<number> {
  return drizzle(database).$count(channels, eq(channels.environment, environment))
}

/** A page of a channel's deliveries, newest first, before the id `before`; in one state, if one is named. */
export async function listDeliveries(
  database: D1Database,
  { id, environment }: Channel,
  state: Delivery['state'] | undefined,
  limit: number,
  before = Number.MAX_SAFE_INTEGER,
): Promise<readonly Delivery[]> {
  return drizzle(database)
    .select()
    .from(deliveries)
    .where(
      and(
        eq(deliveries.environment, environment),
        lt(deliveries.id, before),
        eq(deliveries.channel, id),
        state === undefined ? undefined : eq(deliveries.state, state),
      ),
    )
    .orderBy(desc(deliveries.id))
    .limit(limit)
}

/** One delivery of a channel; undefined when there is none of that id. */
export async function loadDelivery(
  database: D1Database,
  channel: string,
  id: number,
): Promise<Delivery | undefined> {
  return drizzle(database)
    .select()
    .from(deliveries)
    .where(and(eq(deliveries.id, id), eq(deliveries.channel, channel)))
    .get()
}

function isAtRevision({ id, revision }: Pick<Channel, 'id' | 'revision'>): Guard {
  return {
    column: 'fresh',
    holds: sql`EXISTS (SELECT 1 FROM ${channels} WHERE id = ${id} AND revision = ${revision})`,
  }
}

/** Adds a channel. */
export function channelInsert(channel: Channel): SQL {
  const { id, environment, kind, name, target, secret, events, enabled, revision } = channel
  return sql`INSERT INTO ${channels}
    (id, environment, kind, name, target, secret, events, enabled, revision, created_at, updated_at)
    VALUES (${id}, ${environment}, ${kind}, ${name}, ${target}, ${secret}, ${JSON.stringify(events)},
      ${Number(enabled)}, ${revision}, ${channel.createdAt}, ${channel.updatedAt})`
}

/** Replaces what can be changed of the channel that stands one revision below. */
export function channelUpdate(channel: Channel): GuardedWrites {
  const { id, name, target, secret, events, enabled, revision, updatedAt } = channel
  return {
    guards: [isAtRevision({ id, revision: revision - 1 })],
    writes: [
      sql`UPDATE ${channels} SET name = ${name}, target = ${target}, secret = ${secret},
        events = ${JSON.stringify(events)}, enabled = ${Number(enabled)}, revision = ${revision},
        updated_at = ${updatedAt} WHERE id = ${id}`,
    ],
  }
}

/** Removes a channel that stands at its revision, and what it is owed. */
export function channelRemoval(channel: Channel): GuardedWrites {
  return {
    guards: [isAtRevision(channel)],
    writes: [sql`DELETE FROM ${channels} WHERE id = ${channel.id}`],
  }
}

/** Lets a delivery that was given up be tried again from the beginning. */
export function deliveryRetry({ id }: Delivery, now: number): GuardedWrites {
  return {
    guards: [
      {
        column: 'pending',
        holds: sql`EXISTS (SELECT 1 FROM ${deliveries} WHERE id = ${id} AND state = 'dead')`,
      },
    ],
    writes: [
      sql`UPDATE ${deliveries} SET state = 'due', attempts = 0, next_at = ${now}, finished_at = NULL WHERE id = ${id}`,
    ],
  }
}
