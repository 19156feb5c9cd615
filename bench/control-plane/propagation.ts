// How long a committed change takes to be in the answers of an isolate that is already warm: another isolate than the
// one that committed it, asked for one flag of an environment again and again, in many environments at a time.
import { setTimeout as wait } from 'node:timers/promises'
import { createRandom } from '../support/random.ts'
import type { Client } from './client.ts'
import { deploy } from './deployment.ts'
import { changed, type DocumentFlag, makeDocument, serverKey } from './documents.ts'

const FLAG_COUNT = 10
const ENVIRONMENTS = 40
const CHANGES = 5
/** 25 evaluations a second in each environment. */
const POLL_MS = 40
/** Longer than any lane may take: what comes later is a mistake. */
const TOO_LATE_MS = 30_000
/** What an isolate that cannot reach the hub falls back to: src/delivery/snapshot-cache.ts. */
const HUB_DOWN_CHECK_MS = 10_000

/** What one lane took, in milliseconds. */
export type Lane = {
  readonly name: string
  /** How often the isolate asks whether there is something new. */
  readonly intervalMs: number
  /** From the answer to the change, which says that it is published, to the end of the first answer that has it. */
  readonly fromAnswer: readonly number[]
  /** From when the change was sent. */
  readonly fromSending: readonly number[]
}

type LaneWanted = {
  readonly name: string
  readonly prefix: string
  readonly refreshSeconds: number
  readonly intervalMs: number
}

const LANES: readonly LaneWanted[] = [
  { name: 'hub, asked every 1 s', prefix: 'second', refreshSeconds: 1, intervalMs: 1_000 },
  { name: 'hub, asked every 5 s', prefix: 'five', refreshSeconds: 5, intervalMs: 5_000 },
  { name: 'KV, hub not there', prefix: 'kv', refreshSeconds: 5, intervalMs: HUB_DOWN_CHECK_MS },
]

const environmentsOf = ({ prefix, refreshSeconds }: LaneWanted) =>
  Array.from({ length: ENVIRONMENTS }, (_, index) => ({ key: `${prefix}-${index}`, refreshSeconds }))

const random = createRandom(9)
const below = (milliseconds: number) => (random.below(1_000_000) / 1_000_000) * milliseconds

/** Evaluates one flag at a steady rate, and knows when the answers first had a version. */
function poll(client: Client, environment: string, flag: string) {
  const body = JSON.stringify({ context: { targetingKey: 'ada' } })
  const headers = { authorization: `Bearer ${serverKey(environment)}` }
  const seen: { readonly version: number; readonly at: number }[] = []
  let isStopped = false
  const evaluate = async () => {
    const reply = await client.ask('POST', `/ofrep/v1/evaluate/flags/${flag}`, { body, headers })
    const version = Number(reply.headers['x-rampart-version'])
    if (version > (seen.at(-1)?.version ?? 0)) seen.push({ version, at: reply.answeredAt })
  }
  const run = async () => {
    let due = performance.now()
    while (!isStopped) {
      await evaluate()
      due = Math.max(due + POLL_MS, performance.now())
      await wait(Math.max(0, due - performance.now()))
    }
  }
  const running = run()
  return {
    /** When an answer first had this version or a later one. */
    async first(version: number): Promise<number> {
      const deadline = performance.now() + TOO_LATE_MS
      for (;;) {
        const found = seen.find((answer) => answer.version >= version)
        if (found) return found.at
        if (performance.now() > deadline) throw new Error(`${environment} never answered version ${version}`)
        await Promise.race([running, wait(POLL_MS)])
      }
    },
    async stop() {
      isStopped = true
      await running
    },
  }
}

async function measureEnvironment(
  management: Client,
  edge: Client,
  environment: string,
  flag: DocumentFlag,
  intervalMs: number,
) {
  const configuration = flag.configurations[environment]
  if (!configuration) throw new Error(`${flag.key} is not in ${environment}`)
  const taken: { readonly fromAnswer: number; readonly fromSending: number }[] = []
  const polling = poll(edge, environment, flag.key)
  try {
    await polling.first(1)
    for (let change = 0; change < CHANGES; change++) {
      // The isolate has just heard of the last change: so the next one comes at any moment of its interval.
      await wait(below(intervalMs))
      const { text, sentAt, answeredAt } = await management.ask(
        'PUT',
        `/api/v1/flags/${flag.key}/environments/${environment}`,
        { body: JSON.stringify(changed(configuration, change)), headers: { 'if-match': `"${change + 1}"` } },
      )
      const { version, published } = JSON.parse(text).environments[environment]
      if (published !== true) throw new Error(`not published: ${text}`)
      const at = await polling.first(version)
      // Seen before the writer was told: then it took nothing after that.
      taken.push({ fromAnswer: Math.max(0, at - answeredAt), fromSending: at - sentAt })
    }
  } finally {
    await polling.stop()
  }
  return taken
}

/** Measures the lanes one after the other, the environments of each all at once. */
export async function measurePropagation(): Promise<Lane[]> {
  const deployment = await deploy()
  try {
    const { rampart, edge, withoutHub } = deployment
    const { flags, text } = makeDocument(FLAG_COUNT, LANES.flatMap(environmentsOf))
    await rampart.ask('POST', '/api/v1/import', { body: text })
    const [flag] = flags
    if (!flag) throw new Error('there are no flags')
    const lanes: Lane[] = []
    for (const lane of LANES) {
      const { name, intervalMs } = lane
      const isolate = lane.prefix === 'kv' ? withoutHub : edge
      const measured = await Promise.all(
        environmentsOf(lane).map(({ key }) => measureEnvironment(rampart, isolate, key, flag, intervalMs)),
      )
      const taken = measured.flat()
      lanes.push({
        name,
        intervalMs,
        fromAnswer: taken.map(({ fromAnswer }) => fromAnswer),
        fromSending: taken.map(({ fromSending }) => fromSending),
      })
    }
    return lanes
  } finally {
    await deployment.stop()
  }
}
