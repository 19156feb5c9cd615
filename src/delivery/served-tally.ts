// What an isolate has answered, at which version, and when: kept until the hub has confirmed that it was counted.
// No clock: `now` is the isolate's own, in milliseconds.
import { MAX_REPORT_ENTRIES, type ReportEntry, type ServedReport } from '../catalog/hub-protocol.ts'

type Span = { readonly version: number; evaluations: number; from: number; to: number }
type SentSpan = Span & { readonly sequence: number }

/** A report, still without the isolate's id. */
export type TallyReport = Omit<ServedReport, 'isolate'>

/** Counts the evaluations of one environment. */
export class ServedTally {
  private sent: readonly SentSpan[] = []
  private sequence = 0
  /** Not sent yet: one for each version, in the order of their first evaluations. */
  private open: Span[] = []

  /** Counts evaluations that were answered just now. */
  add(version: number, evaluations: number, now: number): void {
    if (evaluations === 0) return
    const span = this.open.at(-1)
    if (span?.version === version) {
      span.evaluations += evaluations
      // Requests do not see one clock: it stands still in each of them between two things that it waits for.
      if (now > span.to) span.to = now
    } else {
      this.addElsewhere(version, evaluations, now)
    }
  }

  /**
   * What the hub is to be told, with what it was told and has not confirmed: that keeps its sequence and its numbers,
   * so that it counts once although it may be sent many times.
   */
  report(now: number): TallyReport {
    const room = MAX_REPORT_ENTRIES - this.sent.length
    const sealed = this.open.splice(0, room).map((span) => ({ ...span, sequence: ++this.sequence }))
    this.sent = [...this.sent, ...sealed]
    const [withheld] = this.open
    return {
      entries: this.sent.map(
        ({ sequence, version, evaluations, from, to }): ReportEntry => ({
          sequence,
          version,
          evaluations,
          endedMsAgo: Math.max(0, now - to),
          lastedMs: to - from,
        }),
      ),
      withheldMs: withheld ? Math.max(0, now - withheld.from) : 0,
    }
  }

  /** Lets go of what the hub has counted. */
  confirm({ entries }: TallyReport): void {
    const last = entries.at(-1)?.sequence ?? 0
    this.sent = this.sent.filter(({ sequence }) => sequence > last)
  }

  private addElsewhere(version: number, evaluations: number, now: number): void {
    const known = this.open.find((span) => span.version === version)
    if (known) {
      known.evaluations += evaluations
      known.to = Math.max(known.to, now)
      return
    }
    this.open.push({ version, evaluations, from: now, to: now })
    if (this.open.length > MAX_REPORT_ENTRIES) this.mergeOldest()
  }

  /** Where there are too many, the oldest two become one, at the older version: never is anything said to be newer. */
  private mergeOldest(): void {
    const [first, second, ...rest] = this.open
    if (!first || !second) return
    this.open = [
      {
        version: Math.min(first.version, second.version),
        evaluations: first.evaluations + second.evaluations,
        from: Math.min(first.from, second.from),
        to: Math.max(first.to, second.to),
      },
      ...rest,
    ]
  }
}
