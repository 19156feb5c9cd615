import { DurableObject } from 'cloudflare:workers'
import type { Bindings } from '../bindings.ts'
import { BLOCK_MS } from '../telemetry/counting/blocks.ts'
import { type Held, restoreHeld } from './clock-evidence.ts'
import type { Clock, ClockStatus, HeldEvidence } from './clock-protocol.ts'
import type { Memory } from './clock-read.ts'
import type { Published } from './clock-steps.ts'
import { type Checkpoint, ClockStore, type Kept, type Said, type Standing } from './clock-store.ts'
import type { Look } from './clock-tick.ts'
import type { Spent } from './conductor.ts'
import { packEvidence } from './evidence/packed.ts'
import type { Reading } from './observations.ts'

/** How long a tick may take before another may begin in its place. */
const LEASE_MS = 30_000
/** How long after a block's end shards show it, and a little. */
const SHOWN_AFTER_MS = 2_500

/** A tick that took so long that another has begun: it must not write any more. */
class Overtaken extends Error {}

function toKept({ held, said }: Memory): ReadonlyMap<string, Kept> {
  const ids = new Set([...held.keys(), ...said.keys()])
  const keep = (id: string): Kept => {
    const one = held.get(id)
    return { text: one ? packEvidence(one.evidence) : null, said: said.get(id) ?? null }
  }
  return new Map(Array.from(ids, (id) => [id, keep(id)]))
}

/** When the next block has closed and is shown. */
function nextBlockAt(now: number): number {
  return (Math.floor((now - SHOWN_AFTER_MS) / BLOCK_MS) + 1) * BLOCK_MS + SHOWN_AFTER_MS
}

/** The one place that ticks for an environment's rollouts. */
export class RolloutClock extends DurableObject<Bindings> implements Clock {
  private readonly environment: string
  private readonly store: ClockStore
  private standing: Standing
  private memory: Memory
  /** As they are on disk. */
  private checkpoints: ReadonlyMap<string, Checkpoint>
  private readings: ReadonlyMap<string, Reading> = new Map()
  private published: Published = { version: 0, at: 0 }
  private nextAt: number | null = null
  /** Since the last tick was done, alarms included. */
  private rowsWritten = 0
  /** A lease and no promise: a tick that was cut off would hold it for ever. */
  private leasedUntil = 0
  private turn = 0

  constructor(state: DurableObjectState, bindings: Bindings) {
    super(state, bindings)
    this.environment = state.id.name ?? ''
    this.store = new ClockStore(state.storage)
    this.standing = this.store.standing()
    this.checkpoints = this.store.checkpoints()
    this.memory = this.restore(this.store.kept())
  }

  async tick(now: number): Promise<ClockStatus> {
    const started = Date.now()
    // Before the work, its own or that of a tick that may never end: whatever becomes of that, it goes on.
    if (this.standing.isGuarding && (this.nextAt ?? 0) <= started) await this.setAlarm(nextBlockAt(started))
    const left = this.leasedUntil - started
    // A lease that lies further ahead was taken by a clock that has gone back since.
    if (left > 0 && left <= LEASE_MS) return this.toStatus()
    this.leasedUntil = started + LEASE_MS
    const turn = ++this.turn
    const mine = () => {
      if (turn !== this.turn) throw new Overtaken('another tick has begun')
    }
    try {
      await this.work(Math.max(now, this.standing.tickedAt), started, mine)
    } catch (error) {
      console.error('tick failed', { environment: this.environment, error: String(error) })
    } finally {
      if (turn === this.turn) this.leasedUntil = 0
    }
    return this.toStatus()
  }

  async wake(): Promise<void> {
    const now = Date.now()
    if ((this.nextAt ?? 0) <= now) await this.setAlarm(nextBlockAt(now))
  }

  async status(): Promise<ClockStatus> {
    return this.toStatus()
  }

  async reading(rollout: string): Promise<Reading | null> {
    return this.readings.get(rollout) ?? null
  }

  async evidence(rollout: string): Promise<{ now: HeldEvidence; checkpoint: HeldEvidence } | null> {
    const held = this.memory.held.get(rollout)
    if (!held) return null
    const { evidence, checkpoint } = held
    const now = { through: evidence.through, text: packEvidence(evidence) }
    return { now, checkpoint: checkpoint ? { through: checkpoint.through, text: checkpoint.text } : now }
  }

  async clear(): Promise<void> {
    this.turn++
    await this.ctx.storage.deleteAlarm()
    await this.ctx.storage.deleteAll()
    this.store.forget()
    this.nextAt = null
    this.leasedUntil = 0
    this.standing = this.store.standing()
    this.checkpoints = new Map()
    this.readings = new Map()
    this.memory = this.restore(new Map())
  }

  override async alarm(): Promise<void> {
    this.nextAt = null
    // The next alarm does not come before this one is over.
    await Promise.race([this.tick(Date.now()), scheduler.wait(LEASE_MS)])
  }

  private async work(at: number, started: number, mine: () => void): Promise<void> {
    // What only a tick needs is no part of the way to an evaluation.
    const { act, look } = await import('./clock-tick.ts')
    const spent: Spent = { calls: 0 }
    const { memory, published } = this
    const seen = await look(this.env, this.environment, { memory, published }, at, spent)
    mine()
    if (!seen) return this.clear()
    this.keep(seen, at)
    const done = await act(this.env, this.environment, seen, at, spent, mine)
    mine()
    this.published = done.published
    this.memory = { ...this.memory, failed: done.failed }
    const { isGuarding } = this.standing
    if (isGuarding && this.nextAt === null) await this.setAlarm(nextBlockAt(Date.now()))
    else if (!isGuarding && this.nextAt !== null) await this.dropAlarm()
    const { rowsWritten } = this
    this.rowsWritten = 0
    const tookMs = Date.now() - started
    this.standing = { ...this.standing, tookMs, subrequests: spent.calls, rowsWritten }
  }

  /** Keeps what was read, before anything is done because of it: what is done twice is refused, what is lost is not. */
  private keep({ loaded, memory, published, decided }: Look, at: number): void {
    this.memory = memory
    this.published = published
    this.readings = new Map(
      decided.flatMap(({ rollout, reading }) => (reading ? [[rollout.id, reading]] : [])),
    )
    this.standing = {
      ...this.standing,
      tickedAt: at,
      rollouts: loaded.rollouts.length,
      unreadSince: memory.unreadSince,
      isGuarding: decided.some(
        ({ rollout, decision: { progress } }) =>
          rollout.plan.guardrails.length > 0 &&
          (progress.state === 'running' || progress.state === 'rolling_back'),
      ),
    }
    const checkpoints = new Map(
      [...memory.held].flatMap(([id, { checkpoint }]) => (checkpoint ? [[id, checkpoint] as const] : [])),
    )
    const isNew =
      checkpoints.size !== this.checkpoints.size ||
      checkpoints.entries().some(([id, checkpoint]) => this.checkpoints.get(id) !== checkpoint)
    this.rowsWritten += this.ctx.storage.transactionSync(() => {
      const rows = this.store.save(this.standing, toKept(this.memory))
      return rows + (isNew ? this.store.saveCheckpoints(checkpoints) : 0)
    })
    this.checkpoints = checkpoints
  }

  private restore(kept: ReadonlyMap<string, Kept>): Memory {
    const held = new Map<string, Held>()
    const said = new Map<string, Said>()
    for (const [id, { text, said: last }] of kept) {
      if (last) said.set(id, last)
      const one = text === null ? undefined : restoreHeld(text, this.checkpoints.get(id))
      if (one) held.set(id, one)
      // Its blocks are read again from where it began.
      else if (text !== null) console.error('evidence not readable', { environment: this.environment, id })
    }
    const { unreadSince } = this.standing
    return {
      held,
      said,
      totals: new Map(),
      sketches: new Map(),
      sketchedAt: 0,
      unreadSince,
      failed: new Set(),
    }
  }

  private async setAlarm(at: number): Promise<void> {
    this.nextAt = at
    this.rowsWritten++
    await this.ctx.storage.setAlarm(at)
  }

  private async dropAlarm(): Promise<void> {
    this.nextAt = null
    await this.ctx.storage.deleteAlarm()
  }

  private toStatus(): ClockStatus {
    const { tickedAt, tookMs, subrequests, rowsWritten, rollouts } = this.standing
    return { tickedAt, nextAt: this.nextAt, tookMs, subrequests, rowsWritten, rollouts }
  }
}
