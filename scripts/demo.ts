// `npm run demo`: customers of a small shop against a server that `npm start` started. Their new checkout gets worse
// when it is told to: `w` and Enter, or `--worse`.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { type Totals, writeTotals } from './demo/screen.ts'
import { openShop } from './demo/shop.ts'
import { SERVER_KEY } from './demo-catalog.ts'
import { DEMO_MEASUREMENT } from './seed.ts'

const SCREEN_EVERY_SECONDS = 5

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://localhost:8787' },
    token: { type: 'string', default: 'local-admin' },
    customers: { type: 'string', default: '20' },
    seconds: { type: 'string' },
    worse: { type: 'boolean', default: false },
  },
})

const url = new URL(values.url)
const perSecond = Number(values.customers)
const end = values.seconds === undefined ? Number.POSITIVE_INFINITY : Number(values.seconds)
const shop = await openShop(url, SERVER_KEY)
shop.health = values.worse ? 'worse' : 'fine'

async function show(): Promise<void> {
  const path = `/api/v1/environments/production/measurements/${DEMO_MEASUREMENT}/totals`
  const response = await fetch(new URL(path, url), { headers: { authorization: `Bearer ${values.token}` } })
  if (!response.ok)
    throw new Error(`what was counted cannot be read: ${response.status} ${await response.text()}`)
  const totals = (await response.json()) as Totals
  process.stdout.write(
    `\n${new Date().toISOString()}  the new checkout is ${shop.health}\n${writeTotals(totals)}\n`,
  )
}

process.stdout.write(`${perSecond} customers a second check out at ${url.origin}. Ctrl-C sends them home.\n`)
const input = process.stdin.isTTY ? createInterface({ input: process.stdin }) : undefined
input?.on('line', (text) => {
  if (text.trim() === 'w') shop.health = 'worse'
  if (text.trim() === 'f') shop.health = 'fine'
})
if (input) process.stdout.write('Type w and Enter to make the new checkout worse, f to mend it.\n')

const started = performance.now()
for (let second = 1; second <= end; second++) {
  await shop.serve(perSecond)
  if (second % SCREEN_EVERY_SECONDS === 0 || second === end) await show()
  const rest = second * 1_000 - (performance.now() - started)
  if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest))
}
input?.close()
await shop.close()
