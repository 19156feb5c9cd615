// A tick of the clock with a thousand guarded rollouts in one environment, as it is deployed in workerd: beside a floor
// that only reads what a tick reads.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { V4WorkerOptions } from 'miniflare'
import { build, describeRampart, startServer } from '../scripts/server.ts'
import { type Client, createClient } from './control-plane/client.ts'
import { bundleWorker } from './http/workers.ts'
import { formatNumber, printTable, printTargets, saveResults } from './support/report.ts'
import { median } from './support/rounds.ts'

const ROLLOUTS = 1_000
const SHARDS = 8
const ROUNDS = 8
const BLOCK_MS = 10_000
/** Shards show a block two seconds after it has ended; the clock's own alarm comes half a second later. */
const SHOWN_AFTER_MS = 2_100
const UNITS_PER_BLOCK = 10
const EVENTS_PER_BATCH = 5_000
const AT_ONCE = 8

const ADMIN_TOKEN = 'bench-admin'
const SERVER_KEY = 'rp_server_production_bench'
const METRIC = 'checkout-error'

const idOf = (rollout: number) => `bench${String(rollout).padStart(7, '0')}`
const flagOf = (rollout: number) => `bench-${rollout}`

/** Does something for every number below `count`, a few at once. */
async function forEach(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const workers = Array.from({ length: AT_ONCE }, async () => {
    while (next < count) await work(next++)
  })
  await Promise.all(workers)
}

async function fill(rampart: Client): Promise<void> {
  const put = (path: string, draft: object, revision = 0) =>
    rampart.ask(path.endsWith('/keys') ? 'POST' : 'PUT', `/api/v1/${path}`, {
      body: JSON.stringify(draft),
      headers: revision === 0 ? { 'if-none-match': '*' } : { 'if-match': `"${revision}"` },
    })
  await put('environments/production', { name: 'Production', shards: SHARDS })
  await put(`metrics/${METRIC}`, { event: METRIC, kind: 'error' })
  const variants = [
    { name: 'on', value: true },
    { name: 'off', value: false },
  ]
  await forEach(ROLLOUTS, async (rollout) => {
    await put(`flags/${flagOf(rollout)}`, { type: 'boolean', variants })
    const configuration = { enabled: true, offVariant: 'off', fallthrough: { variant: 'off' } }
    await put(`flags/${flagOf(rollout)}/environments/production`, configuration, 1)
  })
  const hash = createHash('sha256').update(SERVER_KEY).digest('hex')
  await put('environments/production/keys', { kind: 'server', name: 'Bench', hash })
}

function planOf(rollout: number): object {
  const stage = { name: '20 %', audience: null, percentage: 20, minUnits: 0, approval: false, gates: [] }
  return {
    flag: flagOf(rollout),
    environment: 'production',
    variant: 'on',
    by: 'targetingKey',
    stages: [
      { ...stage, holdMs: 86_400_000 },
      { ...stage, name: 'all', percentage: 100, holdMs: 0 },
    ],
    alpha: 0.01,
    guardrails: [
      {
        id: 'errors',
        metric: METRIC,
        test: { kind: 'regression', tolerance: 0.1, quantile: null },
        action: 'rollback',
        mode: 'immediate',
      },
    ],
    rollback: { steps: [0], holdMs: 0 },
    advanceWhen: 'clock',
    whenTooFew: 'hold',
    exposure: 'use',
    windowMs: 1_800_000,
    watch: [],
    signals: [],
    startAt: null,
    windows: [],
    after: [],
    slices: [],
    takeOver: false,
  }
}

const PROGRESS = {
  state: 'scheduled',
  stage: -1,
  epoch: 0,
  startedAt: null,
  grantedAt: null,
  grantedVersion: null,
  publishedAt: null,
  pausedMs: 0,
  pausedAt: null,
  extended: false,
  approved: [],
  overrides: {},
  blocked: [],
  descent: null,
  frozen: {},
  endedAt: null,
  lookedAt: null,
  told: {},
}

/** Stores rollouts that wait to begin. */
async function storeRollouts(database: D1Database): Promise<void> {
  const now = Date.now()
  const insert = database.prepare(
    `INSERT INTO rollouts (id, environment, flag, state, plan, draft, seed, progress, revision, created_by, created_at,
      updated_at) VALUES (?, 'production', ?, 'scheduled', ?, '{}', ?, ?, 1, 'bench', ?, ?)`,
  )
  await database.batch(
    Array.from({ length: ROLLOUTS }, (_, rollout) => {
      const [id, plan] = [idOf(rollout), JSON.stringify(planOf(rollout))]
      return insert.bind(id, flagOf(rollout), plan, id, JSON.stringify(PROGRESS), now, now)
    }),
  )
}

/** A new UUIDv7. */
function makeBatchId(): string {
  const time = Date.now().toString(16).padStart(12, '0')
  const rest = randomBytes(10).toString('hex')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${rest.slice(0, 3)}-a${rest.slice(3, 6)}-${rest.slice(6, 18)}`
}

let units = 0

/** New units come to every rollout, and some of them fail, in both arms alike. */
async function visit(rampart: Client): Promise<void> {
  const events: object[] = []
  for (let rollout = 0; rollout < ROLLOUTS; rollout++) {
    for (let visitor = 0; visitor < UNITS_PER_BLOCK; visitor++) {
      const unit = `unit-${units++}`
      const isTreated = visitor % 5 === 0
      const tag = `${idOf(rollout)}.1.1.${isTreated ? 't' : 'c'}`
      events.push({ kind: 'exposure', flag: flagOf(rollout), variant: isTreated ? 'on' : 'off', unit, tag })
      if (units % 37 === 0) events.push({ kind: 'measure', name: METRIC, value: 1, unit, tag })
    }
  }
  for (let first = 0; first < events.length; first += EVENTS_PER_BATCH) {
    const body = JSON.stringify({ id: makeBatchId(), events: events.slice(first, first + EVENTS_PER_BATCH) })
    await rampart.ask('POST', '/v1/events', { body, headers: { authorization: `Bearer ${SERVER_KEY}` } })
  }
}

/** Waits until the next block is shown. */
function untilShown(): Promise<void> {
  const now = Date.now() - SHOWN_AFTER_MS
  const at = (Math.floor(now / BLOCK_MS) + 1) * BLOCK_MS
  return new Promise((resolve) => setTimeout(resolve, at - now))
}

type Status = { readonly tickedAt: number; readonly subrequests: number; readonly rollouts: number }

await build()
const persist = await mkdtemp(join(tmpdir(), 'rampart-bench-rollouts-'))
const { d1Databases = {}, kvNamespaces = {} } = describeRampart(ADMIN_TOKEN)
const ofRampart = (className: string) => ({ className, scriptName: 'rampart', useSQLite: true })
const door: V4WorkerOptions = {
  name: 'door',
  modules: true,
  script: 'export default {}',
  unsafeDirectSockets: [{ serviceName: 'rampart' }],
}
const server = await startServer({
  port: 0,
  persist,
  adminToken: ADMIN_TOKEN,
  beside: [
    door,
    {
      ...(await bundleWorker('rollout-clock')),
      d1Databases,
      kvNamespaces,
      durableObjects: {
        CLOCK: ofRampart('RolloutClock'),
        EVENTS: ofRampart('EventShard'),
        HUB: ofRampart('EnvironmentHub'),
      },
    },
  ],
})
try {
  const rampart = createClient(await server.miniflare.unsafeGetDirectURL('door'), ADMIN_TOKEN)
  const beside = createClient(await server.miniflare.unsafeGetDirectURL('rollout-clock'))
  const timed = async (path: string) => {
    const { text, sentAt, answeredAt } = await beside.ask('GET', path)
    return { answer: JSON.parse(text), took: answeredAt - sentAt }
  }
  await fill(rampart)
  await storeRollouts((await server.miniflare.getD1Database('DB', 'rampart')) as unknown as D1Database)
  const begun = await timed('/tick')
  const ticks: number[] = []
  const floors: number[] = []
  let subrequests = 0
  let blocks = 0
  for (let round = -2; round < ROUNDS; round++) {
    await visit(rampart)
    await untilShown()
    const floor = round % 2 === 0 ? await timed('/floor') : undefined
    const { answer, took }: { answer: Status; took: number } = await timed('/tick')
    const { answer: read, took: floorTook } = floor ?? (await timed('/floor'))
    if (answer.rollouts !== ROLLOUTS) throw new Error(`there are ${answer.rollouts} rollouts`)
    if (round < 0) continue
    ticks.push(took)
    floors.push(floorTook)
    subrequests = Math.max(subrequests, answer.subrequests)
    blocks = Math.max(blocks, read.blocks)
  }
  rampart.close()
  beside.close()
  const figures = {
    rollouts: ROLLOUTS,
    shards: SHARDS,
    begun: begun.took,
    ticks,
    floors,
    subrequests,
    blocks,
  }
  printTable(
    `A tick with ${ROLLOUTS.toLocaleString('en-US')} running rollouts and ${SHARDS} shards, in milliseconds`,
    ['', 'median', 'worst'],
    [
      ['the tick', formatNumber(median(ticks)), formatNumber(Math.max(...ticks))],
      ['the floor: reading rows and blocks', formatNumber(median(floors)), formatNumber(Math.max(...floors))],
      ['the tick that began all of them', formatNumber(begun.took), ''],
    ],
  )
  console.log(`\n  ${subrequests} calls in a tick at most; up to ${blocks} blocks read by the floor`)
  const targets = [
    { name: 'a tick', figure: median(ticks), unit: 'ms', bound: { atMost: 1_000 } },
    { name: 'calls in a tick', figure: subrequests, unit: '', bound: { atMost: 20 } },
  ]
  printTargets(targets)
  saveResults('rollouts', figures, targets)
} finally {
  await server.stop()
  await rm(persist, { recursive: true, force: true })
}
process.exit(0)
