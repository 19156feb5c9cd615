// How long it takes from a regression's first customer to "rolled back everywhere", in the running system: a feature of
// the demo's shop gets worse while 10 % have it, and its rollout takes itself back. Some features at a time, some times.
import { setTimeout as wait } from 'node:timers/promises'
import { createRandom } from './support/random.ts'
import { formatNumber, printTable, printTargets, saveResults } from './support/report.ts'
import { median } from './support/rounds.ts'
import { type Deployment, deploy, serverKeyOf } from './time-to-safe/deployment.ts'
import { eventsOf, type Feature, openFeature } from './time-to-safe/shop.ts'

const FEATURES = 5
const ROUNDS = 4
/** How long a rollout runs well before its feature gets worse: at least, and how much longer at most. */
const WELL_MS = 30_000
const WELL_MORE_MS = 10_000
const BLOCK_MS = 10_000
const POLL_MS = 250
const TOO_LATE_MS = 10 * 60_000

/** What one run took, in milliseconds. */
type Run = {
  /** From the regression's beginning to the end of the block it began in: sooner, nobody who counts in blocks can tell. */
  readonly floor: number
  /** Until the end of the block that broke a guardrail. */
  readonly toBreach: number
  /** Until it was read, decided and committed. */
  readonly toCommit: number
  /** From the commit until 99 % of the reported evaluations were of the safe version, as the incident has it. */
  readonly toSafe: number
  /** From the commit until the customers were last given the feature. */
  readonly toLastGiven: number
}

type Rollout = { readonly id: string; readonly state: string }
/** Instants in milliseconds since 1970. */
type Incident = { readonly detectedAt: number; readonly committedAt: number; readonly safeAt: number | null }

async function start({ call }: Deployment, flag: string): Promise<string> {
  const { error, completed } = eventsOf(flag)
  const plan = {
    flag,
    environment: flag,
    variant: 'on',
    stages: [
      { name: '10 %', percentage: 10, hold: '1d' },
      { name: 'all', percentage: 100, hold: '0s' },
    ],
    guardrails: [
      { metric: error, test: 'regression' },
      { metric: completed, test: 'regression' },
    ],
  }
  const { id } = await call<Rollout>('POST', '/rollouts', { plan, comment: 'bench' })
  await call('POST', `/rollouts/${id}/start`, { force: true, comment: 'bench' })
  return id
}

async function until<T>(find: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + TOO_LATE_MS
  while (Date.now() < end) {
    // A connection that was about to be closed is no answer.
    const found = await find().catch((fault: unknown) => {
      if (!(fault instanceof TypeError)) throw fault
    })
    if (found !== undefined) return found
    await wait(POLL_MS)
  }
  throw new Error('it took too long')
}

async function run(deployment: Deployment, feature: Feature, wellMs: number): Promise<Run> {
  const { call } = deployment
  const id = await start(deployment, feature.flag)
  await wait(wellMs)
  const worseAt = Date.now()
  feature.health = 'worse'
  await until(async () => {
    const { state } = await call<Rollout>('GET', `/rollouts/${id}`)
    return state === 'rolled_back' ? state : undefined
  })
  const { detectedAt, committedAt, safeAt } = await until(async () => {
    const { incidents } = await call<{ incidents: readonly Incident[] }>('GET', `/incidents?rollout=${id}`)
    const [incident] = incidents
    return incident && incident.safeAt !== null ? { ...incident, safeAt: incident.safeAt } : undefined
  })
  feature.health = 'fine'
  return {
    floor: BLOCK_MS - (worseAt % BLOCK_MS),
    toBreach: detectedAt - worseAt,
    toCommit: committedAt - worseAt,
    toSafe: safeAt - committedAt,
    toLastGiven: Math.max(0, feature.lastGivenAt - committedAt),
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

const flags = Array.from({ length: FEATURES }, (_, index) => `feature-${index}`)
const random = createRandom(17)
const deployment = await deploy(flags)
const runs: Run[] = []
try {
  const features = await Promise.all(
    flags.map((flag, index) => openFeature(deployment.url, serverKeyOf(flag), flag, createRandom(index))),
  )
  for (let round = 0; round < ROUNDS; round++) {
    const begun = features.map((feature) => run(deployment, feature, WELL_MS + random.next() * WELL_MORE_MS))
    runs.push(...(await Promise.all(begun)))
    console.log(`${runs.length} of ${FEATURES * ROUNDS} runs`)
  }
  await Promise.all(features.map((feature) => feature.close()))
} finally {
  await deployment.stop()
}

const total = runs.map(({ toCommit, toSafe }) => toCommit + toSafe)
const seconds = (milliseconds: number) => `${formatNumber(milliseconds / 1_000)} s`
const row = (name: string, values: readonly number[]) => [
  name,
  seconds(median(values)),
  seconds(quantile(values, 0.9)),
  seconds(Math.max(...values)),
  (median(values) / median(runs.map(({ floor }) => floor))).toFixed(1),
]
const of = (field: keyof Run) => runs.map((one) => one[field])
printTable(
  `From the regression's beginning, ${runs.length} runs: 10 % of 60 customers a second, errors 1.5 → 12 %`,
  ['', 'median', 'p90', 'longest', 'x floor'],
  [
    row('floor: the block in which it began is over', of('floor')),
    row('until a guardrail is broken', of('toBreach')),
    row('until it is decided and committed', of('toCommit')),
    row('commit → 99 % of reported evaluations safe', of('toSafe')),
    row('commit → last customer who was given it', of('toLastGiven')),
    row('beginning → safe everywhere', total),
  ],
)
const targets = [
  {
    name: 'decided → safe everywhere, p90',
    figure: quantile(of('toSafe'), 0.9) / 1_000,
    unit: 's',
    bound: { atMost: 6 },
  },
]
printTargets(targets)
saveResults('time-to-safe', { runs }, targets)
process.exit(0)
