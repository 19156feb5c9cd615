// Which flag is watched, and what by: what stays as it is while it is.
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { openEnvironment } from '../../src/catalog/environment-snapshot.ts'
import { loadShardCount } from '../../src/catalog/environments.ts'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { LAYOUT_DELAY_MS } from '../../src/catalog/layouts.ts'
import {
  loadMeasurements,
  type MeasurementDraft,
  measurementEnd,
  measurementSave,
  rolloutEntity,
} from '../../src/catalog/measurements.ts'
import {
  archive,
  deleteEnvironment,
  deleteFlag,
  deleteSegment,
  needing,
  OK,
  status,
} from '../support/catalog.ts'
import { dump, emptyDatabase, rows } from '../support/database.ts'
import { commitParts, endMeasurement, HALF, measure, putMetric } from '../support/measurements.ts'
import {
  api,
  configure,
  createEnvironment,
  createFlag,
  createSegment,
  from,
  ON_OFF,
  putConfiguration,
  putFlag,
  silenceLogs,
} from '../support/worker.ts'

silenceLogs()

let environment = ''

beforeEach(async () => {
  await emptyDatabase()
  environment = await createEnvironment()
  await createFlag('flag')
  await putMetric('metric')
})

const NOW = 1_800_000_000_000

const DRAFT: MeasurementDraft = {
  id: 'one',
  flag: 'flag',
  kind: 'rollout',
  by: 'targetingKey',
  stage: 0,
  windowMs: 1_800_000,
  exposure: 'use',
  metrics: [{ metric: 'metric', bounds: [] }],
  slices: [],
}

const MEASURED = { flag: 'flag', id: 'one', metrics: [{ key: 'metric' }] }

const save = (draft: Partial<MeasurementDraft> = {}, now = NOW) =>
  measurementSave(env.DB, environment, { ...DRAFT, ...draft }, now)

/** What comes of saving a measurement and committing it; null: it is there. */
async function saveNow(draft: Partial<MeasurementDraft> = {}, now = NOW): Promise<unknown> {
  const part = await save(draft, now)
  if (!part.ok) return part.error
  const committed = await commitParts([part.value])
  return committed.ok ? null : committed.error
}

async function snapshot() {
  const opened = openEnvironment(environment, (await hubOf(env, environment).whole()) ?? '')
  if (!opened.ok) throw new Error(opened.error)
  return opened.value
}

describe('a measurement', () => {
  it('stands in the snapshot with its metrics and grants, and goes when it ends', async () => {
    await configure(environment, 'flag', { fallthrough: { variant: 'off' } })
    await measure(environment, {
      ...MEASURED,
      metrics: [{ key: 'metric', bounds: [1, 2] }, { key: 'new' }],
      slices: ['country'],
    })
    const measurement = {
      ...DRAFT,
      ...{ shards: 2, slices: ['country'] },
      metrics: [
        { metric: 'metric', bounds: [1, 2] },
        { metric: 'new', bounds: [] },
      ],
    }
    const running = await snapshot()
    expect([...running.measurements.values()]).toEqual([measurement])
    expect(running.metrics.get('new')).toMatchObject({ event: 'new', kind: 'conversion', unit: 'user' })
    expect(running.flags.parsedFlag('flag')).toMatchObject({
      value: { rollout: { id: 'one', variant: 'on', stage: 0, grants: HALF, measured: true } },
    })
    expect(await loadMeasurements(env.DB, environment)).toEqual([measurement])
    await endMeasurement(environment, 'one', 'flag')
    const ended = await snapshot()
    expect([ended.measurements.size, await loadMeasurements(env.DB, environment)]).toEqual([0, []])
    expect(ended.flags.parsedFlag('flag')).toMatchObject({ value: { rollout: null } })
    expect(await rows('SELECT * FROM entity_references')).toEqual([])
  })

  it('moves on to a later stage, and stays with its flag and kind', async () => {
    expect(await saveNow()).toBe(null)
    expect(await saveNow({ stage: 3, slices: ['plan'] })).toBe(null)
    expect(await loadMeasurements(env.DB, environment)).toMatchObject([
      { id: 'one', stage: 3, slices: ['plan'] },
    ])
    await createFlag('other')
    const before = await dump('measurements')
    expect(await saveNow({ flag: 'other' })).toEqual({ reason: 'stale' })
    expect(await saveNow({ kind: 'experiment' })).toEqual({ reason: 'stale' })
    expect(await dump('measurements')).toEqual(before)
  })

  it('of the same name may run in another environment', async () => {
    const other = await createEnvironment()
    await measure(environment, MEASURED)
    await measure(other, MEASURED)
    await endMeasurement(environment, 'one', 'flag')
    expect(await loadMeasurements(env.DB, other)).toHaveLength(1)
  })

  it('goes with its environment, and another of that name has none', async () => {
    await measure(environment, MEASURED)
    expect(status(await deleteEnvironment(environment))).toEqual(OK)
    expect(await rows('SELECT * FROM measurements')).toEqual([])
    expect(status(await deleteFlag('flag', 1))).toEqual(OK)
    await api('PUT', `/environments/${environment}`, { name: 'Again' }, from(0))
    expect((await snapshot()).measurements.size).toBe(0)
  })

  it('ends once', async () => {
    await measure(environment, MEASURED)
    await endMeasurement(environment, 'one', 'flag')
    const again = await commitParts([measurementEnd(environment, 'one')])
    expect(again).toEqual({ ok: false, error: { reason: 'stale' } })
  })
})

describe('a measurement is not taken', () => {
  const bounds = (...values: number[]) => ({ metrics: [{ metric: 'metric', bounds: values }] })

  it.each<[string, Partial<MeasurementDraft>, string, string]>([
    [
      'of a metric that there is not',
      { metrics: [{ metric: 'x', bounds: [] }] },
      'metrics[0].metric',
      'unknown_metric',
    ],
    ['of another kind of unit', { by: 'company.id' }, 'metrics[0].metric', 'other_unit'],
    [
      'of one metric twice',
      { metrics: [...DRAFT.metrics, ...DRAFT.metrics] },
      'metrics[1].metric',
      'duplicate',
    ],
    ['with five bounds', bounds(1, 2, 3, 4, 5), 'metrics[0].bounds', 'limit'],
    ['with a bound that is no number', bounds(Number.NaN), 'metrics[0].bounds', 'type'],
    ['with nine slices', { slices: Array.from('123456789') }, 'slices', 'limit'],
    ['with a dot in its name, where its tag goes on', { id: 'a.b' }, 'id', 'type'],
    ['without a name', { id: '' }, 'id', 'type'],
  ])('%s', async (_, draft, path, rule) => {
    expect(await saveNow(draft)).toMatchObject({ reason: 'invalid', problems: [{ path, rule }] })
  })

  it.each<[string, Partial<MeasurementDraft>]>([
    ['four bounds', bounds(1, 2, 3, 4)],
    ['eight slices', { slices: Array.from('12345678') }],
    ['no metric, for exposures alone', { metrics: [] }],
  ])('but with %s it is', async (_, draft) => {
    expect(await saveNow(draft)).toBe(null)
  })

  it('in an environment that there is not', async () => {
    const part = await measurementSave(env.DB, 'nowhere', DRAFT, NOW)
    expect(part).toMatchObject({ ok: false, error: { reason: 'not_found' } })
  })

  it('of a flag that there is not, or that is archived', async () => {
    expect(await saveNow({ flag: 'x' })).toEqual({ reason: 'unknown_reference' })
    await archive('flag', 1)
    expect(await saveNow()).toEqual({ reason: 'unknown_reference' })
  })

  it('when flag or metric went while it was made', async () => {
    const part = await save()
    if (!part.ok) throw new Error(part.error.reason)
    await api('DELETE', '/metrics/metric', undefined, from(1))
    expect(await commitParts([part.value])).toEqual({ ok: false, error: { reason: 'unknown_reference' } })
    await putMetric('metric', { unit: 'company' })
    expect(await commitParts([part.value])).toEqual({ ok: false, error: { reason: 'unknown_reference' } })
    await putMetric('metric', {}, 3)
    await deleteFlag('flag', 1)
    expect(await commitParts([part.value])).toEqual({ ok: false, error: { reason: 'unknown_reference' } })
    await createFlag('flag')
    expect(await commitParts([part.value])).toMatchObject({ ok: true })
  })

  it('a second time with other shards than the one that was quicker', async () => {
    const late = await save({}, NOW)
    await api('PUT', `/environments/${environment}`, { name: 'Wider', shards: 4 }, from(1))
    expect(await saveNow({}, Date.now() + LAYOUT_DELAY_MS + 60_000)).toBe(null)
    if (!late.ok) throw new Error(late.error.reason)
    expect(await commitParts([late.value])).toEqual({ ok: false, error: { reason: 'stale' } })
  })
})

describe('what is watched', () => {
  it('is neither deleted nor archived, until it no longer is', async () => {
    expect(await saveNow()).toBe(null)
    expect(status(await deleteFlag('flag', 1))).toEqual([409, 'still_referenced'])
    expect(status(await archive('flag', 1))).toEqual([409, 'still_referenced'])
    expect(status(await putFlag('flag', { description: 'The same' }, 1))).toEqual(OK)
    await commitParts([measurementEnd(environment, 'one')])
    expect(status(await archive('flag', 2))).toEqual(OK)
  })

  it('may need as many others as before', async () => {
    const chain = Array.from({ length: 10 }, (_, i) => `needed-${i}`)
    for (const key of chain) await createFlag(key)
    for (const [i, key] of chain.entries()) {
      await configure(environment, i === 0 ? 'flag' : String(chain[i - 1]), needing(key))
    }
    await measure(environment, MEASURED)
    expect(status(await putConfiguration(environment, 'flag', needing('needed-0'), 2))).toEqual(OK)
    await createFlag('above')
    expect(status(await putConfiguration(environment, 'above', needing('flag')))).toEqual([
      422,
      'nested_too_deep',
    ])
  })
})

describe('grants', () => {
  const grants = [
    { audience: { any: [{ segment: 'beta' }, { not: { segment: 'staff' } }] }, percentage: 10 },
    { audience: null, percentage: 5 },
  ]
  const rollout = {
    id: 'one',
    variant: 'on',
    seed: 's',
    by: 'targetingKey',
    stage: 0,
    grants,
    measured: true,
  }

  beforeEach(async () => {
    await createSegment(environment, 'beta')
    await createSegment(environment, 'staff')
  })

  it('keep the segments that they name', async () => {
    await measure(environment, { ...MEASURED, grants })
    expect(status(await deleteSegment(environment, 'beta', 1))).toEqual([409, 'still_referenced'])
    expect(status(await deleteSegment(environment, 'staff', 1))).toEqual([409, 'still_referenced'])
    await measure(environment, { ...MEASURED, grants: HALF, stage: 1 })
    expect(status(await deleteSegment(environment, 'beta', 1))).toEqual(OK)
  })

  it('need the segments that they name', async () => {
    await deleteSegment(environment, 'beta', 1)
    const committed = await commitParts([{ entities: [rolloutEntity(environment, 'flag', rollout)] }])
    expect(committed).toEqual({ ok: false, error: { reason: 'unknown_reference' } })
  })

  it('need a variant of the flag, and keep it', async () => {
    const other = rolloutEntity(environment, 'flag', { ...rollout, variant: 'blue' })
    expect(await commitParts([{ entities: [other] }])).toEqual({
      ok: false,
      error: { reason: 'unknown_variant' },
    })
    await putFlag('flag', { variants: [...ON_OFF, { name: 'more', value: true }] }, 1)
    const granted = rolloutEntity(environment, 'flag', { ...rollout, variant: 'more' })
    expect(await commitParts([{ entities: [granted] }])).toMatchObject({ ok: true })
    expect(status(await putFlag('flag', {}, 2))).toEqual([422, 'unknown_variant'])
    await commitParts([{ entities: [rolloutEntity(environment, 'flag', null)] }])
    expect(status(await putFlag('flag', {}, 2))).toEqual(OK)
  })

  it('that no rollout stands behind any more go with their flag', async () => {
    expect(await commitParts([{ entities: [rolloutEntity(environment, 'flag', rollout)] }])).toMatchObject({
      ok: true,
    })
    expect(status(await deleteFlag('flag', 1))).toEqual(OK)
    expect(
      await rows(`SELECT body FROM history WHERE kind = 'rollouts' ORDER BY version DESC LIMIT 1`),
    ).toEqual([{ body: null }])
  })

  it('make no draft of a colleague stale', async () => {
    await measure(environment, { ...MEASURED, grants })
    expect(status(await putConfiguration(environment, 'flag', { enabled: true }, 1))).toEqual(OK)
  })
})

describe('shards', () => {
  const widen = (shards: number, revision: number) =>
    api('PUT', `/environments/${environment}`, { name: 'Wide', shards }, from(revision))
  const shardsOf = async () =>
    (await loadMeasurements(env.DB, environment)).map(({ id, shards }) => [id, shards])

  it('of a measurement are those of its start', async () => {
    await measure(environment, MEASURED)
    const start = Date.now()
    expect(status(await widen(8, 1))).toEqual(OK)
    const end = Date.now()
    // Not yet, and from then on.
    expect(await saveNow({ id: 'two' }, start + LAYOUT_DELAY_MS - 1)).toBe(null)
    expect(await saveNow({ id: 'three' }, end + LAYOUT_DELAY_MS)).toBe(null)
    expect(await saveNow({ id: 'one', stage: 1 }, end + LAYOUT_DELAY_MS)).toBe(null)
    expect(await shardsOf()).toEqual([
      ['one', 2],
      ['three', 8],
      ['two', 2],
    ])
  })

  it('of an environment are where it can be seen, and stay within reach', async () => {
    expect(await loadShardCount(env.DB, environment)).toBe(2)
    const start = Date.now()
    await widen(5, 1)
    await widen(1, 2)
    const { settings } = await snapshot()
    const later = expect.toSatisfy(
      (since: number) => since >= start + LAYOUT_DELAY_MS && since <= Date.now() + LAYOUT_DELAY_MS,
    )
    expect(settings.layouts).toEqual([
      { since: 0, shards: 2 },
      { since: later, shards: 5 },
      { since: later, shards: 1 },
    ])
    expect(await loadShardCount(env.DB, environment)).toBe(5)
    expect((await api('GET', `/environments/${environment}`)).body).toMatchObject({ shards: 1 })
    expect(await loadShardCount(env.DB, 'nowhere')).toBe(2)
  })

  it('of a new environment hold at once', async () => {
    environment = await createEnvironment({ shards: 16 })
    expect((await snapshot()).settings.layouts).toEqual([{ since: 0, shards: 16 }])
    await measure(environment, MEASURED)
    expect(await shardsOf()).toEqual([['one', 16]])
  })

  it.each([0, 17, 2.5, '4'])('are not %s', async (shards) => {
    const answer = await api('PUT', `/environments/${environment}`, { name: 'x', shards }, from(1))
    expect(status(answer)).toEqual([400, 'malformed'])
  })
})
