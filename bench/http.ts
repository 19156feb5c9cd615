// What requests cost in workerd, in processor time: Rampart's OFREP beside a bare Hono route that parses the same
// body, and beside a Worker that answers the same with flagd's evaluator.
import { build } from '../scripts/server.ts'
import { FLAG_COUNT } from './http/flag-count.ts'
import { hasProcessorTime, microsecondsOf } from './http/processor-time.ts'
import { closeConnections, createPost, type Post, send, sendMany } from './http/requests.ts'
import { SERVER_KEY } from './http/server-key.ts'
import { type Running, startRampart, startWorker } from './http/workers.ts'
import { SPLIT_VARIANTS } from './support/flags.ts'
import { formatNumber, printTable, printTargets, saveResults, type Target } from './support/report.ts'
import { measureRounds, median } from './support/rounds.ts'
import { makeUsers } from './support/users.ts'

const USER_COUNT = 500
const ROUNDS = 5
const WARM_UP = 1
/**
 * Requests in a round: enough for some full collections of garbage, one of which comes every ten or twenty thousand
 * requests and takes as long as two thousand of them; shorter rounds would have one by chance.
 */
const REQUESTS = 40_000

const LOCALES = ['de-DE', 'en-GB', 'fr-FR', 'it-IT']
const PLANS = ['free', 'team', 'business']

/** One request body for each user: the attributes that the flags ask for, and two that they do not. */
const BODIES = makeUsers(USER_COUNT).map(({ id, ...attributes }, index) =>
  JSON.stringify({
    context: {
      targetingKey: id,
      ...attributes,
      plan: PLANS[index % PLANS.length],
      locale: LOCALES[index % LOCALES.length],
    },
  }),
)

type Contender = {
  readonly id: 'bare' | 'single' | 'bulk' | 'unchanged' | 'flagd'
  readonly name: string
  readonly url: URL
  readonly pid: number
  readonly posts: readonly Post[]
  readonly status: number
}

type Row = {
  readonly id: Contender['id']
  readonly name: string
  readonly microseconds: number
  readonly rounds: readonly number[]
}

function insist(holds: boolean, contender: Contender, text: string) {
  if (!holds) throw new Error(`${contender.name} answered ${text.slice(0, 500)}`)
}

type Flag = {
  readonly key: string
  readonly value: unknown
  readonly reason: string
  readonly variant: string
}

/** Makes sure that an answer is what is timed, for some users; throws where it is not. */
async function verify(contender: Contender) {
  const variants = new Set<string>()
  for (const [index, post] of contender.posts.entries()) {
    const { status, etag, text } = await send(contender.url, post)
    insist(status === contender.status, contender, `${status} ${text}`)
    if (contender.id === 'unchanged') {
      insist(text === '' && etag === post.headers['if-none-match'], contender, text)
      continue
    }
    const answer = JSON.parse(text)
    if (contender.id === 'bare') {
      insist(answer.key === JSON.parse(BODIES[index] ?? '').context.targetingKey, contender, text)
      continue
    }
    const flags: readonly Flag[] = contender.id === 'single' ? [answer] : answer.flags
    insist(flags.length === (contender.id === 'single' ? 1 : FLAG_COUNT), contender, text)
    for (const { key, value, reason, variant } of flags) {
      const wanted: readonly unknown[] = key.startsWith('half-') ? [true, false] : SPLIT_VARIANTS
      insist(wanted.includes(value) && /^(SPLIT|TARGETING_MATCH|DEFAULT)$/.test(reason), contender, text)
      variants.add(variant)
    }
    insist(contender.id !== 'bulk' || etag !== undefined, contender, `no ETag with ${text}`)
  }
  const expected = { bare: 0, single: 4, bulk: 6, unchanged: 0, flagd: 6 }[contender.id]
  insist(variants.size === expected, contender, `the variants ${[...variants].join(', ')}`)
}

async function etagOf(url: URL, post: Post): Promise<string> {
  const { etag } = await send(url, post)
  if (etag === undefined) throw new Error('a bulk answer has no ETag')
  return etag
}

async function createContenders(
  running: { readonly [id in Contender['id']]: Running },
): Promise<Contender[]> {
  const plain = BODIES.map((body) => createPost(body))
  const authorization = { authorization: `Bearer ${SERVER_KEY}` }
  const keyed = BODIES.map((body) => createPost(body, authorization))
  const bulkPath = '/ofrep/v1/evaluate/flags'
  const bulkOf = ({ url }: Running) => new URL(bulkPath, url)
  const known: Post[] = []
  for (const [index, body] of BODIES.entries()) {
    const etag = await etagOf(bulkOf(running.unchanged), keyed[index] ?? createPost(body, authorization))
    known.push(createPost(body, { ...authorization, 'if-none-match': etag }))
  }
  return [
    {
      id: 'bare',
      name: '(a) bare Hono route',
      url: new URL('/evaluate', running.bare.url),
      pid: running.bare.pid,
      posts: plain,
      status: 200,
    },
    {
      id: 'single',
      name: '(b) Rampart, one flag',
      url: new URL(`${bulkPath}/rules-0000`, running.single.url),
      pid: running.single.pid,
      posts: keyed,
      status: 200,
    },
    {
      id: 'bulk',
      name: `(c) Rampart, ${FLAG_COUNT} flags`,
      url: bulkOf(running.bulk),
      pid: running.bulk.pid,
      posts: keyed,
      status: 200,
    },
    {
      id: 'unchanged',
      name: `(c2) Rampart, ${FLAG_COUNT} flags, 304`,
      url: bulkOf(running.unchanged),
      pid: running.unchanged.pid,
      posts: known,
      status: 304,
    },
    {
      id: 'flagd',
      name: `(d) the same with flagd-core, ${FLAG_COUNT} flags`,
      url: bulkOf(running.flagd),
      pid: running.flagd.pid,
      posts: keyed,
      status: 200,
    },
  ]
}

async function measure(contenders: readonly Contender[]): Promise<Row[]> {
  const taken = new Map<string, number[]>(contenders.map(({ id }) => [id, []]))
  await measureRounds(
    contenders.map(({ id, name, url, pid, posts, status }) => ({
      name,
      run: async () => {
        const start = microsecondsOf(pid)
        await sendMany(url, posts, REQUESTS, status)
        taken.get(id)?.push((microsecondsOf(pid) - start) / REQUESTS)
      },
    })),
    { rounds: ROUNDS, warmUp: WARM_UP },
  )
  return contenders.map(({ id, name }) => {
    const rounds = taken.get(id)?.slice(WARM_UP) ?? []
    return { id, name, microseconds: median(rounds), rounds }
  })
}

/** Compares two round by round, so that a slow spell of the machine, which hits both, does not tell. */
function compare(row: Row, other: Row, by: (microseconds: number, others: number) => number): number {
  return median(row.rounds.map((microseconds, round) => by(microseconds, other.rounds[round] ?? Number.NaN)))
}

const difference = (microseconds: number, others: number) => microseconds - others
const ratio = (microseconds: number, others: number) => microseconds / others

function report(rows: readonly Row[]) {
  const of = (id: Contender['id']) => {
    const row = rows.find((row) => row.id === id)
    if (!row) throw new Error(`${id} was not measured`)
    return row
  }
  const bare = of('bare')
  const clock = hasProcessorTime ? 'CPU' : 'Wall time (there is no CPU time of a process to be had here)'
  printTable(
    `${clock} per request, medians of ${ROUNDS} rounds`,
    ['', 'µs', 'fastest round', 'slowest round', 'µs - (a)', 'x (a)'],
    rows.map((row) => [
      row.name,
      formatNumber(row.microseconds),
      formatNumber(Math.min(...row.rounds)),
      formatNumber(Math.max(...row.rounds)),
      compare(row, bare, difference).toFixed(1),
      compare(row, bare, ratio).toFixed(2),
    ]),
  )
  const targets: Target[] = [
    {
      name: 'one flag: Rampart - bare route',
      figure: compare(of('single'), bare, difference),
      unit: 'µs',
      bound: { atMost: 40 },
    },
    {
      name: `${FLAG_COUNT} flags: Rampart / bare route`,
      figure: compare(of('bulk'), bare, ratio),
      unit: 'x',
      bound: { atMost: 2 },
    },
    {
      name: `${FLAG_COUNT} flags: Rampart / flagd-core`,
      figure: compare(of('bulk'), of('flagd'), ratio),
      unit: 'x',
      bound: { atMost: 0.6 },
    },
  ]
  printTargets(targets)
  saveResults('http', { clock: hasProcessorTime ? 'CPU' : 'wall', rows }, targets)
}

async function main() {
  const running: Running[] = []
  const started = async (starting: Promise<Running>) => {
    const worker = await starting
    running.push(worker)
    return worker
  }
  try {
    const bare = await started(startWorker('bare'))
    const flagd = await started(startWorker('flagd'))
    await build()
    // One for each contender, so that none cleans up after another.
    const single = await started(startRampart())
    const bulk = await started(startRampart())
    const unchanged = await started(startRampart())
    const contenders = await createContenders({ bare, single, bulk, unchanged, flagd })
    for (const contender of contenders) await verify(contender)
    console.log(`${contenders.length} contenders give the answers that they are timed for`)
    report(await measure(contenders))
  } finally {
    closeConnections()
    for (const { stop } of running) await stop()
  }
}

await main()
