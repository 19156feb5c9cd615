// What counting costs: batches of events beside a bare Durable Object that upserts counts which were added up before,
// single events beside one that inserts a row for each, and what Cloudflare would bill for it.
import { build } from '../scripts/server.ts'
import { type Batch, type Mix, makeBatches, makeFirstExposures, toPastBatches } from './events/batches.ts'
import { type Rampart, startFloor, startRampart } from './events/deployment.ts'
import { sendAll, sendSteadily, type Target } from './events/load.ts'
import { hasProcessorTime, microsecondsOf } from './http/processor-time.ts'
import type { Running } from './http/workers.ts'
import {
  formatNumber,
  printTable,
  printTargets,
  saveResults,
  type Target as Wanted,
} from './support/report.ts'
import { median } from './support/rounds.ts'

const SHARDS = 8
const BATCH = 100
const ROUNDS = 5
const BATCHES = 2_000
const SINGLES = 8_000
const CONNECTIONS = 32
/** Single events come from many clients at once: what a commit is shared by. */
const SINGLE_CONNECTIONS = 64

type Measured = { readonly rate: number; readonly microseconds: number }

async function timed(
  pid: number,
  target: Target,
  batches: readonly Batch[],
  count: number,
  connections: number,
): Promise<Measured> {
  const start = microsecondsOf(pid)
  const { seconds } = await sendAll(target, batches, count, connections)
  return { rate: count / seconds, microseconds: (microsecondsOf(pid) - start) / count }
}

type Pair = { readonly rampart: Measured[]; readonly floor: Measured[] }

/** Both in turn, so that a slow spell of the machine hits both. */
async function inTurn(
  rampart: Rampart,
  floor: Running,
  {
    path,
    batches,
    count,
    connections,
  }: { path: string; batches: readonly Batch[]; count: number; connections: number },
): Promise<Pair> {
  const pair: Pair = { rampart: [], floor: [] }
  const floorTarget = { url: new URL(path, floor.url), headers: {} }
  for (let round = -1; round < ROUNDS; round++) {
    const ours = await timed(rampart.pid, rampart.target, batches, count, connections)
    const theirs = await timed(floor.pid, floorTarget, batches, count, connections)
    if (round < 0) continue
    pair.rampart.push(ours)
    pair.floor.push(theirs)
  }
  return pair
}

const ratioOf = ({ rampart, floor }: Pair, figure: keyof Measured) =>
  median(rampart.map((round, index) => round[figure] / (floor[index]?.[figure] ?? Number.NaN)))
const medianOf = (rounds: readonly Measured[], figure: keyof Measured) =>
  median(rounds.map((round) => round[figure]))

function printPair(title: string, pair: Pair, per: string) {
  printTable(
    title,
    ['', `${per}s a second`, `CPU µs per ${per}`],
    [['Rampart', pair.rampart] as const, ['floor', pair.floor] as const].map(([name, rounds]) => [
      name,
      formatNumber(medianOf(rounds, 'rate')),
      formatNumber(medianOf(rounds, 'microseconds')),
    ]),
  )
}

type Storage = { readonly total: { readonly rowsWritten: number } }

type Bill = {
  readonly mix: Mix
  readonly perSecond: number
  readonly rows: number
  readonly requests: number
  readonly seconds: number
}

async function rowsWritten(rampart: Rampart): Promise<number> {
  const { total } = await rampart.get<Storage>('environments/production/storage')
  return total.rowsWritten
}

/** What a million events come to at a rate, from a run of some seconds. */
async function bill(rampart: Rampart, mix: Mix, perSecond: number, seconds: number): Promise<Bill> {
  const batches = makeBatches(mix, Math.min(2_000, perSecond * seconds), BATCH, perSecond)
  const before = await rowsWritten(rampart)
  const run = await sendSteadily(rampart.target, batches, perSecond, seconds)
  const rows = (await rowsWritten(rampart)) - before
  if (run.refused > 0)
    throw new Error(`${run.refused} batches of ${mix} at ${perSecond} a second were refused`)
  const events = run.batches * BATCH
  const million = 1_000_000 / events
  return {
    mix,
    perSecond,
    rows: rows * million,
    requests: run.batches * SHARDS * million,
    seconds: run.seconds * SHARDS * million,
  }
}

async function latencyOf(count: number, ask: () => Promise<unknown>): Promise<number> {
  const taken: number[] = []
  for (let index = 0; index < count; index++) {
    const start = performance.now()
    await ask()
    taken.push(performance.now() - start)
  }
  return median(taken)
}

async function main() {
  await build()
  const rampart = await startRampart(SHARDS)
  const floor = await startFloor()
  try {
    await sendAll(rampart.target, makeFirstExposures(BATCH), 3_000, CONNECTIONS)
    const mixed = makeBatches('mixed', 1_000, BATCH)
    const batches = await inTurn(rampart, floor, {
      path: '/v1/events',
      batches: mixed,
      count: BATCHES,
      connections: CONNECTIONS,
    })
    printPair(`Batches of ${BATCH} events, ${SHARDS} shards`, batches, 'batch')
    const singles = await inTurn(rampart, floor, {
      path: '/rows',
      batches: makeBatches('mixed', 2_000, 1),
      count: SINGLES,
      connections: SINGLE_CONNECTIONS,
    })
    printPair('Requests of one event', singles, 'request')
    const bills: Bill[] = []
    for (const mix of ['measures', 'tracks', 'new'] as const) {
      for (const [perSecond, seconds] of [
        [1, 60],
        [10, 30],
        [500, 20],
      ] as const) {
        bills.push(await bill(rampart, mix, perSecond, seconds))
      }
    }
    printTable(
      'What a million events cost, in batches of 100 over 8 shards',
      ['', 'batches/s', 'rows written', 'object requests', 'object seconds at most'],
      bills.map(({ mix, perSecond, rows, requests, seconds }) => [
        mix,
        String(perSecond),
        formatNumber(rows),
        formatNumber(requests),
        formatNumber(seconds),
      ]),
    )
    await sendAll(rampart.target, toPastBatches(makeBatches('mixed', 500, BATCH, 7), 24), 500, CONNECTIONS)
    const now = Date.now()
    const since = new Date(now - 60_000).toISOString()
    const day = new Date(now - 24 * 3_600_000).toISOString()
    const path = 'environments/production'
    const blocks = await latencyOf(30, () =>
      rampart.get(`${path}/measurements/bench-00/blocks?from=${since}`),
    )
    const reports = await latencyOf(30, () =>
      rampart.get(`${path}/series?metric=revenue&step=hour&from=${day}`),
    )
    const floorRead = await latencyOf(30, () => fetch(new URL('/healthz', rampart.url)).then((r) => r.text()))
    const rowsAt = (mix: Mix) =>
      bills.find((one) => one.mix === mix && one.perSecond === 500)?.rows ?? Number.NaN
    const targets: Wanted[] = [
      {
        name: 'events a second, durable',
        figure: medianOf(batches.rampart, 'rate') * BATCH,
        unit: '/s',
        bound: { atLeast: 50_000 },
      },
      {
        name: 'CPU of a batch: Rampart / floor',
        figure: ratioOf(batches, 'microseconds'),
        unit: 'x',
        bound: { atMost: 2 },
      },
      {
        name: 'rate of single events: Rampart / floor',
        figure: ratioOf(singles, 'rate'),
        unit: 'x',
        bound: { atLeast: 0.8 },
      },
      {
        name: 'rows per million measures at 500 batches/s',
        figure: rowsAt('measures'),
        unit: 'rows',
        bound: { atMost: 20_000 },
      },
      {
        name: 'rows per million tracks at 500 batches/s',
        figure: rowsAt('tracks'),
        unit: 'rows',
        bound: { atMost: 60_000 },
      },
      {
        name: `a minute's guard blocks from ${SHARDS} shards`,
        figure: blocks,
        unit: 'ms',
        bound: { atMost: 20 },
      },
      { name: '24 h of reports', figure: reports, unit: 'ms', bound: { atMost: 50 } },
    ]
    console.log(`\n  An empty request takes ${formatNumber(floorRead)} ms on the same connection.`)
    printTargets(targets)
    saveResults('events', { clock: hasProcessorTime ? 'CPU' : 'wall', batches, singles, bills }, targets)
  } finally {
    await rampart.stop()
    await floor.stop()
  }
}

await main()
