// Guard blocks of all shards as if there were one: a pure merge, so that a rollout's clock and a page see the same.
import type { Bindings } from '../../bindings.ts'
import { armNameOf } from '../counting/block-book.ts'
import type { BlockMetric, Blocks, BlocksQuery, BoundCounts, GuardBlock } from '../counting/blocks.ts'
import { type Answers, askShards } from './ask-shards.ts'

type Counts<T> = { -readonly [field in keyof T]: T[field] }

/** What one metric comes to in a block of all shards. */
class MetricSum {
  private readonly metric: string
  private x = 0
  private n = 0
  private readonly bounds = new Map<number, Counts<BoundCounts>>()

  constructor(metric: string) {
    this.metric = metric
  }

  add({ x, n, bounds }: BlockMetric): void {
    this.x += x
    this.n += n
    for (const counts of bounds) {
      const sum = this.bounds.get(counts.bound)
      if (!sum) {
        this.bounds.set(counts.bound, { ...counts })
        continue
      }
      sum.units += counts.units
      sum.unitsAbove += counts.unitsAbove
      sum.observations += counts.observations
      sum.above += counts.above
    }
  }

  /** Adds a shard that says nothing of the block: its risk set is as the block before left it. */
  carry({ x, n }: BlockMetric): void {
    this.n += n - x
  }

  toMetric(): BlockMetric {
    const { metric, x, n } = this
    const bounds = [...this.bounds.values()]
    return { metric, x, n, bounds: bounds.length > 1 ? bounds.sort((a, b) => a.bound - b.bound) : bounds }
  }
}

/** What one arm comes to in a block of all shards. */
class BlockSum {
  private readonly counts: Counts<GuardBlock>
  private readonly metrics = new Map<string, MetricSum>()

  constructor(block: GuardBlock, start: number) {
    this.counts = { ...block, start, firsts: 0, entered: 0, live: 0, firstLive: 0, ignored: 0 }
  }

  add({ firsts, entered, live, firstLive, ignored, metrics }: GuardBlock): void {
    this.counts.firsts += firsts
    this.counts.entered += entered
    this.counts.live += live
    this.counts.firstLive += firstLive
    this.counts.ignored += ignored
    for (const metric of metrics) this.sumOf(metric).add(metric)
  }

  carry({ metrics }: GuardBlock): void {
    for (const metric of metrics) this.sumOf(metric).carry(metric)
  }

  toBlock(): GuardBlock {
    const metrics = [...this.metrics.values()].map((sum) => sum.toMetric())
    return { ...this.counts, metrics: metrics.sort((a, b) => (a.metric < b.metric ? -1 : 1)) }
  }

  private sumOf({ metric }: BlockMetric): MetricSum {
    const sum = this.metrics.get(metric) ?? new MetricSum(metric)
    this.metrics.set(metric, sum)
    return sum
  }
}

/** One shard's blocks of one arm: by their start, and the last one before them. */
type ArmBlocks = { readonly blocks: Map<number, GuardBlock>; before: GuardBlock | undefined }

function mergeArm(shards: readonly ArmBlocks[]): GuardBlock[] {
  const starts = [...new Set(shards.flatMap(({ blocks }) => [...blocks.keys()]))].sort((a, b) => a - b)
  const latest = shards.map(({ before }) => before)
  return starts.flatMap((start) => {
    let sum: BlockSum | undefined
    for (const [index, { blocks }] of shards.entries()) {
      const own = blocks.get(start)
      const known = own ?? latest[index]
      if (!known) continue
      sum ??= new BlockSum(known, start)
      if (own) sum.add(own)
      else sum.carry(known)
      latest[index] = known
    }
    return sum ? [sum.toBlock()] : []
  })
}

function inOrder(a: GuardBlock, b: GuardBlock): number {
  if (a.start !== b.start) return a.start - b.start
  if (a.measurement !== b.measurement) return a.measurement < b.measurement ? -1 : 1
  if (a.stage !== b.stage) return a.stage - b.stage
  if (a.stratum !== b.stratum) return a.stratum < b.stratum ? -1 : 1
  return a.arm < b.arm ? -1 : 1
}

/** Blocks of all shards as if there were one. */
export type MergedBlocks = Pick<Blocks, 'through' | 'blocks'>

/**
 * Merges what each shard said: up to the block that every one has closed. Where one shard has a block of an arm and
 * another leaves it out, the other's risk set is as it was left, in these blocks or before them.
 */
export function mergeBlocks(parts: readonly Blocks[]): MergedBlocks {
  const through = parts.length > 0 ? Math.min(...parts.map((part) => part.through)) : 0
  const arms = new Map<string, ArmBlocks[]>()
  const partOf = (block: GuardBlock, index: number) => {
    const key = armNameOf(block)
    const shards = arms.get(key) ?? parts.map(() => ({ blocks: new Map(), before: undefined }))
    arms.set(key, shards)
    return shards[index]
  }
  for (const [index, { blocks, before }] of parts.entries()) {
    for (const block of before) {
      const part = partOf(block, index)
      if (part) part.before = block
    }
    for (const block of blocks) {
      if (block.start < through) partOf(block, index)?.blocks.set(block.start, block)
    }
  }
  return { through, blocks: [...arms.values()].flatMap(mergeArm).sort(inOrder) }
}

/**
 * Loads guard blocks of all shards, at most an hour of them: `through` is where to go on. `partial` when a shard did
 * not answer, so that what it has is missing.
 */
export async function loadBlocks(
  bindings: Bindings,
  environment: string,
  query: BlocksQuery,
): Promise<MergedBlocks & Pick<Answers<Blocks>, 'partial'>> {
  const { answers, partial } = await askShards(bindings, environment, (shard) => shard.blocks(query))
  return { ...mergeBlocks(answers), partial }
}
