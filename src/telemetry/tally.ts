// Counts evaluations in the isolate and sends them to one of the environment's shards after an answer. Nothing waits
// for it; everything of a request's own (promises, timers) stays out of what outlives the request.
import { randomHex } from '../access/key.ts'
import type { Bindings } from '../bindings.ts'
import type { EnvironmentSnapshot } from '../catalog/environment-snapshot.ts'
import type { EvaluationContext } from '../engine/context.ts'
import type { Evaluation } from '../engine/evaluation.ts'
import { withTimeout } from '../http/with-timeout.ts'
import { SHARD_COUNT, SHARD_TIMEOUT_MS, shardOf, type TallyReport } from './shard-protocol.ts'
import { TallyBuffer } from './tally-buffer.ts'

/** The longest that a count stays in the isolate, and the shortest time between two sendings. */
const HOLD_MS = 15_000
/** How long sending keeps others from it; soon over if the request that sends is cut off. */
const LEASE_MS = SHARD_TIMEOUT_MS + 500

type WaitUntil = (work: Promise<unknown>) => void

type Sender = {
  readonly buffer: TallyBuffer
  /** What was sent and is not known to have arrived. */
  pending: TallyReport | undefined
  sequence: number
  /** Until when somebody is taken to see to the sending; a time and not a flag, so that one cut off lets go. */
  leaseUntil: number
  sentAt: number
}

/** Who this isolate is to the shards, and which of them it reports to: a fraction of their number. */
type Identity = { readonly isolate: string; readonly place: number }

function createSender(): Sender {
  return {
    buffer: new TallyBuffer(),
    pending: undefined,
    sequence: 0,
    leaseUntil: 0,
    sentAt: Number.NEGATIVE_INFINITY,
  }
}

/** Counts what an isolate answers, by environment. */
export class Tally {
  private readonly senders = new Map<string, Sender>()
  private readonly now: () => number
  private identity: Identity | undefined

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.now = now
  }

  /** After an answer: counts its evaluations, and sees to it that they are sent within 15 seconds. */
  settle(
    bindings: Bindings,
    snapshot: EnvironmentSnapshot,
    evaluations: readonly Evaluation[],
    context: EvaluationContext,
    waitUntil: WaitUntil,
  ): void {
    const now = this.now()
    const sender = this.senderOf(snapshot)
    sender.buffer.count(evaluations, now)
    sender.buffer.keep(context, now)
    this.sendInTime(bindings, snapshot.flags.environment, sender, now, waitUntil)
  }

  /** After handing out a snapshot: whoever has it evaluates flags that are not counted here. */
  settleUncounted(bindings: Bindings, snapshot: EnvironmentSnapshot, waitUntil: WaitUntil): void {
    const now = this.now()
    const sender = this.senderOf(snapshot)
    sender.buffer.miss(now)
    this.sendInTime(bindings, snapshot.flags.environment, sender, now, waitUntil)
  }

  private senderOf({ flags, settings }: EnvironmentSnapshot): Sender {
    const sender = this.senders.get(flags.environment) ?? createSender()
    this.senders.set(flags.environment, sender)
    sender.buffer.allowContexts(settings.keepContexts === true)
    return sender
  }

  /** The request that finds nobody seeing to it waits out what is left of the 15 seconds, long after its answer. */
  private sendInTime(
    bindings: Bindings,
    environment: string,
    sender: Sender,
    now: number,
    waitUntil: WaitUntil,
  ): void {
    const since = sender.pending ? sender.sentAt : sender.buffer.oldestAt
    if (since === undefined || sender.leaseUntil > now) return
    const delay = Math.max(0, Math.max(since, sender.sentAt) + HOLD_MS - now)
    sender.leaseUntil = now + delay + LEASE_MS
    waitUntil(scheduler.wait(delay).then(() => this.send(bindings, environment, sender)))
  }

  /** Sends what is pending, then what has been counted since. Never throws. */
  private async send(bindings: Bindings, environment: string, sender: Sender): Promise<void> {
    if (sender.pending) await this.deliver(bindings, environment, sender, sender.pending)
    // One report at a time: one that came later must not make this one look like an old one.
    const tallied = sender.pending ? undefined : sender.buffer.take()
    if (tallied) {
      const { isolate } = this.identify()
      sender.pending = { isolate, sequence: ++sender.sequence, ...tallied }
      await this.deliver(bindings, environment, sender, sender.pending)
    }
    sender.leaseUntil = 0
  }

  /** Strikes out the report when it has arrived; otherwise it is kept, because it may have. */
  private async deliver(
    bindings: Bindings,
    environment: string,
    sender: Sender,
    report: TallyReport,
  ): Promise<void> {
    sender.sentAt = this.now()
    sender.leaseUntil = sender.sentAt + LEASE_MS
    try {
      const shard = shardOf(bindings, environment, Math.floor(this.identify().place * SHARD_COUNT))
      await withTimeout(shard.tally(report), SHARD_TIMEOUT_MS)
      // A later report may be on its way by now, if this one's answer was slow.
      if (sender.pending === report) sender.pending = undefined
    } catch (error) {
      console.warn('evaluations not reported yet', { environment, error: String(error) })
    }
  }

  /** Made in a request: there is no randomness before. */
  private identify(): Identity {
    this.identity ??= { isolate: randomHex(8), place: Math.random() }
    return this.identity
  }
}

/** The isolate's own: module scope outlives requests. */
export const tally = new Tally(() => Date.now())
