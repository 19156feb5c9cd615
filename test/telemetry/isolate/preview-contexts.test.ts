import { expect, it } from 'vitest'
import { MIN_SEEN_CONTEXTS } from '../../../src/catalog/preview.ts'
import {
  api,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  evaluate,
  field,
  moveClock,
  stopClock,
  uniqueName,
} from '../../support/worker.ts'

const split = (on: number) => ({
  enabled: true,
  fallthrough: {
    split: {
      weights: [
        { variant: 'on', weight: on },
        { variant: 'off', weight: 100 - on },
      ],
    },
  },
})

it.each([
  ['contexts that were seen, where the environment keeps some', true, 'seen', MIN_SEEN_CONTEXTS],
  ['contexts that are made, where it keeps none', false, 'synthetic', 2_000],
])('a preview tries a draft on %s', async (_, keepContexts, source, size) => {
  stopClock()
  const environment = await createEnvironment({ keepContexts })
  const flag = uniqueName('flag')
  await createFlag(flag)
  await configure(environment, flag, split(10))
  const { key } = await createKey(environment)
  for (let unit = 0; unit < MIN_SEEN_CONTEXTS; unit++) {
    // At most one context a second is kept.
    moveClock(1_000)
    await evaluate(key, flag, { targetingKey: `unit-${unit}`, plan: 'free' })
  }
  await expect
    .poll(async () => {
      const path = `/flags/${flag}/environments/${environment}/preview`
      const { body } = await api('POST', path, split(20))
      const { sample } = Object(body)
      return [field(sample, 'source'), field(sample, 'size')]
    })
    .toEqual([source, size])
})
