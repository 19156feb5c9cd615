import { resolve } from 'node:path'
import type { Browser, Page, Request, Response } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CLIENT_KEY } from '../../scripts/demo-catalog.ts'
import { launch, serve } from './browser.ts'
import { changeConfiguration, type Deployment, deploy } from './deployment.ts'

let deployment: Deployment
let browser: Browser
let site: Awaited<ReturnType<typeof serve>>
let page: Page
let bulk: Response[]
let requests: Request[]

beforeAll(async () => {
  deployment = await deploy()
  browser = await launch()
  site = await serve(resolve('test/system/page/dist'))
})

afterAll(async () => {
  await browser.close()
  site.close()
  await deployment.remove()
})

beforeEach(async () => {
  const context = await browser.newContext()
  page = await context.newPage()
  bulk = []
  requests = []
  page.on('request', (request) => requests.push(request))
  page.on('response', (response) => {
    const isBulk =
      response.url().includes('/ofrep/v1/evaluate/flags') && response.request().method() === 'POST'
    if (isBulk) bulk.push(response)
  })
  await page.goto(site.origin)
  return () => context.close()
})

async function connect(context: { readonly [name: string]: string }): Promise<void> {
  await page.waitForFunction('typeof window.connect === "function"')
  await page.evaluate(
    `window.connect(${[deployment.url.origin, CLIENT_KEY, context].map((x) => JSON.stringify(x)).join()})`,
  )
}

/** What the client answers for a flag, as the page sees it. */
async function details(method: string, flag: string, fallback: unknown): Promise<unknown> {
  const call = `window.openFeature.getClient().${method}(${JSON.stringify(flag)}, ${JSON.stringify(fallback)})`
  return page.evaluate(call)
}

describe('the published web SDK with its OFREP provider, in a browser on another origin', () => {
  it('gets flags of all four types with their reasons', async () => {
    await connect({ targetingKey: 'ada', country: 'DE' })
    expect(await details('getBooleanDetails', 'new-checkout', false)).toMatchObject({
      value: true,
      variant: 'on',
      reason: 'TARGETING_MATCH',
    })
    expect(await details('getNumberDetails', 'free-shipping-threshold', 0)).toMatchObject({ value: 25 })
    expect(await details('getStringDetails', 'recommendations', 'none')).toMatchObject({ reason: 'SPLIT' })
    expect(await details('getObjectDetails', 'hero-banner', {})).toMatchObject({
      value: { title: 'Spring is here', image: 'spring.avif', href: '/spring' },
      reason: 'DEFAULT',
    })
  })

  it('keeps the page’s default for a disabled flag without an off variant', async () => {
    await connect({ targetingKey: 'ada' })
    expect(await details('getBooleanDetails', 'gift-cards', true)).toMatchObject({
      value: true,
      reason: 'DISABLED',
    })
  })

  it('tells errors: a flag that clients may not see, a split without its unit, a wrong type', async () => {
    await connect({ targetingKey: 'ada' })
    expect(await details('getStringDetails', 'search-ranking', 'none')).toMatchObject({
      value: 'none',
      errorCode: 'FLAG_NOT_FOUND',
    })
    expect(await details('getStringDetails', 'checkout/error-copy', 'none')).toMatchObject({
      value: 'none',
      errorCode: 'TARGETING_KEY_MISSING',
    })
    expect(await details('getStringDetails', 'dark-mode', 'none')).toMatchObject({
      value: 'none',
      errorCode: 'TYPE_MISMATCH',
    })
  })

  it('answers anew when the context changes, and 304 when the result does not', async () => {
    await connect({ targetingKey: 'ada', country: 'BR' })
    expect(await details('getNumberDetails', 'free-shipping-threshold', 0)).toMatchObject({ value: 40 })
    await page.evaluate(`window.openFeature.setContext({ targetingKey: 'ada', country: 'IS' })`)
    // The provider shows what it had for this targeting key until the new answer is there.
    await expect
      .poll(async () => details('getNumberDetails', 'free-shipping-threshold', 0))
      .toMatchObject({ value: 60 })
    const before = bulk.length
    await page.evaluate(`window.openFeature.setContext({ targetingKey: 'ada', country: 'IS', page: 'home' })`)
    await expect.poll(() => bulk.length).toBeGreaterThan(before)
    expect(bulk.at(-1)?.status()).toBe(304)
    expect(await details('getNumberDetails', 'free-shipping-threshold', 0)).toMatchObject({ value: 60 })
  })

  it('sees a change by its stream, without a reload, and never puts its key in a URL', async () => {
    await connect({ targetingKey: 'zoe', country: 'BR' })
    expect(await details('getNumberDetails', 'reviews-per-page', 0)).toMatchObject({ value: 20 })
    await expect.poll(() => requests.some((request) => request.url().includes('/ofrep/v1/stream'))).toBe(true)
    await changeConfiguration(deployment, 'reviews-per-page', 'production', {
      fallthrough: { variant: 'ten' },
    })
    await expect
      .poll(async () => details('getNumberDetails', 'reviews-per-page', 0), {
        timeout: 20_000,
        interval: 250,
      })
      .toMatchObject({ value: 10 })
    expect(requests.map((request) => request.url()).filter((url) => url.includes(CLIENT_KEY))).toEqual([])
    expect(await page.evaluate('window.changes')).toBeGreaterThan(0)
  })
})
