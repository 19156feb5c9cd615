import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Deployment, deploy } from './deployment.ts'

let deployment: Deployment

async function ask(path: string): Promise<unknown> {
  const consumer = await deployment.miniflare.getWorker('consumer')
  const response = await consumer.fetch(`http://consumer.test${path}`)
  return response.json()
}

beforeAll(async () => {
  const dist = resolve('test/system/consumer/dist')
  deployment = await deploy({
    beside: [
      {
        name: 'consumer',
        compatibilityDate: '2026-10-20',
        modules: [{ type: 'ESModule', path: resolve(dist, 'worker.js') }],
        modulesRoot: dist,
        serviceBindings: {
          FLAGS: { name: 'rampart', entrypoint: 'Flags', props: { environment: 'production' } },
        },
      },
    ],
  })
})

afterAll(() => deployment.remove())

it('answers another Worker that binds it where a Flagship binding would stand', async () => {
  expect(await ask('/direct')).toEqual({
    boolean: true,
    details: { flagKey: 'new-checkout', value: true, variant: 'on', reason: 'TARGETING_MATCH' },
    number: 25,
    string: expect.stringMatching(/^(Payment failed|Your bank said no)/),
    object: { title: 'Spring is here', image: 'spring.avif', href: '/spring' },
    value: 20,
    untyped: true,
    mismatch: {
      flagKey: 'dark-mode',
      value: 'none',
      reason: 'ERROR',
      errorCode: 'TYPE_MISMATCH',
      errorMessage: "the flag's value is not of the default's type, string",
    },
    missing: {
      flagKey: 'no-such-flag',
      value: true,
      reason: 'ERROR',
      errorCode: 'FLAG_NOT_FOUND',
      errorMessage: 'there is no flag of that key',
    },
  })
})

it('works with the published Flagship provider, unmodified', async () => {
  expect(await ask('/provider')).toMatchObject({
    boolean: { flagKey: 'new-checkout', value: true, variant: 'on', reason: 'TARGETING_MATCH' },
    number: 25,
    object: { title: 'Spring is here', image: 'spring.avif', href: '/spring' },
    missing: { value: true, reason: 'ERROR', errorCode: 'FLAG_NOT_FOUND' },
  })
})
