// Environments that are deleted and made again, as the catalog does it: by what the database then holds.
import { env } from 'cloudflare:workers'

async function runAll(environment: string, statements: readonly string[]): Promise<void> {
  await env.DB.batch(statements.map((statement) => env.DB.prepare(statement).bind(environment)))
}

/** Deletes an environment: a tombstone for each entity at its next version, and a publication that is due. */
export function removeEnvironment(environment: string): Promise<void> {
  return runAll(environment, [
    `INSERT INTO history (environment, version, kind, key, body, actor, comment, at)
      SELECT environment, (SELECT version + 1 FROM environments WHERE key = ?1), kind, key, NULL, 'test', '', 0
      FROM history WHERE environment = ?1 GROUP BY kind, key`,
    `INSERT INTO outbox (kind, environment, version, created_at)
      SELECT 'publish', key, version + 1, 0 FROM environments WHERE key = ?1`,
    'DELETE FROM environments WHERE key = ?1',
  ])
}

/** The settings of an environment that was made again. */
export const REMADE_SETTINGS = '{"refreshSeconds":20,"signingSecret":"ab"}'

/** Makes an environment again under its key, above every version that it had. */
export function remakeEnvironment(environment: string): Promise<void> {
  return runAll(environment, [
    `INSERT INTO environments (key, name, version, revision, bytes, refresh_seconds, signing_secret, created_at)
      SELECT ?1, ?1, max(version) + 1, 1, 0, 20, 'ab', 0 FROM history WHERE environment = ?1`,
    `INSERT INTO history (environment, version, kind, key, body, actor, comment, at)
      SELECT key, version, 'settings', 'environment', '${REMADE_SETTINGS}', 'test', '', 0
      FROM environments WHERE key = ?1`,
    `INSERT INTO outbox (kind, environment, version, created_at)
      SELECT 'publish', key, version, 0 FROM environments WHERE key = ?1`,
  ])
}
