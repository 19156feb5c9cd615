// One flag read and changed through the management API, beside the same statements at the database and nothing else.
import { type Deployment, deploy } from './deployment.ts'
import { type Configuration, changed, makeDocument } from './documents.ts'
import { type Latencies, measureLatencies, type Probe } from './latencies.ts'

const FLAG_COUNT = 100
const ROUNDS = 9
const WARM_UP = 5
const REQUESTS = 100

type Recording = {
  readonly queries: number
  readonly statements: readonly { readonly sql: string; readonly values: readonly unknown[] }[]
}

/** What reading and changing a flag takes. */
export type FlagAccess = {
  readonly requests: number
  /** Queries before the batch of a change, and statements in it. */
  readonly queries: number
  readonly statements: number
  readonly bareRead: Latencies
  readonly read: Latencies
  readonly bareBatch: Latencies
  /** With a hub that answers at once. */
  readonly unpublishedWrite: Latencies
  readonly write: Latencies
}

const pathOf = (flag: string, environment: string) => `/api/v1/flags/${flag}/environments/${environment}`

/** Changes a flag again and again, each time from the revision that the last change brought. */
function createWrite(
  name: string,
  client: Deployment['rampart'],
  path: string,
  configuration: Configuration,
  isPublished: boolean,
): Probe {
  let changes = 0
  let revision = 1
  return {
    name,
    async ask() {
      const body = JSON.stringify(changed(configuration, changes++))
      const { text, sentAt, answeredAt } = await client.ask('PUT', path, {
        body,
        headers: { 'if-match': `"${revision}"` },
      })
      const answer: {
        readonly revision: number
        readonly environments: { readonly [key: string]: { readonly published: boolean } }
      } = JSON.parse(text)
      const published = Object.values(answer.environments).every(({ published }) => published === isPublished)
      if (answer.revision !== ++revision || !published) throw new Error(`${name} was answered ${text}`)
      return answeredAt - sentAt
    },
  }
}

/** Carries out the batches of as many changes, which were recorded before. */
async function createBatch(
  { floor, recorder }: Deployment,
  flag: string,
  environment: string,
  configuration: Configuration,
): Promise<{ readonly probe: Probe; readonly queries: number; readonly statements: number }> {
  const operations = Array.from({ length: (ROUNDS + WARM_UP) * REQUESTS }, (_, index) => ({
    kind: 'configuration.save',
    ...{ flag, environment, draft: changed(configuration, index), revision: index + 1 },
  }))
  const { text } = await recorder.ask('POST', '/', { body: JSON.stringify(operations) })
  const recordings: readonly Recording[] = JSON.parse(text)
  const [first] = recordings
  if (!first) throw new Error('nothing was recorded')
  await floor.ask('PUT', '/statements', { body: JSON.stringify(first.statements.map(({ sql }) => sql)) })
  const bodies = recordings.map(({ statements }) => JSON.stringify(statements.map(({ values }) => values)))
  let changes = 0
  const name = `bare batch of ${first.statements.length} statements`
  return {
    queries: first.queries,
    statements: first.statements.length,
    probe: {
      name,
      async ask() {
        const { text, sentAt, answeredAt } = await floor.ask('PUT', pathOf(flag, environment), {
          body: bodies[changes++],
        })
        if (JSON.parse(text).revision !== changes + 1) throw new Error(`${name} was answered ${text}`)
        return answeredAt - sentAt
      },
    },
  }
}

function createRead(name: string, client: Deployment['rampart'], path: string): Probe {
  return {
    name,
    async ask() {
      const { text, sentAt, answeredAt } = await client.ask('GET', path)
      if (typeof JSON.parse(text).revision !== 'number') throw new Error(`${name} was answered ${text}`)
      return answeredAt - sentAt
    },
  }
}

/** Measures one flag's reading and changing, in a deployment of its own. */
export async function measureFlagAccess(): Promise<FlagAccess> {
  const deployment = await deploy()
  try {
    const environments = ['bare', 'unpublished', 'published']
    const { flags, text } = makeDocument(
      FLAG_COUNT,
      environments.map((key) => ({ key, refreshSeconds: 30 })),
    )
    const { rampart, withoutHub, floor } = deployment
    await rampart.ask('POST', '/api/v1/import', { body: text })
    const flag = flags.find(({ configurations }) => !JSON.stringify(configurations).includes('"segment"'))
    const configuration = flag?.configurations.published
    if (!flag || !configuration) throw new Error('every flag leans on a segment')
    const { key } = flag
    const batch = await createBatch(deployment, key, 'bare', configuration)
    const probes = [
      createRead('bare read by primary key', floor, pathOf(key, 'published')),
      createRead('read', rampart, pathOf(key, 'published')),
      batch.probe,
      createWrite(
        'write, hub that answers at once',
        withoutHub,
        pathOf(key, 'unpublished'),
        configuration,
        false,
      ),
      createWrite('write, published', rampart, pathOf(key, 'published'), configuration, true),
    ]
    const measured = await measureLatencies(probes, { rounds: ROUNDS, warmUp: WARM_UP, requests: REQUESTS })
    const [bareRead, read, bareBatch, unpublishedWrite, write] = measured
    if (!bareRead || !read || !bareBatch || !unpublishedWrite || !write)
      throw new Error('not all were measured')
    const { queries, statements } = batch
    const requests = ROUNDS * REQUESTS
    return { requests, queries, statements, bareRead, read, bareBatch, unpublishedWrite, write }
  } finally {
    await deployment.stop()
  }
}
