// `npm run demo`: customers of a small shop against a server that `npm start` started. One of its features is rolled out
// to everyone while they shop; its new checkout gets worse when it is told to (`w` and Enter, or by itself after a
// while), and one watches Rampart take it back.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createCall } from './demo/management.ts'
import { findIncident, hasEnded, look, startRollout } from './demo/rollouts.ts'
import { writeRollout } from './demo/screen.ts'
import { openShop } from './demo/shop.ts'
import { SERVER_KEY } from './demo-catalog.ts'

const SCREEN_EVERY_SECONDS = 5
const HEALTHY = 'quick-reorder'
const RISKY = 'new-checkout'

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://localhost:8787' },
    token: { type: 'string', default: 'local-admin' },
    /** How many come in a second. */
    customers: { type: 'string', default: '60' },
    /** How long each stage of the healthy rollout holds. */
    hold: { type: 'string', default: '30s' },
    /** After how many seconds the new checkout gets worse by itself. */
    'worse-after': { type: 'string', default: '60' },
    /** When it ends, whatever has happened; left out: when both rollouts have. */
    seconds: { type: 'string' },
  },
})

const url = new URL(values.url)
const perSecond = Number(values.customers)
const worseAfter = Number(values['worse-after'])
const end = values.seconds === undefined ? Number.POSITIVE_INFINITY : Number(values.seconds)
const call = createCall(url, values.token)
const shop = await openShop(url, SERVER_KEY)
const say = (text: string) => process.stdout.write(`${text}\n`)

const ids = [await startRollout(call, HEALTHY, values.hold), await startRollout(call, RISKY, '10m')]
const told = new Set<string>()

/** Shows the rollouts; true when both have ended. */
async function show(): Promise<boolean> {
  say(`\n${new Date().toISOString()}  the new checkout is ${shop.health}`)
  let ended = 0
  for (const id of ids) {
    const { rollout, health } = await look(call, id)
    say(writeRollout(rollout, health))
    if (!hasEnded(rollout)) continue
    ended++
    const incident = told.has(id) ? undefined : await findIncident(call, id)
    told.add(id)
    if (incident !== undefined) say(`\n${incident}`)
  }
  return ended === ids.length
}

function change(health: typeof shop.health): void {
  shop.health = health
  say(`\nFrom now on the new checkout is ${health}.`)
}

say(`${perSecond} customers a second check out at ${url.origin}. Ctrl-C sends them home.`)
const input = process.stdin.isTTY ? createInterface({ input: process.stdin }) : undefined
input?.on('line', (text) => {
  if (text.trim() === 'w') change('worse')
  if (text.trim() === 'f') change('fine')
})
if (input) say('Type w and Enter to make the new checkout worse, f to mend it.')

const started = performance.now()
for (let second = 1; second <= end; second++) {
  if (second === worseAfter) change('worse')
  await shop.serve(perSecond)
  if ((second % SCREEN_EVERY_SECONDS === 0 || second === end) && (await show())) break
  const rest = second * 1_000 - (performance.now() - started)
  if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest))
}
input?.close()
await shop.close()
