// What snapshots take in workerd: their text alone, opened, and with every flag compiled.
import { toSnapshotText } from './contenders/rampart.ts'
import { type Inspected, startInspected } from './memory/heap.ts'
import { makeFlagSet } from './support/flags.ts'
import { formatNumber, printTable, printTargets, saveResults } from './support/report.ts'
import { makeSnapshotText } from './support/snapshot-text.ts'

const BYTES_PER_MEGABYTE = 1_000_000
const BYTES_PER_MEBIBYTE = 1_048_576

type Use = { readonly text: number; readonly opened: number; readonly compiled: number }

async function measure(worker: Inspected, text: string, flags: number): Promise<Use> {
  await worker.post('/nothing', '')
  const before = await worker.usedBytes()
  const after = async (path: string, body = '') => {
    await worker.post(path, body)
    return (await worker.usedBytes()) - before
  }
  const use = {
    text: await after('/text', text),
    opened: await after('/open'),
    compiled: await after('/compile'),
  }
  if ((await worker.post('/compile', '')) !== String(flags)) throw new Error('not all flags were compiled')
  return use
}

const worker = await startInspected('memory')
try {
  // Once before, so that the engine's own code is not counted.
  await measure(worker, toSnapshotText(makeFlagSet(100)), 100)
  const small = await measure(worker, toSnapshotText(makeFlagSet(1_000)), 1_000)
  const large = await measure(worker, makeSnapshotText(5_000), 5_000)
  printTable(
    'Heap in workerd, bytes',
    ['', '1,000 flags (as in S3)', '5,000 flags of 1.6 KB'],
    (['text', 'opened', 'compiled'] as const).map((step) => [
      { text: 'the text alone', opened: 'opened, text included', compiled: 'all compiled, text included' }[
        step
      ],
      formatNumber(small[step]),
      formatNumber(large[step]),
    ]),
  )
  const targets = [
    {
      name: '1,000 flags, all compiled, beside their text',
      figure: (small.compiled - small.text) / BYTES_PER_MEGABYTE,
      unit: 'MB',
      bound: { atMost: 2 },
    },
    {
      name: '5,000 flags, all compiled, text included',
      figure: large.compiled / BYTES_PER_MEBIBYTE,
      unit: 'MiB',
      bound: { atMost: 64 },
    },
  ]
  printTargets(targets)
  saveResults('memory', { small, large }, targets)
} finally {
  await worker.stop()
}
process.exit(0)
