// What an event shard takes in workerd while it is filled with units, each exposed and converted.
import { startInspected } from './memory/heap.ts'
import { formatNumber, printTable, printTargets, saveResults } from './support/report.ts'

const BYTES_PER_MEBIBYTE = 1_048_576
const STEP = 20_000
const SHOWN = [0, 100_000, 250_000, 500_000, 1_000_000]

type Status = { readonly units: number; readonly databaseBytes: number; readonly rowsWritten: number }
type Row = Status & { readonly heap: number }

const worker = await startInspected('shard-memory', {
  durableObjects: { EVENTS: { className: 'EventShard', useSQLite: true } },
})
try {
  const fill = async (from: number, count: number) =>
    JSON.parse(await worker.post(`/?from=${from}&count=${count}`, '')) as Status
  await fill(0, 0)
  const rows: Row[] = []
  let filled = 0
  for (const units of SHOWN) {
    let status = await fill(filled, 0)
    while (filled < units) {
      const count = Math.min(STEP, units - filled)
      status = await fill(filled, count)
      filled += count
    }
    if (status.units !== units) throw new Error(`there are ${status.units} units in place of ${units}`)
    rows.push({ ...status, heap: await worker.usedBytes() })
  }
  printTable(
    'One shard in workerd, its Worker included',
    ['units', 'heap, MiB', 'on disk, MiB', 'rows written per unit'],
    rows.map(({ units, heap, databaseBytes, rowsWritten }) => [
      units.toLocaleString('en-US'),
      formatNumber(heap / BYTES_PER_MEBIBYTE),
      formatNumber(databaseBytes / BYTES_PER_MEBIBYTE),
      units > 0 ? formatNumber(rowsWritten / units) : '',
    ]),
  )
  const targets = [
    {
      name: 'a shard with 1,000,000 units',
      figure: (rows.at(-1)?.heap ?? Number.NaN) / BYTES_PER_MEBIBYTE,
      unit: 'MiB',
      bound: { atMost: 100 },
    },
  ]
  printTargets(targets)
  saveResults('shard-memory', { rows }, targets)
} finally {
  await worker.stop()
}
process.exit(0)
