// Entities that an environment has and the tests write themselves: committed and published as any other change.
import { env } from 'cloudflare:workers'
import { hashKey } from '../../src/access/key.ts'
import { commitChange } from '../../src/catalog/change.ts'
import {
  type EntityKind,
  type EnvironmentSettings,
  keyText,
  SETTINGS_KEY,
  settingsText,
} from '../../src/catalog/entities.ts'
import { hubOf } from '../../src/catalog/hub-protocol.ts'

/** Writes an entity of an environment, and lets its hub publish it. */
export async function writeEntity(
  environment: string,
  kind: EntityKind,
  key: string,
  text: string | null,
): Promise<void> {
  const change = {
    action: 'test',
    target: { kind, key },
    guards: [],
    writes: [],
    entities: [{ environment, kind, key, text }],
    revisions: [],
  }
  const author = { actor: 'test', via: 'test', comment: '', now: Date.now(), requestId: 'test' }
  const changed = await commitChange(env.DB, change, author)
  if (!changed.ok) throw new Error(`not written: ${changed.error.reason}`)
  await hubOf(env, environment).publish()
}

/** Gives an environment settings beside those that it was made with. */
export async function saveSettings(
  environment: string,
  more: Partial<EnvironmentSettings> = {},
): Promise<void> {
  const row = await env.DB.prepare('SELECT refresh_seconds, signing_secret FROM environments WHERE key = ?')
    .bind(environment)
    .first<{ refresh_seconds: number; signing_secret: string }>()
  if (!row) throw new Error(`there is no environment ${environment}`)
  const own = { refreshSeconds: row.refresh_seconds, signingSecret: row.signing_secret }
  await writeEntity(environment, 'settings', SETTINGS_KEY, settingsText({ ...own, ...more }))
}

/** Lets a key that was made before end by itself. */
export async function saveExpiry(
  environment: string,
  { id, key }: { readonly id: string; readonly key: string },
  expiresAt: number,
): Promise<void> {
  const kind = key.startsWith('rp_client_') ? 'client' : 'server'
  await writeEntity(environment, 'keys', id, keyText({ id, kind, hash: await hashKey(key), expiresAt }))
}
