import { asc, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { randomHex } from '../access/key.ts'
import type { Result } from '../engine/result.ts'
import { type ChangeError, commitChange, type Versions } from './change.ts'
import { SETTINGS_KEY, settingsText } from './entities.ts'
import { environments } from './tables.ts'

/** Who changes something, why, and when (milliseconds since 1970). */
export type Author = { readonly actor: string; readonly comment: string; readonly now: number }

export type EnvironmentDraft = {
  readonly key: string
  readonly name: string
  readonly refreshSeconds: number
}

/** An environment as people see it. */
export type Environment = EnvironmentDraft & { readonly version: number; readonly revision: number }

const columns = {
  key: environments.key,
  name: environments.name,
  refreshSeconds: environments.refreshSeconds,
  version: environments.version,
  revision: environments.revision,
}

/** All environments, by key. */
export async function listEnvironments(database: D1Database): Promise<Environment[]> {
  return drizzle(database).select(columns).from(environments).orderBy(asc(environments.key))
}

/** One environment; undefined when there is none of that key. */
export async function loadEnvironment(database: D1Database, key: string): Promise<Environment | undefined> {
  return drizzle(database).select(columns).from(environments).where(eq(environments.key, key)).get()
}

/** Makes an environment, with a signing secret of its own. */
export async function createEnvironment(
  database: D1Database,
  { key, name, refreshSeconds }: EnvironmentDraft,
  author: Author,
): Promise<Result<Versions, ChangeError>> {
  const signingSecret = randomHex(32)
  return commitChange(database, {
    ...author,
    guards: [],
    writes: [
      sql`INSERT INTO ${environments}
        (key, name, version, revision, bytes, refresh_seconds, signing_secret, created_at)
        VALUES (${key}, ${name}, 0, 1, 0, ${refreshSeconds}, ${signingSecret}, ${author.now})`,
    ],
    entities: [
      {
        environment: key,
        kind: 'settings',
        key: SETTINGS_KEY,
        text: settingsText({ refreshSeconds, signingSecret }),
      },
    ],
  })
}
