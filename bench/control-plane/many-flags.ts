// A project of 10,000 flags: filled, listed, searched, changed and given another environment, through the management
// API of a deployment of its own.
import { setTimeout as wait } from 'node:timers/promises'
import type { Client } from './client.ts'
import { type Deployment, deploy } from './deployment.ts'
import { changed, type DocumentFlag, makeDocument, RARE_WORDS } from './documents.ts'
import { type Latencies, measureLatencies, type Probe } from './latencies.ts'

const FLAG_COUNT = 10_000
const ENVIRONMENTS = ['production', 'staging', 'development']
const PAGE_ROWS = 50
const LARGEST_PAGE_ROWS = 200
const ROUNDS = 5
const WARM_UP = 1
const REQUESTS = 10
const PUBLICATIONS = 30
/** A hub puts at most once a second: a change after a longer pause has to wait for its own put. */
const PAUSE_MS = 1_100
const CREATIONS = 3

/** How much a change reads first, and how many statements its batch has. */
export type Counts = { readonly queries: number; readonly statements: number }

/** What 10,000 flags take; times in milliseconds, sizes in bytes. */
export type ManyFlags = {
  readonly flags: number
  readonly environments: number
  readonly snapshotBytes: number
  readonly importBytes: number
  readonly importMs: number
  readonly importCounts: Counts
  readonly requests: number
  readonly bareRows: Latencies
  readonly pages: readonly Latencies[]
  readonly searches: readonly Latencies[]
  readonly publications: readonly number[]
  readonly barePuts: readonly number[]
  readonly creation: Counts & { readonly taken: readonly number[] }
  readonly copy: Counts & { readonly taken: readonly number[] }
}

type Page = { readonly flags: readonly { readonly key: string }[]; readonly nextCursor: string | null }

async function readPage(client: Client, query: string): Promise<Page> {
  return JSON.parse((await client.ask('GET', `/api/v1/flags?${query}`)).text)
}

/** Walks the list to its middle, as somebody does who reads it. */
async function cursorOfMiddle(client: Client): Promise<string> {
  let cursor = ''
  for (let seen = 0; seen < FLAG_COUNT / 2; seen += LARGEST_PAGE_ROWS) {
    const from = cursor === '' ? '' : `&cursor=${cursor}`
    const { nextCursor } = await readPage(client, `limit=${LARGEST_PAGE_ROWS}${from}`)
    if (nextCursor === null) throw new Error('the list ends too early')
    cursor = nextCursor
  }
  return cursor
}

async function createList(client: Client, name: string, query: string, rows: number): Promise<Probe> {
  const { flags } = await readPage(client, query)
  if (flags.length !== rows) throw new Error(`${name}: ${flags.length} flags and not ${rows}`)
  return {
    name,
    async ask() {
      const { sentAt, answeredAt } = await client.ask('GET', `/api/v1/flags?${query}`)
      return answeredAt - sentAt
    },
  }
}

async function createLists({ rampart, floor }: Deployment, flags: readonly DocumentFlag[]) {
  const [rare, other] = RARE_WORDS
  const isRare = (flag: DocumentFlag) => JSON.stringify(flag).includes(rare)
  const found = flags.filter(isRare)
  const [sample] = found
  if (!sample) throw new Error('no flag has the words that are searched for')
  const narrow = (flag: DocumentFlag) =>
    flag.tags.includes(sample.tags[0] ?? '') &&
    flag.owner === sample.owner &&
    flag.configurations.production?.enabled === true
  const filters = `tag=${sample.tags[0]}&owner=${sample.owner}&environment=production&enabled=true`
  const middle = await cursorOfMiddle(rampart)
  const list = (name: string, query: string, rows = PAGE_ROWS) => createList(rampart, name, query, rows)
  const after = flags[FLAG_COUNT / 2]?.key ?? ''
  const bareRows: Probe = {
    name: `bare SELECT of ${PAGE_ROWS} rows by primary key`,
    async ask() {
      const { sentAt, answeredAt } = await floor.ask('GET', `/api/v1/flags?limit=${PAGE_ROWS}&after=${after}`)
      return answeredAt - sentAt
    },
  }
  return {
    bareRows,
    pages: [
      await list('first page', ''),
      await list(`page ${FLAG_COUNT / 2 / PAGE_ROWS + 1}`, `cursor=${middle}`),
    ],
    searches: [
      await list('one word', `search=${rare}`, found.length),
      await list('two words', `search=${rare}+${other}`, found.length),
      await list(
        'tag, owner, enabled in production',
        filters,
        Math.min(PAGE_ROWS, flags.filter(narrow).length),
      ),
      await list(
        'both words and all three filters',
        `search=${rare}+${other}&${filters}`,
        found.filter(narrow).length,
      ),
    ],
  }
}

/** Changes a flag now and then; each change waits for a put of the whole snapshot, and a bare put comes after it. */
async function publish({ rampart, floor }: Deployment, flag: DocumentFlag, bytes: number) {
  const publications: number[] = []
  const barePuts: number[] = []
  const configuration = flag.configurations.production
  if (!configuration) throw new Error(`${flag.key} is not in production`)
  for (let change = 0; change <= PUBLICATIONS; change++) {
    const { text, sentAt, answeredAt } = await rampart.ask(
      'PUT',
      `/api/v1/flags/${flag.key}/environments/production`,
      { body: JSON.stringify(changed(configuration, change)), headers: { 'if-match': `"${change + 1}"` } },
    )
    if (!JSON.parse(text).environments.production.published) throw new Error(`not published: ${text}`)
    const put = await floor.ask('PUT', `/snapshots?bytes=${bytes}`)
    // The first change warms up.
    if (change > 0) {
      publications.push(answeredAt - sentAt)
      barePuts.push(put.answeredAt - put.sentAt)
    }
    await wait(PAUSE_MS)
  }
  return { publications, barePuts }
}

async function createEnvironments({ rampart, recorder }: Deployment, copyFrom: string | undefined) {
  const kind = copyFrom === undefined ? 'new' : 'copy'
  const draft = {
    name: kind,
    refreshSeconds: 30,
    protected: false,
    keepContexts: false,
    contextKeys: [],
    shards: 2,
  }
  const operation = { kind: 'environment.save', environment: 'counted', draft, copyFrom, revision: 0 }
  const counted = await recorder.ask('POST', '/counts', { body: JSON.stringify([operation]) })
  const [counts]: readonly Counts[] = JSON.parse(counted.text)
  if (!counts) throw new Error('nothing was counted')
  const taken: number[] = []
  for (let creation = 0; creation < CREATIONS; creation++) {
    const { sentAt, answeredAt } = await rampart.ask('PUT', `/api/v1/environments/${kind}-${creation}`, {
      body: JSON.stringify({ ...draft, copyFrom }),
      headers: { 'if-none-match': '*' },
    })
    taken.push(answeredAt - sentAt)
  }
  return { ...counts, taken }
}

/** Measures a project of 10,000 flags in three environments. */
export async function measureManyFlags(): Promise<ManyFlags> {
  const deployment = await deploy()
  try {
    const { rampart } = deployment
    const { flags, text } = makeDocument(
      FLAG_COUNT,
      ENVIRONMENTS.map((key) => ({ key, refreshSeconds: 30 })),
    )
    const importCounts: Counts = JSON.parse(
      (await deployment.recorder.ask('POST', '/import', { body: text })).text,
    )
    const imported = await rampart.ask('POST', '/api/v1/import', { body: text })
    const { bytes: snapshotBytes }: { readonly bytes: number } = JSON.parse(
      (await rampart.ask('GET', '/api/v1/environments/production')).text,
    )
    const { bareRows, pages, searches } = await createLists(deployment, flags)
    const [rows, ...lists] = await measureLatencies([bareRows, ...pages, ...searches], {
      rounds: ROUNDS,
      warmUp: WARM_UP,
      requests: REQUESTS,
    })
    const [flag] = flags
    if (!rows || !flag) throw new Error('nothing was measured')
    const { publications, barePuts } = await publish(deployment, flag, snapshotBytes)
    return {
      flags: FLAG_COUNT,
      environments: ENVIRONMENTS.length,
      snapshotBytes,
      importBytes: Buffer.byteLength(text),
      importMs: imported.answeredAt - imported.sentAt,
      importCounts,
      requests: ROUNDS * REQUESTS,
      bareRows: rows,
      pages: lists.slice(0, pages.length),
      searches: lists.slice(pages.length),
      publications,
      barePuts,
      creation: await createEnvironments(deployment, undefined),
      copy: await createEnvironments(deployment, 'production'),
    }
  } finally {
    await deployment.stop()
  }
}
