import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SeriesCell } from '../../../src/telemetry/counting/series.ts'
import { type ShardCounters, toPrometheus } from '../../../src/telemetry/reading/prometheus.ts'
import type { Count, ShardStatus } from '../../../src/telemetry/shard-protocol.ts'

const SINCE = 1_794_960_000_000

type Sample = { readonly name: string; readonly labels: Record<string, string>; readonly value: number }

/** Reads version 0.0.4 of the text format, and refuses what Prometheus would refuse. */
function parse(text: string): Sample[] {
  const types = new Map<string, string>()
  const samples: Sample[] = []
  const seen = new Set<string>()
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    if (comment) {
      const [, kind, name = '', rest = ''] = comment
      if (kind === 'TYPE') {
        expect(types.has(name)).toBe(false)
        expect(['counter', 'gauge']).toContain(rest)
        types.set(name, rest)
      }
      continue
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} (\d+(?:\.\d+)?)$/.exec(line)
    if (!sample) throw new Error(`not understood: ${line}`)
    const [, name = '', inner = '', value] = sample
    const type = types.get(name)
    if (type === undefined) throw new Error(`${name} has no type`)
    if (type === 'counter') expect(name).toMatch(/_total$/)
    const pairs = [...inner.matchAll(/([a-z_]+)="((?:[^"\\]|\\\\|\\"|\\n)*)"(?:,|$)/g)]
    expect(pairs.map(([whole]) => whole).join('')).toBe(inner)
    const labels = Object.fromEntries(
      pairs.map(([, label = '', escaped = '']) => [
        label,
        escaped.replaceAll(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character)),
      ]),
    )
    const identity = JSON.stringify([name, labels])
    expect(seen.has(identity)).toBe(false)
    seen.add(identity)
    samples.push({ name, labels, value: Number(value) })
  }
  return samples
}

function makeCell(cell: Partial<SeriesCell>): SeriesCell {
  const counts = { count: 1, sum: 0, squares: 0, denominator: 0, units: 0, sketch: null }
  const name = { metric: null, flag: '', variant: '', measurement: '', stage: 0, stratum: '', arm: '' }
  return { start: SINCE, ...name, ...counts, ...cell }
}

const STATUS: ShardStatus = {
  databaseBytes: 4_096,
  units: 7,
  logRecords: 0,
  logBytes: 0,
  batches: 0,
  batchesSince: 0,
  planVersion: 0,
  rowsWritten: 21,
}

function makeShard(
  shard: number,
  cells: readonly SeriesCell[],
  counts: readonly Count[] = [],
): ShardCounters {
  const usage = counts.length > 0 ? [{ start: SINCE, flags: new Map([['checkout', counts]]) }] : []
  return { shard, usage, cells, status: STATUS }
}

it('says what was counted, of all shards and arms together', () => {
  const counts = [
    { variant: 'on', reason: 'SPLIT', evaluations: 3 },
    { variant: null, reason: 'ERROR', evaluations: 1 },
  ]
  const exposed = { flag: 'checkout', variant: 'on' }
  const samples = parse(
    toPrometheus(
      'production',
      [
        makeShard(
          0,
          [
            makeCell({ ...exposed, count: 2 }),
            makeCell({ ...exposed, measurement: 'm', arm: 't', count: 5 }),
            makeCell({ metric: 'orders', count: 9 }),
            makeCell({ metric: 'orders', ...exposed, measurement: 'm', arm: 't', count: 4 }),
          ],
          counts,
        ),
        makeShard(1, [makeCell({ metric: 'orders', start: SINCE + 3_600_000, count: 1 })], counts),
      ],
      SINCE,
    ),
  )
  const all = { environment: 'production' }
  expect(samples).toEqual(
    [
      ['rampart_counters_start_time_seconds', {}, SINCE / 1_000],
      ['rampart_evaluations_total', { flag: 'checkout', variant: '', reason: 'ERROR' }, 2],
      ['rampart_evaluations_total', { flag: 'checkout', variant: 'on', reason: 'SPLIT' }, 6],
      ['rampart_exposures_total', exposed, 7],
      ['rampart_metric_events_total', { metric: 'orders' }, 10],
      ['rampart_flag_metric_events_total', { metric: 'orders', ...exposed }, 4],
      ['rampart_event_shard_storage_bytes', { shard: '0' }, 4_096],
      ['rampart_event_shard_storage_bytes', { shard: '1' }, 4_096],
      ['rampart_event_shard_units', { shard: '0' }, 7],
      ['rampart_event_shard_units', { shard: '1' }, 7],
      ['rampart_event_shard_rows_written_total', { shard: '0' }, 21],
      ['rampart_event_shard_rows_written_total', { shard: '1' }, 21],
    ].map(([name, labels, value]) => ({ name, labels: { ...all, ...Object(labels) }, value })),
  )
})

it('is understood whatever flags and variants are called', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '{', '}', ',', '=', ' ', 'é', 'n') })
  fc.assert(
    fc.property(text, text, fc.nat(), (flag, variant, count) => {
      const samples = parse(
        toPrometheus('production', [makeShard(0, [makeCell({ flag, variant, count })])], 0),
      )
      const [found] = samples.filter(({ name }) => name === 'rampart_exposures_total')
      expect(found).toEqual({
        name: 'rampart_exposures_total',
        labels: { environment: 'production', flag, variant },
        value: count,
      })
    }),
  )
})
