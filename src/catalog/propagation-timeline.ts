// One change's first ten minutes, second by second: what was answered at its version, and what at an older one.
// Pure. No clock: instants are the caller's, in milliseconds of one clock.

/** How long after a change it is followed. */
export const FOLLOWED_MS = 10 * 60_000
/** How recently before a change an isolate must have reported to be expected, and how long its silence is borne. */
export const SILENCE_MS = 2 * 60_000

const FINE_PARTS = 60
const FINE_MS = 1_000
const COARSE_MS = 10_000
const PARTS = FINE_PARTS + (FOLLOWED_MS - FINE_PARTS * FINE_MS) / COARSE_MS

/** What is known of one change; plain data, so that it can be written down. */
export type Timeline = {
  readonly version: number
  readonly committedAt: number | null
  readonly changedAt: number
  readonly listenedMs: number
  publishedAt: number | null
  /** Evaluations in each part, at the version or a newer one. */
  readonly current: number[]
  /** Evaluations in each part, at older versions. */
  readonly older: number[]
}

/** Isolates, one or some taken together, that are expected to go on as they did until they report. */
export type Expected = {
  readonly isolates: number
  /** The version that they last said they hold. */
  readonly version: number
  /** Up to when all that they have answered is reported. */
  readonly reportedUntil: number
  /** Evaluations in a millisecond. */
  readonly rate: number
}

/** Evaluations at one version, from one instant to another. */
export type ServedSpan = {
  readonly version: number
  readonly evaluations: number
  readonly from: number
  readonly to: number
}

/** A part of the timeline: one second in the first minute, then ten. */
export type PropagationPart = {
  /** Where it begins, in seconds after the change. */
  readonly second: number
  /** Reported evaluations in it; not whole, because a report is spread evenly over the span that it is for. */
  readonly evaluations: number
  /** The part of `evaluations` at the version or a newer one, 0 to 1; null when there are none. */
  readonly share: number | null
  /**
   * The part that is expected and not reported (yet), 0 to 1, of what is reported and expected: isolates that
   * reported in the two minutes before the change, or since, are expected to go on at their own rate until they
   * report. Isolates that have never reported are in neither.
   */
  readonly unreportedShare: number
}

/** When a share was reached for good, as far as has been reported. */
export type Reached = {
  /** Where the first part begins from which on no part with evaluations lies below, in seconds after the change. */
  readonly second: number
  /** What was unreported in that part: more than 0 means that the answer may still become a later one. */
  readonly unreportedShare: number
}

/** How one change has spread, by what isolates have reported. */
export type ChangePropagation = {
  readonly version: number
  /** When its writer committed it, by the writer's clock, in milliseconds since 1970; null when that is not known. */
  readonly committedAt: number | null
  /** When the hub learned of it: second 0 of all that follows; milliseconds since 1970. */
  readonly changedAt: number
  /** When KV took it, alone or with later changes; null while it has not. */
  readonly publishedAt: number | null
  /**
   * How long the hub had been listening when the change came, in milliseconds, at most two minutes. Isolates that
   * ask more rarely than that are neither known nor expected before they report: the platform ends a hub that is
   * idle, and with it what it has heard.
   */
  readonly listenedMs: number
  /** All reported evaluations of the timeline, at whatever version. */
  readonly reportedEvaluations: number
  /** Up to now, for ten minutes after the change; the last part may not be over. */
  readonly timeline: readonly PropagationPart[]
  /** The timeline at 1, 5, 10, 30 and 60 seconds; nulls where it has not come to that. */
  readonly sharesAt: readonly {
    readonly second: number
    readonly share: number | null
    readonly unreportedShare: number | null
  }[]
  /** When a half, 90 %, 99 % and all of the reported evaluations were at the version; null while they are not. */
  readonly reached: {
    readonly half: Reached | null
    readonly p90: Reached | null
    readonly p99: Reached | null
    readonly all: Reached | null
  }
  readonly isolates: {
    /** That have reported in the two minutes before the change or since; those that never have are not known. */
    readonly known: number
    /** Of the known, that said in their last report that they hold the version or a newer one. */
    readonly current: number
    /**
     * Of the known, that have been silent for two minutes since the change: idle, cut off, or ended by the platform,
     * which tells nobody. What was expected of them is no longer counted as unreported.
     */
    readonly lost: number
  }
}

/**
 * The timeline of a change that the hub has just learned of.
 * @param listeningSince since when the hub has counted every report that it got
 */
export function startTimeline(
  version: number,
  committedAt: number | null,
  changedAt: number,
  listeningSince: number,
): Timeline {
  return {
    version,
    committedAt,
    changedAt,
    listenedMs: Math.max(0, Math.min(SILENCE_MS, changedAt - listeningSince)),
    publishedAt: null,
    current: new Array<number>(PARTS).fill(0),
    older: new Array<number>(PARTS).fill(0),
  }
}

/** Tells whether a timeline still takes reports. */
export function isFollowed({ changedAt }: Timeline, now: number): boolean {
  return now < changedAt + FOLLOWED_MS
}

function startOf(part: number): number {
  return part < FINE_PARTS ? part * FINE_MS : FINE_PARTS * FINE_MS + (part - FINE_PARTS) * COARSE_MS
}

function partAt(ms: number): number {
  const coarse = Math.floor(ms / COARSE_MS) - (FINE_PARTS * FINE_MS) / COARSE_MS
  return coarse < 0 ? Math.floor(ms / FINE_MS) : FINE_PARTS + coarse
}

/** Adds an amount that is spread evenly over [from, to), in milliseconds after the change; leaves out what lies outside. */
function spread(parts: number[], amount: number, from: number, to: number): void {
  if (from >= FOLLOWED_MS || to < 0) return
  if (to <= from) {
    const part = partAt(from)
    parts[part] = (parts[part] ?? 0) + amount
    return
  }
  for (let part = partAt(Math.max(0, from)); part < PARTS && startOf(part) < to; part++) {
    const overlap = Math.min(to, startOf(part + 1)) - Math.max(from, startOf(part))
    parts[part] = (parts[part] ?? 0) + (amount * overlap) / (to - from)
  }
}

/** Counts evaluations in the parts in which they were answered. */
export function addSpan(timeline: Timeline, { version, evaluations, from, to }: ServedSpan): void {
  const { changedAt } = timeline
  const isCurrent = version >= timeline.version
  // Nothing was answered at the version before the change; clocks that stand still within a request may say so.
  const earliest = isCurrent ? 0 : Number.NEGATIVE_INFINITY
  const after = (instant: number) => Math.max(earliest, instant - changedAt)
  spread(isCurrent ? timeline.current : timeline.older, evaluations, after(from), after(to))
}

function reachedAt(timeline: readonly PropagationPart[], share: number): Reached | null {
  let reached: PropagationPart | null = null
  for (const part of timeline) {
    if (part.share === null) continue
    if (part.share < share) reached = null
    else reached ??= part
  }
  return reached && { second: reached.second, unreportedShare: reached.unreportedShare }
}

function countExpected(timeline: Timeline, expected: Iterable<Expected>, now: number) {
  const { changedAt } = timeline
  const unreported = new Array<number>(PARTS).fill(0)
  let known = 0
  let current = 0
  let lost = 0
  for (const { isolates, version, reportedUntil, rate } of expected) {
    if (reportedUntil < changedAt - SILENCE_MS) continue
    const since = Math.max(changedAt, reportedUntil)
    known += isolates
    if (version >= timeline.version) current += isolates
    if (now - since > SILENCE_MS) lost += isolates
    else if (now > since) spread(unreported, rate * (now - since), since - changedAt, now - changedAt)
  }
  return { unreported, isolates: { known, current, lost } }
}

/** What a timeline says at an instant. */
export function readTimeline(
  timeline: Timeline,
  expected: Iterable<Expected>,
  now: number,
): ChangePropagation {
  const { version, committedAt, changedAt, publishedAt, listenedMs } = timeline
  const until = Math.min(now, changedAt + FOLLOWED_MS)
  const { unreported, isolates } = countExpected(timeline, expected, until)
  const parts: PropagationPart[] = []
  let reportedEvaluations = 0
  for (let part = 0; part < PARTS && startOf(part) < until - changedAt; part++) {
    const current = timeline.current[part] ?? 0
    const evaluations = current + (timeline.older[part] ?? 0)
    const missing = unreported[part] ?? 0
    reportedEvaluations += evaluations
    parts.push({
      second: startOf(part) / 1_000,
      evaluations,
      share: evaluations > 0 ? current / evaluations : null,
      unreportedShare: missing > 0 ? missing / (evaluations + missing) : 0,
    })
  }
  const sharesAt = [1, 5, 10, 30, 60].map((second) => {
    const part = parts[partAt(second * 1_000)]
    return { second, share: part?.share ?? null, unreportedShare: part?.unreportedShare ?? null }
  })
  const reached = {
    half: reachedAt(parts, 0.5),
    p90: reachedAt(parts, 0.9),
    p99: reachedAt(parts, 0.99),
    all: reachedAt(parts, 1),
  }
  return {
    version,
    committedAt,
    changedAt,
    publishedAt,
    listenedMs,
    reportedEvaluations,
    timeline: parts,
    sharesAt,
    reached,
    isolates,
  }
}
