// What was accepted is counted, and counted once, however often the runtime is killed: real processes, real disk.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { measureFlags } from '../../scripts/measure-flag.ts'
import { type Server, startServer } from '../../scripts/server.ts'
import { ADMIN_TOKEN } from './deployment.ts'

const KILLS = 20
const CLIENTS = 8
const SERVER_KEY = 'rp_server_production_kill'
const FLAG = 'checkout'
const ROLLOUT = 'kill-rollout'
const METRICS = [
  { key: 'ordered', event: 'order', kind: 'conversion' },
  { key: 'revenue', event: 'payment', kind: 'mean' },
] as const

type Sum = { units: Set<string>; ordered: Set<string>; revenue: number; payments: number }
type Block = { readonly start: number }

const persist = await mkdtemp(join(tmpdir(), 'rampart-kill-'))
let server: Server | undefined
let url = new URL('http://localhost')

afterAll(async () => {
  await server?.stop()
  await rm(persist, { recursive: true, force: true })
})

async function start(isMigrated: boolean): Promise<Server> {
  server = await startServer({ port: 0, persist, adminToken: ADMIN_TOKEN, isMigrated })
  url = server.url
  return server
}

/** Kills the runtime outright, and starts another with what is on disk. */
async function kill(running: Server): Promise<Server> {
  for (const pid of running.pids) process.kill(pid, 'SIGKILL')
  await running.stop()
  return start(true)
}

async function manage<T>(method: string, path: string, body?: object, headers: HeadersInit = {}): Promise<T> {
  const response = await fetch(new URL(`/api/v1/${path}`, url), {
    method,
    headers: {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      'content-type': 'application/json',
      ...Object.fromEntries(new Headers(headers)),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

async function fill(running: Server): Promise<void> {
  const isNew = { 'if-none-match': '*' }
  await manage('PUT', 'environments/production', { name: 'Production', shards: 3 }, isNew)
  for (const { key, ...metric } of METRICS) await manage('PUT', `metrics/${key}`, metric, isNew)
  const variants = [
    { name: 'on', value: true },
    { name: 'off', value: false },
  ]
  await manage('PUT', `flags/${FLAG}`, { type: 'boolean', variants }, isNew)
  const configuration = { enabled: true, offVariant: 'off', fallthrough: { variant: 'off' } }
  await manage('PUT', `flags/${FLAG}/environments/production`, configuration, { 'if-match': '"1"' })
  const hash = createHash('sha256').update(SERVER_KEY).digest('hex')
  await manage('POST', 'environments/production/keys', { kind: 'server', name: 'Kill', hash })
  await measureFlags(running, 'production', [
    {
      id: ROLLOUT,
      flag: FLAG,
      variant: 'on',
      seed: 'kill',
      grants: [{ audience: null, percentage: 50 }],
      metrics: METRICS.map(({ key }) => ({ metric: key, bounds: [] })),
    },
  ])
}

function createId(): string {
  const time = Date.now().toString(16).padStart(12, '0')
  const tail = randomBytes(10).toString('hex')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(0, 3)}-a${tail.slice(3, 6)}-${tail.slice(6, 18)}`
}

const pick = (count: number) => Math.floor(Math.random() * count)
const armOf = (unit: number) => (unit % 2 === 0 ? 't' : 'c')

function makeEvents(unit: number): object[] {
  const name = `unit-${unit}`
  const arm = armOf(unit)
  return [
    {
      kind: 'exposure',
      flag: FLAG,
      variant: arm === 't' ? 'on' : 'off',
      unit: name,
      tag: `${ROLLOUT}.0.1.${arm}`,
    },
    ...Array.from({ length: pick(3) }, () => ({ kind: 'track', name: 'order', unit: name })),
    ...Array.from({ length: pick(3) }, () => ({
      kind: 'track',
      name: 'payment',
      unit: name,
      value: 1 + pick(99),
    })),
  ]
}

/** Sends one batch until it is told that it was accepted; how often it had to. */
async function send(events: readonly object[]): Promise<number> {
  const body = JSON.stringify({ id: createId(), events })
  for (let tries = 1; ; tries++) {
    try {
      const headers = { authorization: `Bearer ${SERVER_KEY}`, 'content-type': 'application/json' }
      const response = await fetch(new URL('/v1/events', url), { method: 'POST', headers, body })
      if (response.status === 202) {
        expect(await response.json()).toEqual({ accepted: events.length, rejected: [] })
        return tries
      }
      expect([429, 503]).toContain(response.status)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      // The connection went with the process.
    }
    await new Promise((resolve) => setTimeout(resolve, 10 + pick(40)))
  }
}

function addUp(sums: Map<string, Sum>, unit: number, events: readonly object[]): void {
  const sum = sums.get(armOf(unit)) ?? { units: new Set(), ordered: new Set(), revenue: 0, payments: 0 }
  sums.set(armOf(unit), sum)
  sum.units.add(String(unit))
  for (const event of events) {
    const name = 'name' in event ? event.name : undefined
    if (name === 'order') sum.ordered.add(String(unit))
    if (name === 'payment' && 'value' in event) {
      sum.payments++
      sum.revenue += Number(event.value)
    }
  }
}

const loadBlocks = (from: number) =>
  manage<{ through: number; blocks: readonly Block[]; partial: boolean }>(
    'GET',
    `environments/production/measurements/${ROLLOUT}/blocks?from=${new Date(from).toISOString()}`,
  )

it(`counts what was accepted once, over ${KILLS} kills, and closed blocks stay as they were`, async () => {
  let running = await start(false)
  await fill(running)
  const from = Math.floor(Date.now() / 10_000) * 10_000
  const sums = new Map<string, Sum>()
  let accepted = 0
  let retries = 0
  let isOver = false
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!isOver) {
      const units = Array.from({ length: 1 + pick(6) }, () => pick(2_000))
      const batch = units.map((unit) => ({ unit, events: makeEvents(unit) }))
      const events = batch.flatMap((one) => one.events)
      retries += (await send(events)) - 1
      accepted += events.length
      for (const one of batch) addUp(sums, one.unit, one.events)
    }
  })
  for (let kills = 0; kills < KILLS; kills++) {
    await new Promise((resolve) => setTimeout(resolve, pick(1_200)))
    const before = await loadBlocks(from)
    expect(before.partial).toBe(false)
    await new Promise((resolve) => setTimeout(resolve, pick(100)))
    running = await kill(running)
    const after = await loadBlocks(from)
    const closed = after.blocks.filter(({ start }) => start < before.through)
    expect([after.partial, closed]).toEqual([false, before.blocks])
  }
  isOver = true
  await Promise.all(clients)

  // Kills hit batches that were under way, and clients got something in between them.
  expect([accepted > 1_000, retries >= KILLS]).toEqual([true, true])
  const { arms, partial } = await manage<{
    arms: readonly {
      arm: string
      units: number
      metrics: readonly { metric: string; [sum: string]: unknown }[]
    }[]
    partial: boolean
  }>('GET', `environments/production/measurements/${ROLLOUT}/totals`)
  const counted = arms.map(({ arm, units, metrics }) => {
    const of = (key: string) => metrics.find(({ metric }) => metric === key)
    return [arm, units, of('ordered')?.y, of('revenue')?.events, of('revenue')?.y]
  })
  const expected = [...sums].map(([arm, { units, ordered, payments, revenue }]) => [
    arm,
    units.size,
    ordered.size,
    payments,
    revenue,
  ])
  expect(partial).toBe(false)
  expect(counted.sort()).toEqual(expected.sort())
  console.info(`${accepted} events accepted, ${retries} retries, ${KILLS} kills`)
}, 600_000)
