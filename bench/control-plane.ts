// The management API in workerd: a flag read and changed beside the same statements at the database, a project of
// 10,000 flags, and how long a change takes to be in the answers. `npm run bench control-plane`
import { build } from '../scripts/server.ts'
import { type FlagAccess, measureFlagAccess } from './control-plane/flag-access.ts'
import { type Latencies, percentile, ratioOf } from './control-plane/latencies.ts'
import { type ManyFlags, measureManyFlags } from './control-plane/many-flags.ts'
import { type Lane, measurePropagation } from './control-plane/propagation.ts'
import { formatNumber, printTable, printTargets, saveResults, type Target } from './support/report.ts'
import { median } from './support/rounds.ts'

const BYTES_PER_MEGABYTE = 1_000_000

const milliseconds = (value: number) => formatNumber(value)
const times = (value: number) => `${value.toFixed(2)} x`

function printAccess({ requests, queries, statements, ...measured }: FlagAccess) {
  const { bareRead, read, bareBatch, unpublishedWrite, write } = measured
  const row = (taken: Latencies, floor?: Latencies) => [
    taken.name,
    milliseconds(percentile(taken.all, 0.5)),
    milliseconds(percentile(taken.all, 0.99)),
    floor ? times(ratioOf(taken, floor)) : '',
  ]
  printTable(
    `One flag, ${requests} requests each, one after the other; a change: ${queries} query, then a batch of ${statements} statements`,
    ['', 'p50, ms', 'p99, ms', 'x floor'],
    [
      row(bareRead),
      row(read, bareRead),
      row(bareBatch),
      row(unpublishedWrite, bareBatch),
      row(write, bareBatch),
    ],
  )
}

function printManyFlags(measured: ManyFlags) {
  const { flags, environments, requests, bareRows, pages, searches, publications, barePuts } = measured
  const row = (name: string, taken: readonly number[], floor?: readonly number[]) => [
    name,
    milliseconds(percentile(taken, 0.5)),
    milliseconds(percentile(taken, 0.99)),
    floor ? times(percentile(taken, 0.5) / percentile(floor, 0.5)) : '',
  ]
  const megabytes = (bytes: number) => `${formatNumber(bytes / BYTES_PER_MEGABYTE)} MB`
  printTable(
    `${formatNumber(flags)} flags in ${environments} environments, ${requests} requests each`,
    ['', 'p50, ms', 'p99, ms', 'x floor'],
    [
      row(bareRows.name, bareRows.all),
      ...[...pages, ...searches].map(({ name, all }) => row(name, all, bareRows.all)),
      row(`bare KV put of ${megabytes(measured.snapshotBytes)}`, barePuts),
      row(`change with the put of ${megabytes(measured.snapshotBytes)}`, publications, barePuts),
    ],
  )
  const { importMs, importBytes, importCounts, creation, copy } = measured
  printTable(
    'Once, with everything published',
    ['', 'ms', 'statements'],
    [
      [`import of ${megabytes(importBytes)}`, milliseconds(importMs), String(importCounts.statements)],
      ['new environment, all flags off', milliseconds(median(creation.taken)), String(creation.statements)],
      ['new environment, copied from another', milliseconds(median(copy.taken)), String(copy.statements)],
    ],
  )
}

function printLanes(lanes: readonly Lane[]) {
  printTable(
    'From a committed change to the first evaluation with it, in another isolate that is warm',
    ['', 'changes', 'p50, ms', 'p99, ms', 'p50 from sending, ms', 'p50 x half the interval'],
    lanes.map(({ name, intervalMs, fromAnswer, fromSending }) => [
      name,
      String(fromAnswer.length),
      milliseconds(percentile(fromAnswer, 0.5)),
      milliseconds(percentile(fromAnswer, 0.99)),
      milliseconds(percentile(fromSending, 0.5)),
      times(percentile(fromAnswer, 0.5) / (intervalMs / 2)),
    ]),
  )
}

function targetsOf(access: FlagAccess, many: ManyFlags): Target[] {
  const listed = (name: string, lists: readonly Latencies[]): Target => ({
    name: `10,000 flags: ${name}, slowest p50`,
    figure: Math.max(...lists.map(({ all }) => percentile(all, 0.5))),
    unit: 'ms',
    bound: { atMost: 200 },
  })
  return [
    {
      name: 'flag read / bare D1 read',
      figure: ratioOf(access.read, access.bareRead),
      unit: 'x',
      bound: { atMost: 2 },
    },
    {
      name: 'flag write / bare D1 batch',
      figure: ratioOf(access.unpublishedWrite, access.bareBatch),
      unit: 'x',
      bound: { atMost: 2 },
    },
    listed('a page', many.pages),
    listed('a search', many.searches),
    {
      name: '10,000 flags: a change published, p50',
      figure: percentile(many.publications, 0.5),
      unit: 'ms',
      bound: { atMost: 2_000 },
    },
  ]
}

await build()
const access = await measureFlagAccess()
printAccess(access)
const many = await measureManyFlags()
printManyFlags(many)
const lanes = await measurePropagation()
printLanes(lanes)
const targets = targetsOf(access, many)
printTargets(targets)
saveResults('control-plane', { access, many, lanes }, targets)
