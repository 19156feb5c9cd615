// The engine beside its peers and a hand-written floor, in three scenarios: one flag at 50 % (S1), one flag with
// five rules of which the last matches and splits (S2), all of 100 flags, half of each sort (S3).
import { createEppo } from './contenders/eppo.ts'
import { createFeaturevisor } from './contenders/featurevisor.ts'
import { createFlagd } from './contenders/flagd.ts'
import { createFloor } from './contenders/floor.ts'
import { createGrowthBook } from './contenders/growthbook.ts'
import { createLaunchDarkly } from './contenders/launchdarkly.ts'
import { createRampart } from './contenders/rampart.ts'
import { createUnleash } from './contenders/unleash.ts'
import type { Contender } from './support/contender.ts'
import { makeFlagSet } from './support/flags.ts'
import {
  formatNanoseconds,
  formatNumber,
  printTable,
  printTargets,
  saveResults,
  type Target,
} from './support/report.ts'
import { measureRounds } from './support/rounds.ts'
import { makeUsers } from './support/users.ts'
import { addProbes, verify } from './support/verify.ts'

const USER_COUNT = 10_000
const FLAG_COUNT = 100
const ROUNDS = 9

/** The answers of some are promises; after each slice of a round they get their turn, and all others wait as long. */
const SLICES_PER_ROUND = 100

type Scenario = {
  readonly id: string
  readonly title: string
  readonly evaluations: number
  readonly wanted: number
  readonly evaluatorOf: (contender: Contender) => (user: number) => unknown
}

const SCENARIOS: readonly Scenario[] = [
  {
    id: 'S1',
    title: 'S1: one boolean flag at 50 %',
    evaluations: 50_000,
    wanted: 3,
    evaluatorOf:
      ({ half }) =>
      (user) =>
        half('half-0000', user),
  },
  {
    id: 'S2',
    title: 'S2: one flag with five rules, the last one matches and splits in four',
    evaluations: 20_000,
    wanted: 3,
    evaluatorOf:
      ({ rules }) =>
      (user) =>
        rules('rules-0000', user),
  },
  {
    id: 'S3',
    title: `S3: all of ${FLAG_COUNT} flags, half of them like S1, half like S2`,
    evaluations: 1_000,
    wanted: 2.5,
    evaluatorOf: ({ all }) => all,
  },
]

/** Where answers go, so that no optimiser can tell that nobody wants them. */
export let lastAnswer: unknown

async function evaluateMany(evaluate: (user: number) => unknown, first: number, count: number) {
  const slice = count / SLICES_PER_ROUND
  for (let done = 0; done < count; done += slice) {
    for (let index = done; index < done + slice; index++) lastAnswer = evaluate((first + index) % USER_COUNT)
    await lastAnswer
  }
}

type Row = { readonly name: string; readonly nanoseconds: number; readonly rounds: readonly number[] }

async function runScenario(scenario: Scenario, contenders: readonly Contender[]): Promise<Row[]> {
  const { evaluations } = scenario
  const timings = await measureRounds(
    contenders.map((contender) => {
      const evaluate = scenario.evaluatorOf(contender)
      let first = 0
      return {
        name: contender.name,
        run: async () => {
          await evaluateMany(evaluate, first, evaluations)
          first = (first + evaluations) % USER_COUNT
        },
      }
    }),
    { rounds: ROUNDS, warmUp: 2 },
  )
  const toNanoseconds = (milliseconds: number) => (milliseconds * 1e6) / evaluations
  return timings.map(({ name, median, rounds }) => ({
    name,
    nanoseconds: toNanoseconds(median),
    rounds: rounds.map(toNanoseconds),
  }))
}

function printScenario({ title }: Scenario, rows: readonly Row[], [floor, rampart]: readonly Row[]) {
  if (!floor || !rampart) return
  printTable(
    title,
    ['', 'per evaluation', 'slowest round', 'x floor', 'x Rampart'],
    [...rows]
      .sort((a, b) => a.nanoseconds - b.nanoseconds)
      .map(({ name, nanoseconds, rounds }) => [
        name,
        formatNanoseconds(nanoseconds),
        formatNanoseconds(Math.max(...rounds)),
        formatNumber(nanoseconds / floor.nanoseconds),
        formatNumber(nanoseconds / rampart.nanoseconds),
      ]),
  )
}

async function main() {
  // GrowthBook asks `process.env` for the mode at every step; a bundler writes the answer in its place, and a plain
  // object is the nearest to that.
  process.env = { ...process.env, NODE_ENV: 'production' }

  const flags = makeFlagSet(FLAG_COUNT)
  const audience = addProbes(makeUsers(USER_COUNT), flags)
  const peers: Contender[] = []
  for (const create of [
    createFlagd,
    createGrowthBook,
    createUnleash,
    createLaunchDarkly,
    createFeaturevisor,
    createEppo,
  ]) {
    peers.push(await create(flags, audience.users))
  }
  const contenders = [
    await createFloor(flags, audience.users),
    await createRampart(flags, audience.users),
    ...peers,
  ]
  // All contenders meet all scenarios before anything is timed, so that none is optimised for a single flag.
  for (const contender of contenders) await verify(contender, flags, audience)
  console.log(`${contenders.length} contenders give the answers that they are timed for`)

  const targets: Target[] = []
  const scenarios: { id: string; rows: Row[] }[] = []
  for (const scenario of SCENARIOS) {
    const rows = await runScenario(scenario, contenders)
    printScenario(scenario, rows, rows)
    const rampart = rows[1]?.nanoseconds ?? Number.NaN
    const fastestPeer = Math.min(...rows.slice(2).map(({ nanoseconds }) => nanoseconds))
    targets.push({
      name: `${scenario.id}: fastest peer / Rampart`,
      figure: fastestPeer / rampart,
      unit: 'x',
      bound: { atLeast: scenario.wanted },
    })
    scenarios.push({ id: scenario.id, rows })
  }

  printTargets(targets)
  saveResults('engine', { scenarios }, targets)
  // Some peers leave timers behind.
  process.exit(0)
}

await main()
