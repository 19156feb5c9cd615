// What an environment's shards keep, and what it has cost.
import type { Bindings } from '../../bindings.ts'
import type { ShardStatus } from '../shard-protocol.ts'
import { askShards } from './ask-shards.ts'

export type Storage = {
  readonly shards: readonly (ShardStatus & { readonly shard: number })[]
  readonly total: {
    readonly databaseBytes: number
    readonly units: number
    readonly logRecords: number
    readonly logBytes: number
    readonly rowsWritten: number
  }
  /** Whether a shard did not answer, so that it is left out. */
  readonly partial: boolean
}

/** Loads what each shard keeps, and all of them together. A unit that several shards count is one in each. */
export async function loadStorage(bindings: Bindings, environment: string): Promise<Storage> {
  const { answers, partial } = await askShards(bindings, environment, async (shard, index) => {
    const status = await shard.status()
    return { shard: index, ...status }
  })
  const sum = (of: (status: ShardStatus) => number) => answers.reduce((all, status) => all + of(status), 0)
  return {
    shards: answers,
    total: {
      databaseBytes: sum((status) => status.databaseBytes),
      units: sum((status) => status.units),
      logRecords: sum((status) => status.logRecords),
      logBytes: sum((status) => status.logBytes),
      rowsWritten: sum((status) => status.rowsWritten),
    },
    partial,
  }
}
