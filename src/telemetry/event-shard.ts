import { DurableObject } from 'cloudflare:workers'
import type { Bindings } from '../bindings.ts'
import { ContextStore } from './context-store.ts'
import { PackedRows } from './packed-rows.ts'
import type {
  KeptContext,
  Shard,
  ShardActivity,
  TallyReport,
  UsageQuery,
  UsageSpan,
} from './shard-protocol.ts'
import { UsageStore } from './usage-store.ts'

/** How often what came in is written at most; less than the 10 s of silence after which memory is lost. */
const FOLD_INTERVAL_MS = 8_000

/** Keeps a share of what happened in one environment. */
export class EventShard extends DurableObject<Bindings> implements Shard {
  private readonly usageStore: UsageStore
  private readonly contextStore: ContextStore
  private foldedAt = Number.NEGATIVE_INFINITY

  constructor(state: DurableObjectState, bindings: Bindings) {
    super(state, bindings)
    const rows = new PackedRows(state.storage)
    this.usageStore = new UsageStore(rows)
    this.contextStore = new ContextStore(rows)
  }

  async tally(report: TallyReport): Promise<void> {
    const now = Date.now()
    if (!this.usageStore.add(report)) return
    this.contextStore.add(report.contexts)
    if (now - this.foldedAt >= FOLD_INTERVAL_MS) this.fold(now)
    await this.arm()
  }

  async usage(query: UsageQuery): Promise<readonly UsageSpan[]> {
    return this.usageStore.usage(query, Date.now())
  }

  async activity(): Promise<ShardActivity> {
    return this.usageStore.activity(Date.now())
  }

  async contexts(): Promise<readonly KeptContext[]> {
    return this.contextStore.list(Date.now())
  }

  /** Writes what has come in since it was last written, and lets contexts go that are a day old. */
  override async alarm(): Promise<void> {
    this.fold(Date.now())
    await this.arm()
  }

  private fold(now: number): void {
    this.usageStore.fold(now)
    this.contextStore.fold(now)
    this.foldedAt = now
  }

  /** Sets the alarm unless one is set that is soon enough. */
  private async arm(): Promise<void> {
    const foldAt = this.usageStore.isUnfolded ? this.foldedAt + FOLD_INTERVAL_MS : Number.POSITIVE_INFINITY
    const dueAt = Math.min(foldAt, this.contextStore.expiresAt ?? Number.POSITIVE_INFINITY)
    if (dueAt === Number.POSITIVE_INFINITY) return
    const setFor = await this.ctx.storage.getAlarm()
    if (setFor === null || setFor > dueAt) await this.ctx.storage.setAlarm(dueAt)
  }
}
