// An environment's counters as Prometheus scrapes them: its text format, version 0.0.4.
import type { Bindings } from '../../bindings.ts'
import type { SeriesCell } from '../counting/series.ts'
import type { ShardStatus, UsageSpan } from '../shard-protocol.ts'
import { askShards } from './ask-shards.ts'
import { STEP_MS } from './series.ts'

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** What one shard has counted since the counters began. */
export type ShardCounters = {
  readonly shard: number
  readonly usage: readonly UsageSpan[]
  readonly cells: readonly SeriesCell[]
  readonly status: ShardStatus
}

type Labels = { readonly [label: string]: string }

type Family = {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly samples: readonly (readonly [labels: Labels, value: number])[]
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

function lineOf(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}{${pairs.join(',')}} ${value}\n`
}

function textOf({ name, type, help, samples }: Family): string {
  const lines = samples.map(([labels, value]) => lineOf(name, labels, value))
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

/** Adds up numbers by their labels. */
function sums(of: Iterable<readonly [labels: Labels, value: number]>): Family['samples'] {
  const found = new Map<string, [Labels, number]>()
  for (const [labels, value] of of) {
    const key = JSON.stringify(Object.values(labels))
    found.set(key, [labels, (found.get(key)?.[1] ?? 0) + value])
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sample]) => sample)
}

function* evaluationsOf(environment: string, usage: readonly UsageSpan[]) {
  for (const { flags } of usage) {
    for (const [flag, counts] of flags) {
      for (const { variant, reason, evaluations } of counts) {
        yield [{ environment, flag, variant: variant ?? '', reason }, evaluations] as const
      }
    }
  }
}

/** Writes the counters of an environment; `since` is when they began. */
export function toPrometheus(environment: string, shards: readonly ShardCounters[], since: number): string {
  const cells = shards.flatMap((shard) => shard.cells)
  const cellsBy = (
    isMeant: (cell: SeriesCell) => boolean,
    labelsOf: (cell: SeriesCell) => Labels,
  ): Family['samples'] => sums(cells.filter(isMeant).map((cell) => [labelsOf(cell), cell.count]))
  const statusBy = (of: (status: ShardStatus) => number): Family['samples'] =>
    shards.map(({ shard, status }) => [{ environment, shard: String(shard) }, of(status)])
  const families: readonly Family[] = [
    {
      name: 'rampart_counters_start_time_seconds',
      type: 'gauge',
      help: 'When the counters below began, in seconds since 1970: they begin anew every day at midnight UTC.',
      samples: [[{ environment }, since / 1_000]],
    },
    {
      name: 'rampart_evaluations_total',
      type: 'counter',
      help: 'Evaluations of flags; an empty variant is the default of the caller.',
      samples: sums(
        evaluationsOf(
          environment,
          shards.flatMap(({ usage }) => usage),
        ),
      ),
    },
    {
      name: 'rampart_exposures_total',
      type: 'counter',
      help: 'Exposures of units to variants.',
      samples: cellsBy(
        ({ metric }) => metric === null,
        ({ flag, variant }) => ({ environment, flag, variant }),
      ),
    },
    {
      name: 'rampart_metric_events_total',
      type: 'counter',
      help: 'Events of metrics.',
      samples: cellsBy(
        ({ metric, flag }) => metric !== null && flag === '',
        ({ metric }) => ({ environment, metric: metric ?? '' }),
      ),
    },
    {
      name: 'rampart_flag_metric_events_total',
      type: 'counter',
      help: 'Events of metrics by the flag and variant that they were attributed to; one event may be of several.',
      samples: cellsBy(
        ({ metric, flag }) => metric !== null && flag !== '',
        ({ metric, flag, variant }) => ({ environment, metric: metric ?? '', flag, variant }),
      ),
    },
    {
      name: 'rampart_event_shard_storage_bytes',
      type: 'gauge',
      help: 'What the database of an event shard weighs, in bytes.',
      samples: statusBy(({ databaseBytes }) => databaseBytes),
    },
    {
      name: 'rampart_event_shard_units',
      type: 'gauge',
      help: 'Units that an event shard keeps.',
      samples: statusBy(({ units }) => units),
    },
    {
      name: 'rampart_event_shard_rows_written_total',
      type: 'counter',
      help: 'Rows that an event shard has written since it was made.',
      samples: statusBy(({ rowsWritten }) => rowsWritten),
    },
  ]
  return families.map(textOf).join('')
}

/**
 * Loads the counters of an environment as text: of the present day, UTC. undefined when a shard does not answer: a
 * counter must not go down because something is missing.
 */
export async function loadPrometheus(
  bindings: Bindings,
  environment: string,
  now: number,
): Promise<string | undefined> {
  const from = now - (now % STEP_MS.day)
  // To its end, because clocks may be a little ahead of ours.
  const range = { from, to: from + STEP_MS.day, step: 'hour' } as const
  const { answers, partial } = await askShards(bindings, environment, async (shard, index) => {
    const [usage, cells, status] = await Promise.all([
      shard.usage(range),
      shard.series(range),
      shard.status(),
    ])
    return { shard: index, usage, cells, status }
  })
  return partial ? undefined : toPrometheus(environment, answers, from)
}
