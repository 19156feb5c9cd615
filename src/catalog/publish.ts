import type { Bindings } from '../bindings.ts'
import type { Versions } from './change.ts'
import { hubOf } from './hub-protocol.ts'

/** A change that is committed, and whether the edge has it. */
export type Published = { readonly version: number; readonly published: boolean }

/**
 * Publishes the environments that a change touched and waits for it. A hub that cannot be reached leaves
 * `published` false: the outbox remembers, and the next tick publishes.
 */
export async function publishAll(
  bindings: Bindings,
  versions: Versions,
): Promise<{ readonly [environment: string]: Published }> {
  const publications = [...versions].map(async ([environment, version]) => {
    try {
      const { published } = await hubOf(bindings, environment).publish()
      return [environment, { version, published }] as const
    } catch (error) {
      console.error('not published', { environment, version, error: String(error) })
      return [environment, { version, published: false }] as const
    }
  })
  return Object.fromEntries(await Promise.all(publications))
}

/** Publishes what the outbox says is due: changes whose writer ended before it could publish, or KV refused. */
export async function publishDue(bindings: Bindings): Promise<void> {
  const { results } = await bindings.DB.prepare(
    "SELECT environment, max(version) AS version FROM outbox WHERE kind = 'publish' GROUP BY environment",
  ).all<{ environment: string; version: number }>()
  await publishAll(bindings, new Map(results.map(({ environment, version }) => [environment, version])))
}
