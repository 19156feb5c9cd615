import { DurableObject } from 'cloudflare:workers'
import type { Bindings } from '../../bindings.ts'
import type { Blocks, BlocksQuery } from '../counting/blocks.ts'
import type { JourneyPart, JourneyQuery } from '../counting/journeys.ts'
import type { SeriesCell, SeriesQuery } from '../counting/series.ts'
import type { ArmTotals } from '../counting/totals.ts'
import type { SampleQuery } from '../counting/unit-samples.ts'
import type { CountingPlan } from '../counting-plan.ts'
import type { UnitId } from '../events/event.ts'
import type {
  KeptContext,
  ObservationQuery,
  ObservedPart,
  SeenName,
  Shard,
  ShardActivity,
  ShardMessage,
  ShardStatus,
  Taken,
  UsageQuery,
  UsageSpan,
} from '../shard-protocol.ts'
import { CommitQueue, type Outcome } from './commit-queue.ts'
import { sizeOf } from './commit-record.ts'
import { type Answer, type Request, ShardState } from './shard-state.ts'
import { ShardTables } from './shard-tables.ts'

/** Keeps a share of what happened in one environment. */
export class EventShard extends DurableObject<Bindings> implements Shard {
  /** undefined: to be read from disk. */
  private loaded: ShardState | undefined
  private readonly queue = new CommitQueue<Request, Answer>((requests) => this.commit(requests))

  /** For when the alarm is set; null: it is not; undefined: not known yet. */
  private alarmAt: number | null | undefined

  async take(message: ShardMessage, plan?: CountingPlan): Promise<Taken> {
    await this.findAlarm()
    if (this.queue.isFull) return 'overloaded'
    const answer = await this.queue.add({ kind: 'message', message, plan }, sizeOf(message))
    if (typeof answer === 'boolean') throw new Error('a message was answered as an erasure is')
    return answer
  }

  async blocks(query: BlocksQuery): Promise<Blocks> {
    return this.state.blocks(query, Date.now())
  }

  async totals(measurement: string): Promise<readonly ArmTotals[]> {
    return this.state.counting.totals(measurement)
  }

  async observe({ blocks, totals, series }: ObservationQuery): Promise<ObservedPart> {
    const { counting } = this.state
    return {
      blocks: this.state.blocks(blocks, Date.now()),
      totals: new Map(totals.map((id) => [id, counting.totals(id)])),
      series: series.flatMap((query) => this.state.series(query)),
    }
  }

  async series(query: SeriesQuery): Promise<readonly SeriesCell[]> {
    return this.state.series(query)
  }

  async names(): Promise<readonly SeenName[]> {
    return this.state.counting.names()
  }
  async journey(query: JourneyQuery): Promise<JourneyPart> {
    return this.state.journey(query)
  }

  async sampleUnits(query: SampleQuery): Promise<readonly string[]> {
    return this.state.sampleUnits(query)
  }

  async erase(unit: UnitId): Promise<boolean> {
    await this.findAlarm()
    return (await this.queue.add({ kind: 'erase', unit }, 0)) === true
  }

  async status(): Promise<ShardStatus> {
    return this.state.status()
  }

  async clear(): Promise<void> {
    await this.ctx.storage.deleteAll()
    this.loaded = undefined
    this.alarmAt = null
  }

  async usage(query: UsageQuery): Promise<readonly UsageSpan[]> {
    return this.state.usage.usage(query)
  }

  async activity(): Promise<ShardActivity> {
    return this.state.usage.activity()
  }

  async contexts(): Promise<readonly KeptContext[]> {
    return this.state.contexts.list(Date.now())
  }

  /** Once a day while there is something that will have been kept for long enough. */
  override async alarm(): Promise<void> {
    this.alarmAt = null
    this.change(() => this.state.maintain(Date.now()))
  }

  private get state(): ShardState {
    if (!this.loaded) {
      const index = Number(this.ctx.id.name?.split(':').at(-1) ?? 0)
      this.loaded = new ShardState(new ShardTables(this.ctx.storage.sql), index)
    }
    return this.loaded
  }

  private commit(requests: readonly Request[]): readonly Outcome<Answer>[] {
    try {
      return this.change(() => this.state.commit(requests, Date.now()))
    } catch (fault) {
      console.error('event shard failed to commit', { shard: this.ctx.id.name, error: String(fault) })
      return requests.map(() => ({ ok: false, fault }))
    }
  }

  /** Changes memory and disk, both or neither. */
  private change<T>(work: () => T): T {
    try {
      return this.ctx.storage.transactionSync(() => {
        const result = work()
        this.setAlarm()
        return result
      })
    } catch (fault) {
      // Memory may be ahead of the disk now.
      this.loaded = undefined
      this.alarmAt = null
      throw fault
    }
  }

  private async findAlarm(): Promise<void> {
    if (this.alarmAt === undefined) this.alarmAt = await this.ctx.storage.getAlarm()
  }

  /** Sets the alarm unless one is set that is soon enough. */
  private setAlarm(): void {
    const at = this.state.maintainedNext
    if (at >= (this.alarmAt ?? Number.POSITIVE_INFINITY)) return
    this.alarmAt = at
    this.state.noteAlarm()
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at))
  }
}
