// The connection check: which kinds of events arrive at all, before anything is made to depend on them.
import type { Bindings } from '../../bindings.ts'
import type { Measurement, Metric, MetricKind } from '../../catalog/measurement.ts'
import type { SeriesCell } from '../counting/series.ts'
import { askShards } from './ask-shards.ts'
import { STEP_MS } from './series.ts'

/** How far back an event may lie and still count as arriving. */
export const RECENT_MS = 5 * STEP_MS.minute

export type Lane = 'exposures' | 'outcomes' | 'errors' | 'latencies' | 'resources'

const LANE_OF: { readonly [kind in MetricKind]: Lane } = {
  conversion: 'outcomes',
  count: 'outcomes',
  mean: 'outcomes',
  ratio: 'outcomes',
  error: 'errors',
  latency: 'latencies',
  resource: 'resources',
}

/** What has arrived of one kind. */
export type Arrival = {
  /** Whether there was any in the last five minutes, and how many. */
  readonly arriving: boolean
  readonly count: number
  /**
   * The minute of the last one, or the hour where that is more than an hour ago, in milliseconds since 1970; null:
   * none in the last day.
   */
  readonly lastAt: number | null
  /**
   * How many of the last five minutes' could not be attributed to the flag: unsigned, or of units that have not met
   * it. null where the flag is not measured.
   */
  readonly notAttributed: number | null
}

export type Arrivals = { readonly [lane in Lane]: Arrival }

export type Connection = {
  readonly environment: Arrivals
  /** By key: flags that are measured, and those that something has arrived of. */
  readonly flags: readonly {
    readonly flag: string
    readonly measured: boolean
    readonly arrivals: Arrivals
  }[]
}

/** What is counted in an environment. */
export type Plan = { readonly metrics: readonly Metric[]; readonly measurements: readonly Measurement[] }

type Seen = { count: number; attributed: number; lastAt: number | null }

class LaneSums {
  private readonly lanes = new Map<Lane, Seen>()

  of(lane: Lane): Seen {
    const seen = this.lanes.get(lane) ?? { count: 0, attributed: 0, lastAt: null }
    this.lanes.set(lane, seen)
    return seen
  }

  add(lane: Lane, { start, count, measurement }: SeriesCell, isRecent: boolean): void {
    const seen = this.of(lane)
    if (count > 0) seen.lastAt = Math.max(seen.lastAt ?? 0, start)
    if (!isRecent) return
    seen.count += count
    if (measurement !== '') seen.attributed += count
  }

  /** @param expected how many should have been attributed, of each lane; undefined where none should */
  arrivals(expected?: (lane: Lane, seen: Seen) => number): Arrivals {
    const arrival = (lane: Lane): Arrival => {
      const seen = this.of(lane)
      // A unit may be in two measurements of one flag.
      const notAttributed = expected ? Math.max(0, expected(lane, seen) - seen.attributed) : null
      return { arriving: seen.count > 0, count: seen.count, lastAt: seen.lastAt, notAttributed }
    }
    return {
      exposures: arrival('exposures'),
      outcomes: arrival('outcomes'),
      errors: arrival('errors'),
      latencies: arrival('latencies'),
      resources: arrival('resources'),
    }
  }
}

/**
 * Tells what arrives.
 * @param cells minutes of the last hour, and hours of the last day before it
 */
export function toConnection(cells: readonly SeriesCell[], plan: Plan, now: number): Connection {
  const kindOf = new Map(plan.metrics.map(({ key, kind }) => [key, kind]))
  const recently = now - RECENT_MS
  const whole = new LaneSums()
  const flags = new Map<string, LaneSums>()
  const overall = new Map<string, number>()
  for (const { flag } of plan.measurements) flags.set(flag, new LaneSums())
  for (const cell of cells) {
    const kind = cell.metric === null ? undefined : kindOf.get(cell.metric)
    if (cell.metric !== null && kind === undefined) continue
    const lane = kind === undefined ? 'exposures' : LANE_OF[kind]
    // By what the minute ends with: it is not known when in the minute it was.
    const isRecent = cell.start + STEP_MS.minute > recently
    if (cell.metric === null || cell.flag === '') whole.add(lane, cell, isRecent)
    if (cell.flag === '') {
      const metric = cell.metric ?? ''
      if (isRecent) overall.set(metric, (overall.get(metric) ?? 0) + cell.count)
      continue
    }
    const sums = flags.get(cell.flag) ?? new LaneSums()
    flags.set(cell.flag, sums)
    sums.add(lane, cell, isRecent)
  }
  const expectedOf = (flag: string) => {
    const own = plan.measurements.filter((measurement) => measurement.flag === flag)
    if (own.length === 0) return undefined
    const watched = [...new Set(own.flatMap(({ metrics }) => metrics.map(({ metric }) => metric)))]
    return (lane: Lane, seen: Seen) =>
      lane === 'exposures'
        ? seen.count
        : watched
            .filter((metric) => LANE_OF[kindOf.get(metric) ?? 'count'] === lane)
            .reduce((sum, metric) => sum + (overall.get(metric) ?? 0), 0)
  }
  return {
    environment: whole.arrivals(),
    flags: [...flags]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([flag, sums]) => {
        const expected = expectedOf(flag)
        return { flag, measured: expected !== undefined, arrivals: sums.arrivals(expected) }
      }),
  }
}

/** Loads what arrives in an environment. */
export async function loadConnection(
  bindings: Bindings,
  environment: string,
  plan: Plan,
  now: number,
): Promise<Connection & { readonly partial: boolean }> {
  const minute = now - (now % STEP_MS.minute)
  // Before the first whole hour of the last hour, so that no hour is read that its minutes say more of.
  const hour = Math.floor((minute - STEP_MS.hour) / STEP_MS.hour) * STEP_MS.hour
  const { answers, partial } = await askShards(bindings, environment, (shard) =>
    Promise.all([
      shard.series({ from: hour, to: minute + STEP_MS.minute, step: 'minute' }),
      shard.series({ from: hour - STEP_MS.day + STEP_MS.hour, to: hour, step: 'hour' }),
    ]),
  )
  return { ...toConnection(answers.flat(2), plan, now), partial }
}
