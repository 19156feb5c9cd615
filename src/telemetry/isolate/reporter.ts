// Tells an environment's event shards what this isolate answered, after an answer. Nothing waits for it; everything of
// a request's own (promises, timers) stays out of what outlives the request.
import type { Bindings } from '../../bindings.ts'
import type { EnvironmentSnapshot } from '../../catalog/environment-snapshot.ts'
import { withTimeout } from '../../http/with-timeout.ts'
import { SHARD_TIMEOUT_MS, shardOf, type Taken } from '../shard-protocol.ts'
import type { Answered } from './exposures.ts'
import { HOLD_MS, type Letter, Outbox } from './outbox.ts'

/** How much later than it should be a sending may begin before another request takes it over. */
const LEASE_MS = 2_500

type WaitUntil = (work: Promise<unknown>) => void

type Sender = {
  readonly environment: string
  readonly outbox: Outbox
  /** When somebody is going to send, and until when that is believed; times, so that one cut off lets go. */
  wakesAt: number
  leaseUntil: number
}

/** Reports what an isolate answers, by environment. */
export class Reporter {
  private readonly senders = new Map<string, Sender>()
  private readonly now: () => number
  private place: number | undefined

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.now = now
  }

  /** After an answer: counts its evaluations, notices exposures, and sees to it that both are sent in time. */
  settle(bindings: Bindings, snapshot: EnvironmentSnapshot, answered: Answered, waitUntil: WaitUntil): void {
    const now = this.now()
    const sender = this.senderOf(snapshot)
    sender.outbox.add(snapshot, answered, now)
    this.sendInTime(bindings, sender, now, waitUntil)
  }

  /** After handing out a snapshot: whoever has it evaluates flags that are not counted here. */
  settleUncounted(bindings: Bindings, snapshot: EnvironmentSnapshot, waitUntil: WaitUntil): void {
    const now = this.now()
    const sender = this.senderOf(snapshot)
    sender.outbox.miss(snapshot, now)
    this.sendInTime(bindings, sender, now, waitUntil)
  }

  private senderOf(snapshot: EnvironmentSnapshot): Sender {
    const { environment } = snapshot.flags
    const known = this.senders.get(environment)
    if (known) return known
    const outbox = new Outbox(snapshot)
    const sender = { environment, outbox, wakesAt: 0, leaseUntil: 0 }
    this.senders.set(environment, sender)
    return sender
  }

  /** The request that finds nobody seeing to it in time waits until it is due, long after its answer. */
  private sendInTime(bindings: Bindings, sender: Sender, now: number, waitUntil: WaitUntil): void {
    const dueAt = sender.outbox.dueAt(now)
    if (dueAt === undefined || (sender.leaseUntil > now && sender.wakesAt <= dueAt)) return
    const delay = Math.max(0, dueAt - now)
    sender.wakesAt = dueAt
    sender.leaseUntil = now + delay + LEASE_MS
    waitUntil(scheduler.wait(delay).then(() => this.send(bindings, sender, dueAt)))
  }

  /** Sends what is due: first what may not have arrived, and if that has, what was gathered since. Never throws. */
  private async send(bindings: Bindings, sender: Sender, wokenAt: number): Promise<void> {
    const { outbox } = sender
    // From here on the letters themselves say when they are to be sent again.
    if (sender.wakesAt === wokenAt) sender.leaseUntil = 0
    // A timer may be early by what clocks are rounded.
    const now = Math.max(this.now(), wokenAt)
    if ((outbox.dueAt(now) ?? Number.POSITIVE_INFINITY) > now) return
    await this.deliverAll(bindings, sender, outbox.overdue(now))
    if (outbox.isWaiting) return
    // Made in a request: there is no randomness before.
    this.place ??= Math.random()
    await this.deliverAll(bindings, sender, outbox.write(this.place, now))
  }

  private async deliverAll(bindings: Bindings, sender: Sender, letters: readonly Letter[]): Promise<void> {
    await Promise.all(letters.map((letter) => this.deliver(bindings, sender, letter)))
  }

  /** Strikes out a letter when it has arrived; otherwise it is kept as it is, because it may have. */
  private async deliver(bindings: Bindings, { environment, outbox }: Sender, letter: Letter): Promise<void> {
    letter.retryAt = this.now() + HOLD_MS
    try {
      const taken = await handOver(bindings, environment, letter)
      if (taken === 'counted') outbox.strikeOut(letter)
      else if (taken === 'expired') outbox.giveUp(letter, this.now())
      else console.warn('counts not taken yet', { environment, shard: letter.shard, taken })
    } catch (error) {
      console.warn('counts not reported yet', { environment, shard: letter.shard, error: String(error) })
    }
  }
}

async function handOver(
  bindings: Bindings,
  environment: string,
  { shard, message, plan }: Letter,
): Promise<Taken> {
  const taker = shardOf(bindings, environment, shard)
  const taken = await withTimeout(taker.take(message), SHARD_TIMEOUT_MS)
  return taken === 'plan_wanted' ? withTimeout(taker.take(message, plan), SHARD_TIMEOUT_MS) : taken
}

/** The isolate's own: module scope outlives requests. */
export const reporter = new Reporter(() => Date.now())
