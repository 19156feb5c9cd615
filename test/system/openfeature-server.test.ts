import { OFREPProvider } from '@openfeature/ofrep-provider'
import { type Client, OpenFeature } from '@openfeature/server-sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLIENT_KEY, SERVER_KEY } from '../../scripts/demo-catalog.ts'
import { type Deployment, deploy } from './deployment.ts'

let deployment: Deployment

async function connect(key: string): Promise<Client> {
  const provider = new OFREPProvider({
    baseUrl: deployment.url.origin,
    headers: [['Authorization', `Bearer ${key}`]],
  })
  await OpenFeature.setProviderAndWait(key, provider)
  return OpenFeature.getClient(key)
}

beforeAll(async () => {
  deployment = await deploy()
})

afterAll(async () => {
  await OpenFeature.close()
  await deployment.remove()
})

describe('the published server SDK with its OFREP provider', () => {
  it('gets a boolean by a single target', async () => {
    const client = await connect(SERVER_KEY)
    const details = await client.getBooleanDetails('new-checkout', false, { targetingKey: 'ada' })
    expect(details).toMatchObject({
      flagKey: 'new-checkout',
      value: true,
      variant: 'on',
      reason: 'TARGETING_MATCH',
    })
    expect(details.flagMetadata).toEqual({ flagSetId: 'production', version: expect.stringMatching(/^\d+$/) })
  })

  it('gets a boolean by a segment in a segment', async () => {
    const client = await connect(SERVER_KEY)
    const context = { targetingKey: 'someone', email: 'someone@shop.example' }
    expect(await client.getBooleanDetails('new-checkout', false, context)).toMatchObject({
      value: true,
      reason: 'TARGETING_MATCH',
    })
    const excluded = { targetingKey: 'mallory', email: 'mallory@shop.example', country: 'XX' }
    expect(await client.getBooleanDetails('office-network-tools', true, excluded)).toMatchObject({
      value: false,
      reason: 'DEFAULT',
    })
  })

  it('gets a number by region', async () => {
    const client = await connect(SERVER_KEY)
    const values = []
    for (const country of ['DE', 'IS', 'BR']) {
      const { value, reason } = await client.getNumberDetails('free-shipping-threshold', 0, {
        targetingKey: 'a',
        country,
      })
      values.push([country, value, reason])
    }
    expect(values).toEqual([
      ['DE', 25, 'TARGETING_MATCH'],
      ['IS', 60, 'TARGETING_MATCH'],
      ['BR', 40, 'DEFAULT'],
    ])
  })

  it('gets a string from a split, always the same for the same unit, with the flag’s metadata', async () => {
    const client = await connect(SERVER_KEY)
    const ask = (targetingKey: string) => client.getStringDetails('search-ranking', 'none', { targetingKey })
    const first = await ask('customer-7')
    expect(first).toMatchObject({ reason: 'SPLIT', flagMetadata: { team: 'search', ticket: 'SHOP-412' } })
    expect((await ask('customer-7')).value).toBe(first.value)
    const variants = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => (await ask(`customer-${i}`)).variant),
    )
    expect(new Set(variants).size).toBeGreaterThan(1)
  })

  it('gets an object by instants and counts', async () => {
    const client = await connect(SERVER_KEY)
    const loyal = { targetingKey: 'a', customerSince: '2020-05-01T00:00:00Z', orders: 12 }
    expect(await client.getObjectDetails('hero-banner', {}, loyal)).toMatchObject({
      value: { title: 'Up to 40 % off', image: 'sale.avif', href: '/sale', badge: 'Sale' },
      variant: 'sale',
      reason: 'TARGETING_MATCH',
    })
    expect((await client.getObjectDetails('hero-banner', {}, { ...loyal, orders: 9 })).variant).toBe('spring')
  })

  it('gets an object by a version range', async () => {
    const client = await connect(SERVER_KEY)
    const context = { targetingKey: 'a', platform: 'android' }
    const forced = async (appVersion: string) =>
      (await client.getObjectDetails('app-min-version', {}, { ...context, appVersion })).variant
    expect([await forced('4.8.1'), await forced('4.8.2'), await forced('rubbish')]).toEqual([
      'forced',
      'current',
      'current',
    ])
  })

  it('answers a prerequisite that is not met with the off variant', async () => {
    const client = await connect(SERVER_KEY)
    expect((await client.getBooleanDetails('express-pay', false, { targetingKey: 'ada' })).value).toBe(true)
    const without = await client.getBooleanDetails('express-pay', true, {
      targetingKey: 'zoe',
      country: 'BR',
    })
    expect(without).toMatchObject({
      value: false,
      reason: 'DEFAULT',
      flagMetadata: { prerequisite: 'new-checkout' },
    })
  })

  it('answers a disabled flag with its off variant', async () => {
    const client = await connect(SERVER_KEY)
    expect(await client.getBooleanDetails('legacy-importer', true, { targetingKey: 'a' })).toMatchObject({
      value: false,
      variant: 'off',
      reason: 'DISABLED',
    })
  })

  it.each([
    ['a flag that does not exist', 'no-such-flag', {}, 'FLAG_NOT_FOUND'],
    ['a split without its unit', 'search-ranking', { country: 'BR' }, 'TARGETING_KEY_MISSING'],
  ])('answers the default and the error code for %s', async (_, flag, context, errorCode) => {
    const client = await connect(SERVER_KEY)
    expect(await client.getBooleanDetails(flag, true, context)).toMatchObject({
      value: true,
      reason: 'ERROR',
      errorCode,
    })
  })

  it('tells a type mismatch', async () => {
    const client = await connect(SERVER_KEY)
    const details = await client.getStringDetails('dark-mode', 'fallback', { targetingKey: 'a' })
    expect(details).toMatchObject({ value: 'fallback', reason: 'ERROR', errorCode: 'TYPE_MISMATCH' })
  })

  it('shows a client key what is visible to clients, and nothing else', async () => {
    const client = await connect(CLIENT_KEY)
    expect((await client.getBooleanDetails('dark-mode', false, { targetingKey: 'a' })).value).toBe(true)
    expect(await client.getStringDetails('search-ranking', 'none', { targetingKey: 'a' })).toMatchObject({
      value: 'none',
      errorCode: 'FLAG_NOT_FOUND',
    })
  })

  it('gets a flag whose key has a slash', async () => {
    const client = await connect(SERVER_KEY)
    const details = await client.getStringDetails('checkout/error-copy', '', {
      targetingKey: 'a',
      company: { id: 'c-1' },
    })
    expect(details.reason).toBe('SPLIT')
  })

  it('is refused with a key that does not exist', async () => {
    const client = await connect('rp_server_production_wrong')
    const details = await client.getBooleanDetails('dark-mode', false, { targetingKey: 'a' })
    expect(details).toMatchObject({ value: false, reason: 'ERROR' })
  })
})
