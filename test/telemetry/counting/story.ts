// Stories told to a shard second by second, and what it says of them.
import type { BlockMetric, GuardBlock } from '../../../src/telemetry/counting/blocks.ts'
import type { Input } from '../../../src/telemetry/counting/counting.ts'
import type { Moments } from '../../../src/telemetry/counting/totals.ts'
import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import type { ShardEvent } from '../../../src/telemetry/events/event.ts'
import { makeEvent, makeExposure, makePlan, START } from './events.ts'
import { ShardMemory } from './shard-memory.ts'

const SECOND_MS = 1_000
const BLOCK_MS = 10 * SECOND_MS

/** A shard that is told what happens, by seconds after START. */
export class Story {
  readonly shard = new ShardMemory()

  constructor(plan: CountingPlan = makePlan()) {
    this.plan(0, plan)
  }

  plan(second: number, plan: CountingPlan): this {
    return this.tell(second, { kind: 'plan', plan })
  }

  /** An event that happens as it arrives, unless it says when. */
  event(second: number, overrides: Partial<ShardEvent> = {}): this {
    const event = makeEvent({ at: START + second * SECOND_MS, ...overrides })
    return this.tell(second, { kind: 'events', events: [event] })
  }

  exposure(second: number, overrides: Partial<ShardEvent> = {}): this {
    return this.event(second, makeExposure({ at: START + second * SECOND_MS, ...overrides }))
  }

  tell(second: number, input: Input): this {
    this.shard.apply({ at: START + second * SECOND_MS, input })
    return this
  }

  /** The blocks that have closed by a second: each with its number after START. */
  blocks(second: number): (GuardBlock & { readonly block: number })[] {
    this.shard.counting.advance(START + second * SECOND_MS)
    const { blocks } = this.shard.counting.blocks({ from: START })
    return blocks.map((block) => ({ ...block, block: (block.start - START) / BLOCK_MS }))
  }

  /** `block: x/n` of one metric in one arm, for every block that says something of it. */
  risk(second: number, metric = 'bought', of: Partial<GuardBlock> = {}): string[] {
    const place = { stage: 1, stratum: 'a', arm: 't', ...of }
    return this.blocks(second)
      .filter((one) => one.stage === place.stage && one.stratum === place.stratum && one.arm === place.arm)
      .flatMap(({ block, metrics }) => {
        const found = metrics.find((one): one is BlockMetric => one.metric === metric)
        return found ? [`${block}: ${found.x}/${found.n}`] : []
      })
  }

  /** Σ of what one kind of count came to, over all blocks of an arm. */
  sum(second: number, count: 'firsts' | 'entered' | 'live' | 'firstLive' | 'ignored', arm = 't'): number {
    return this.blocks(second)
      .filter((one) => one.arm === arm)
      .reduce((sum, one) => sum + one[count], 0)
  }

  /** The sums of one metric in one arm. */
  moments(metric = 'bought', stage = 1, arm = 't', stratum = 'a'): Moments | undefined {
    return this.arm(stage, arm, stratum)?.metrics.get(metric)
  }

  arm(stage = 1, arm = 't', stratum = 'a') {
    return this.shard.counting
      .totals('m1')
      .find((one) => one.stage === stage && one.arm === arm && one.stratum === stratum)
  }
}
