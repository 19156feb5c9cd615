import { beforeEach, expect, it } from 'vitest'
import { refusalOf } from '../support/actors.ts'
import { api, configure, createEnvironment, createFlag, field, from, uniqueName } from '../support/worker.ts'

const WEIGHTS = [
  { variant: 'on', weight: 10 },
  { variant: 'off', weight: 90 },
]
const SPLIT = { split: { weights: WEIGHTS, by: 'targetingKey', seed: 'seed-1' } }
const SERVED = { variant: 'on' }

let path = ''

async function configured(draft: object): Promise<void> {
  const environment = await createEnvironment()
  const flag = uniqueName('flag')
  await createFlag(flag)
  await configure(environment, flag, draft)
  path = `/flags/${flag}/environments/${environment}`
}

const patch = (changes: object, revision = 2) => api('PATCH', path, changes, from(revision))
const stored = async () => (await api('GET', path)).body

beforeEach(() => configured({ offVariant: 'off', fallthrough: SPLIT }))

it('changes what it names, and keeps the rest', async () => {
  expect((await patch({ enabled: false, comment: 'why' })).status).toBe(200)
  expect(await stored()).toMatchObject({ enabled: false, offVariant: 'off', fallthrough: SPLIT, revision: 3 })
})

it('takes away what it names null', async () => {
  expect((await patch({ offVariant: null })).status).toBe(200)
  expect(await stored()).toMatchObject({ enabled: true, offVariant: null, fallthrough: SPLIT })
})

const sameSplit = (on: number) => ({
  split: { ...SPLIT.split, weights: [{ variant: 'on', weight: on }, WEIGHTS[1]] },
})

it.each<[name: string, before: object, change: object, after: object]>([
  ['a split becomes one variant', SPLIT, SERVED, SERVED],
  ['one variant becomes a split', SERVED, SPLIT, SPLIT],
  ['one variant becomes another', SERVED, { variant: 'off' }, { variant: 'off' }],
  [
    'a split gets other weights and keeps its seed',
    SPLIT,
    { split: { weights: sameSplit(30).split.weights } },
    sameSplit(30),
  ],
])('%s', async (_, before, fallthrough, after) => {
  await configured({ fallthrough: before })
  expect((await patch({ fallthrough, allowMoves: true })).status).toBe(200)
  expect(field(await stored(), 'fallthrough')).toEqual(after)
})

it.each([
  ['both a variant and a split', { fallthrough: { ...SERVED, ...SPLIT } }],
  ['no fallthrough', { fallthrough: null }],
  ['a field that is none', { enabeld: false }],
])('is refused with %s', async (_, changes) => {
  expect(refusalOf(await patch(changes))).toEqual([422, 'invalid'])
})
