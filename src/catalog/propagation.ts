// How the newest change, and the one before it, spread over the isolates: measured by what they report. Pure. No
// clock: `now` is always the hub's, in milliseconds; isolates say how long ago things were, so theirs do not matter.
import { isJsonObject } from '../engine/json.ts'
import {
  addSpan,
  type ChangePropagation,
  type Expected,
  FOLLOWED_MS,
  isFollowed,
  readTimeline,
  type ServedSpan,
  SILENCE_MS,
  startTimeline,
  type Timeline,
} from './propagation-timeline.ts'
import { MAX_REPORT_ENTRIES, type ReportEntry, type ServedReport } from './served-report.ts'

const MAX_ISOLATES = 5_000
const MAX_ID_LENGTH = 36
const MAX_EVALUATIONS = 1e12
const MAX_AGO_MS = 24 * 3_600_000
/** An isolate's rate is that of about its last two minutes. */
const RATE_MS = 2 * 60_000
const FORMAT = 1

/** How the newest change has spread, and the one before it. */
export type Propagation = ChangePropagation & { readonly previous: ChangePropagation | null }

type Isolate = {
  readonly sequence: number
  readonly version: number
  readonly reportedUntil: number
  /** What it answered of late, and in how many milliseconds. */
  readonly evaluations: number
  readonly milliseconds: number
}

/** A change: followed while there is no result, and then what came of it. */
type Followed = { readonly timeline: Timeline; result: ChangePropagation | null }

type State = {
  readonly format: typeof FORMAT
  readonly changes: readonly Followed[]
  readonly folded: Expected | null
  readonly isolates: readonly PackedIsolate[]
}

/** There may be thousands, written down every few seconds. */
type PackedIsolate = readonly [
  id: string,
  sequence: number,
  version: number,
  reportedUntil: number,
  evaluations: number,
  milliseconds: number,
]

function pack(id: string, isolate: Isolate): PackedIsolate {
  const { sequence, version, reportedUntil, evaluations, milliseconds } = isolate
  return [id, sequence, version, reportedUntil, evaluations, milliseconds]
}

function unpack([id, sequence, version, reportedUntil, evaluations, milliseconds]: PackedIsolate) {
  return [id, { sequence, version, reportedUntil, evaluations, milliseconds }] as const
}

function isCount(value: unknown, max: number): value is number {
  return typeof value === 'number' && value >= 0 && value <= max
}

function parseEntry(value: unknown): ReportEntry | null {
  if (!isJsonObject(value)) return null
  const { sequence, version, evaluations, endedMsAgo, lastedMs } = value
  const isGood =
    isCount(sequence, Number.MAX_SAFE_INTEGER) &&
    isCount(version, Number.MAX_SAFE_INTEGER) &&
    isCount(evaluations, MAX_EVALUATIONS) &&
    isCount(endedMsAgo, MAX_AGO_MS) &&
    isCount(lastedMs, MAX_AGO_MS)
  return isGood ? { sequence, version, evaluations, endedMsAgo, lastedMs } : null
}

/** Reads a report as it arrives; entries that make no sense are left out, null when nobody can have sent it. */
function parseReport(value: unknown): ServedReport | null {
  if (!isJsonObject(value) || !Array.isArray(value.entries)) return null
  const { isolate, entries, withheldMs } = value
  if (typeof isolate !== 'string' || isolate === '' || isolate.length > MAX_ID_LENGTH) return null
  return {
    isolate,
    entries: entries.slice(0, MAX_REPORT_ENTRIES).flatMap((entry) => parseEntry(entry) ?? []),
    withheldMs: isCount(withheldMs, MAX_AGO_MS) ? withheldMs : 0,
  }
}

function parseState(text: string | null): State | null {
  if (text === null) return null
  try {
    const state = JSON.parse(text) as State
    return state.format === FORMAT ? state : null
  } catch {
    return null
  }
}

function rateOf({ evaluations, milliseconds }: Isolate): number {
  return milliseconds > 0 ? evaluations / milliseconds : 0
}

/** Measures the spreading of changes; one for each hub. */
export class PropagationMeter {
  /** The newest change and the one before it. */
  private changes: readonly Followed[]
  /** What was forgotten of single isolates when there were too many, the longest silent first. */
  private folded: Expected | null
  /** By id, the longest silent first. */
  private readonly isolates: Map<string, Isolate>

  private readonly listeningSince: number

  /** @param text what `toText` wrote; anything else, and null, is a meter that knows nothing */
  constructor(text: string | null, now: number) {
    const state = parseState(text)
    this.changes = state?.changes ?? []
    this.folded = state?.folded ?? null
    this.isolates = new Map(state?.isolates.map(unpack))
    this.listeningSince = now
  }

  /** Everything, to go on from. */
  toText(): string {
    const { changes, folded } = this
    const isolates = Array.from(this.isolates, ([id, isolate]) => pack(id, isolate))
    return JSON.stringify({ format: FORMAT, changes, folded, isolates } satisfies State)
  }

  /** Tells whether the newest change is young enough to be followed. */
  isFollowing(now: number): boolean {
    const [newest] = this.changes
    return newest !== undefined && isFollowed(newest.timeline, now)
  }

  /** Begins to follow a change; the one before it takes reports until its own time is over. */
  change(version: number, committedAt: number | null, now: number): void {
    this.close(now)
    const newest = { timeline: startTimeline(version, committedAt, now, this.listeningSince), result: null }
    this.changes = [newest, ...this.changes.slice(0, 1)]
  }

  /** Notes that KV has a version, however late. */
  published(version: number, now: number): void {
    this.close(now)
    for (const followed of this.changes) {
      if (version < followed.timeline.version || followed.timeline.publishedAt !== null) continue
      followed.timeline.publishedAt = now
      if (followed.result) followed.result = { ...followed.result, publishedAt: now }
    }
  }

  /**
   * Counts what an isolate reports, each entry once.
   * @param version the version that the isolate holds
   * @returns false when there is nothing that could be counted, and then nothing has changed
   */
  report(version: number, value: unknown, now: number): boolean {
    const report = parseReport(value)
    if (!report) return false
    const known = this.isolates.get(report.isolate)
    const sequence = known?.sequence ?? 0
    const fresh = report.entries.filter((entry) => entry.sequence > sequence)
    const spans = fresh.map(({ version, evaluations, endedMsAgo, lastedMs }): ServedSpan => {
      const to = now - endedMsAgo
      return { version, evaluations, from: to - lastedMs, to }
    })
    this.close(now)
    for (const { timeline } of this.changes) {
      for (const span of spans) addSpan(timeline, span)
    }
    const reportedUntil = Math.max(known?.reportedUntil ?? 0, now - report.withheldMs)
    const since = known?.reportedUntil ?? Math.min(reportedUntil, ...spans.map(({ from }) => from))
    const milliseconds = reportedUntil - since
    const kept = Math.max(0, 1 - milliseconds / RATE_MS)
    const evaluations = spans.reduce((sum, span) => sum + span.evaluations, 0)
    // Its entries do not begin at 1: it has reported before, and was folded since.
    if (!known && (report.entries[0]?.sequence ?? 1) > 1) this.unfold()
    // Deleted first, so that it comes last.
    this.isolates.delete(report.isolate)
    this.isolates.set(report.isolate, {
      sequence: fresh.reduce((last, entry) => Math.max(last, entry.sequence), sequence),
      version,
      reportedUntil,
      evaluations: (known?.evaluations ?? 0) * kept + evaluations,
      milliseconds: (known?.milliseconds ?? 0) * kept + milliseconds,
    })
    this.forget(now)
    return true
  }

  /** How the newest change and the one before it have spread by now; null before the first change. */
  read(now: number): Propagation | null {
    this.close(now)
    const [newest, previous] = this.changes.map((followed) => this.resultOf(followed, now))
    return newest ? { ...newest, previous: previous ?? null } : null
  }

  private resultOf({ timeline, result }: Followed, now: number): ChangePropagation {
    return result ?? readTimeline(timeline, this.expected(), now)
  }

  /** Keeps what came of the changes whose time is over: who is silent later has nothing to do with them. */
  private close(now: number): void {
    for (const followed of this.changes) {
      if (!isFollowed(followed.timeline, now)) followed.result ??= this.resultOf(followed, now)
    }
  }

  private *expected(): Iterable<Expected> {
    if (this.folded) yield this.folded
    for (const isolate of this.isolates.values()) {
      const { version, reportedUntil } = isolate
      yield { isolates: 1, version, reportedUntil, rate: rateOf(isolate) }
    }
  }

  /** Forgets who has been silent for longer than any change is followed, and folds those who are too many. */
  private forget(now: number): void {
    const horizon = now - FOLLOWED_MS - SILENCE_MS
    if (this.folded && this.folded.reportedUntil < horizon) this.folded = null
    for (const [id, isolate] of this.isolates) {
      const isForgotten = isolate.reportedUntil < horizon
      if (!isForgotten && this.isolates.size <= MAX_ISOLATES) return
      this.isolates.delete(id)
      if (!isForgotten) this.fold(isolate)
    }
  }

  private fold(isolate: Isolate): void {
    const { isolates, version, reportedUntil, rate } = this.folded ?? {
      isolates: 0,
      version: isolate.version,
      reportedUntil: 0,
      rate: 0,
    }
    this.folded = {
      isolates: isolates + 1,
      version: Math.min(version, isolate.version),
      reportedUntil: (reportedUntil * isolates + isolate.reportedUntil) / (isolates + 1),
      rate: rate + rateOf(isolate),
    }
  }

  /** Takes an isolate that is known again out of those that are folded: an average one of them. */
  private unfold(): void {
    if (!this.folded) return
    const { isolates, rate } = this.folded
    const left = isolates - 1
    this.folded = left === 0 ? null : { ...this.folded, isolates: left, rate: (rate * left) / isolates }
  }
}
