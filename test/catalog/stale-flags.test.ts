import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { markStale } from '../../src/catalog/stale-flags.ts'
import type { EnvironmentActivity, FlagActivity } from '../../src/catalog/staleness.ts'
import { emptyDatabase, rows } from '../support/database.ts'
import { runTick } from '../support/tick.ts'
import {
  api,
  configure,
  createEnvironment,
  createFlag,
  field,
  from,
  moveClock,
  ON_OFF,
  putConfiguration,
  silenceLogs,
  stopClock,
} from '../support/worker.ts'

const DAY = 86_400_000
const ON = { enabled: true, fallthrough: { variant: 'on' } }
const SPLIT = {
  enabled: true,
  fallthrough: {
    split: {
      weights: [
        { variant: 'on', weight: 50 },
        { variant: 'off', weight: 50 },
      ],
    },
  },
}

let [first, second] = ['', '']
/** When everything was made. */
let start = 0

silenceLogs()

beforeEach(async () => {
  stopClock()
  await emptyDatabase()
  start = Date.now()
  first = await createEnvironment()
  second = await createEnvironment()
})

type Evaluated = { readonly [flag: string]: { readonly [variant: string]: number } }

/** Activity that is known since long ago: of each flag, when each of its variants was last answered. */
function activity(evaluated: Evaluated = {}, more: Partial<EnvironmentActivity> = {}): EnvironmentActivity {
  const flags = Object.entries(evaluated).map(([flag, variants]): [string, FlagActivity] => [
    flag,
    {
      firstEvaluatedAt: start,
      lastEvaluatedAt: Math.max(...Object.values(variants)),
      variants: new Map(Object.entries(variants)),
    },
  ])
  return { knownSince: start - 100 * DAY, uncountedAt: null, partial: false, flags: new Map(flags), ...more }
}

/** Marks with the same activity in the first environment, and none in the others. */
const mark = (now: number, known: EnvironmentActivity = activity()) =>
  markStale(env.DB, async (environment) => (environment === first ? known : activity()), now)
const staleOf = async (flag: string) => field((await api('GET', `/flags/${flag}`)).body, 'stale')

async function keysIn(query: string): Promise<unknown[]> {
  const { body } = await api('GET', `/flags?${query}`)
  return (field(body, 'flags') as object[]).map((flag) => field(flag, 'key'))
}

describe('a flag that has had its day', () => {
  it('is marked with why and since when, and told from the others in a list', async () => {
    await createFlag('forgotten')
    await createFlag('used')
    await mark(start + 31 * DAY, activity({ used: { on: start + 30 * DAY, off: start + 30 * DAY } }))
    expect(await staleOf('forgotten')).toEqual({
      reason: 'not_evaluated',
      message: 'nobody has evaluated it for 31 days',
      since: start,
    })
    expect(await staleOf('used')).toBeNull()
    expect(await keysIn('stale=true')).toEqual(['forgotten'])
    expect(await keysIn('stale=false')).toEqual(['used'])
    expect(await keysIn('')).toEqual(['forgotten', 'used'])
  })

  it('is marked when it can answer only one thing, or has answered only one', async () => {
    for (const flag of ['rolled-out', 'one-sided', 'kept']) {
      await createFlag(flag, { temporary: flag !== 'kept' })
      for (const environment of [first, second]) {
        await configure(environment, flag, flag === 'one-sided' ? SPLIT : ON)
      }
    }
    const now = start + 40 * DAY
    const one = { on: now }
    await mark(now, activity({ 'rolled-out': one, 'one-sided': { ...one, off: start + DAY }, kept: one }))
    expect(await staleOf('rolled-out')).toMatchObject({ reason: 'fully_rolled_out', since: start })
    expect(await staleOf('one-sided')).toMatchObject({ reason: 'one_variant', since: start + DAY })
    expect(await staleOf('kept')).toBeNull()
  })

  it('is marked once; a later look says how long it has been by then', async () => {
    await createFlag('a')
    await mark(start + 31 * DAY)
    await mark(start + 45 * DAY)
    expect(await staleOf('a')).toEqual({
      reason: 'not_evaluated',
      message: 'nobody has evaluated it for 45 days',
      since: start,
    })
  })

  it('is not marked a moment too early', async () => {
    await createFlag('a')
    await mark(start + 30 * DAY - 1)
    expect(await staleOf('a')).toBeNull()
    await mark(start + 30 * DAY)
    expect(await staleOf('a')).toMatchObject({ reason: 'not_evaluated' })
  })

  it.each<[name: string, known: () => EnvironmentActivity]>([
    ['part of what was counted cannot be read', () => activity({}, { partial: true })],
    ['it began to be counted only lately', () => activity({}, { uncountedAt: start + 20 * DAY })],
  ])('is not marked while too little is known: %s', async (_, known) => {
    await createFlag('a')
    await mark(start + 31 * DAY, known())
    expect(await staleOf('a')).toBeNull()
  })

  it('is not marked while another flag asks it, for that is not counted', async () => {
    await createFlag('base')
    await createFlag('top')
    await configure(first, 'top', { ...ON, prerequisites: [{ flag: 'base', variants: ['on'] }] })
    await mark(start + 31 * DAY)
    expect(await keysIn('stale=true')).toEqual(['top'])
  })

  it('is not marked while a rollout decides, and is when that is over', async () => {
    await createFlag('a', { temporary: true })
    for (const environment of [first, second]) await configure(environment, 'a', ON)
    const write = (version: number, body: string | null) =>
      rows(
        `INSERT INTO history (environment, version, kind, key, body, actor, comment, at)
          VALUES (?, ?, 'rollouts', 'a', ?, 'test', '', ?)`,
        ...[first, version, body, start + version],
      )
    const now = start + 40 * DAY
    const known = activity({ a: { on: now, off: now } })
    await write(101, '{}')
    await mark(now, known)
    expect(await staleOf('a')).toBeNull()
    await write(102, null)
    await mark(now, known)
    expect(await staleOf('a')).toMatchObject({ reason: 'fully_rolled_out', since: start + 102 })
  })
})

describe('the mark', () => {
  beforeEach(async () => {
    await createFlag('a', { temporary: true })
    for (const environment of [first, second]) await configure(environment, 'a', ON)
    await mark(start + 31 * DAY, activity({ a: { on: start + 31 * DAY } }))
    expect(await staleOf('a')).toMatchObject({ reason: 'fully_rolled_out' })
  })

  it.each<[name: string, act: () => Promise<unknown>]>([
    ['its configuration changes', () => putConfiguration(first, 'a', { enabled: false }, 2)],
    ['it is not temporary any more', () => api('PATCH', '/flags/a', { temporary: false }, from(1))],
    ['it is archived', () => api('POST', '/flags/a/archive', {}, from(1))],
  ])('goes when %s', async (_, act) => {
    moveClock(31 * DAY)
    await act()
    await mark(Date.now() + 1, activity({ a: { on: Date.now(), off: Date.now() } }))
    expect(await staleOf('a')).toBeNull()
  })

  it('goes when it is evaluated again', async () => {
    await createFlag('b')
    await mark(start + 31 * DAY)
    expect(await staleOf('b')).not.toBeNull()
    await mark(start + 32 * DAY, activity({ b: { off: start + 32 * DAY } }))
    expect(await staleOf('b')).toBeNull()
  })

  it('is no change: neither of the flag, nor of an environment, nor in the audit', async () => {
    const state = () =>
      rows(`SELECT (SELECT json_group_array(version) FROM environments) AS versions,
        (SELECT json_group_array(json_array(key, revision, updated_at)) FROM flags) AS flags,
        (SELECT count(*) FROM audit) AS told, (SELECT count(*) FROM history) AS history`)
    const before = await state()
    await mark(start + 60 * DAY)
    expect(await staleOf('a')).toMatchObject({ reason: 'not_evaluated' })
    expect(await state()).toEqual(before)
  })

  it('stays while the flag is changed, until the next look', async () => {
    await api('PATCH', '/flags/a', { description: 'new' }, from(1))
    expect(await staleOf('a')).toMatchObject({ reason: 'fully_rolled_out' })
  })
})

describe('many flags', () => {
  const keyOf = (index: number) => `flag-${String(index).padStart(3, '0')}`

  it.each([199, 200, 201, 401])('are all looked at: %i', async (size) => {
    await emptyDatabase()
    const flags = Array.from({ length: size }, (_, index) => ({
      ...{ key: keyOf(index), type: 'boolean', variants: ON_OFF, archivedAt: null },
      configurations: { one: { enabled: false, fallthrough: { variant: 'on' } } },
    }))
    const environments = [{ key: 'one', name: 'One', segments: [], keys: [] }]
    const head = { format: 'rampart-export', formatVersion: 1, exportedAt: 0 }
    const document = { ...head, environments, flags, members: [], tokens: [] }
    expect((await api('POST', '/import', document)).status).toBe(200)
    const now = start + 31 * DAY
    const used = Object.fromEntries(
      flags.filter((_, index) => index % 3 === 0).map(({ key }) => [key, { on: now }]),
    )
    const look = (evaluated: Evaluated) => markStale(env.DB, async () => activity(evaluated), now)
    const marked = async () => {
      const found = await rows('SELECT key FROM flags WHERE stale IS NOT NULL ORDER BY key')
      return found.map(({ key }) => key)
    }
    await look(used)
    expect(await marked()).toEqual(flags.map(({ key }) => key).filter((key) => !Object.hasOwn(used, key)))
    await look(Object.fromEntries(flags.map(({ key }) => [key, { on: now }])))
    expect(await marked()).toEqual([])
  })
})

describe('the tick', () => {
  it('looks once an hour', async () => {
    await createFlag('a', { temporary: true })
    for (const environment of [first, second]) await configure(environment, 'a', ON)
    const hour = 3_600_000
    moveClock(31 * DAY + hour - ((Date.now() + 31 * DAY) % hour) + 60_000)
    await runTick()
    expect(await staleOf('a')).toBeNull()
    moveClock(hour - 60_000)
    await runTick()
    expect(await staleOf('a')).toMatchObject({ reason: 'fully_rolled_out' })
  })
})
