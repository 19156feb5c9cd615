import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { CLIENT_KEY } from '../../scripts/demo-catalog.ts'
import { launch } from './browser.ts'
import { changeConfiguration, type Deployment, deploy } from './deployment.ts'

let deployment: Deployment
let browser: Browser
let page: Page
let faults: string[]

beforeAll(async () => {
  deployment = await deploy()
  browser = await launch()
})

afterAll(async () => {
  await browser.close()
  await deployment.remove()
})

beforeEach(async () => {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 } })
  page = await context.newPage()
  faults = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  await page.goto(deployment.url.origin)
  return () => context.close()
})

async function evaluate(key: string, context: object): Promise<void> {
  await page.getByLabel('Client key').fill(key)
  await page.getByLabel('Evaluation context').fill(JSON.stringify(context))
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
}

const row = (flag: string) => page.getByRole('row', { name: flag })

it('shows what a client gets for a context, and a change as it comes', async () => {
  await evaluate(CLIENT_KEY, { targetingKey: 'zoe', country: 'IS' })
  await expect.poll(() => row('free-shipping-threshold').innerText()).toMatch(/60\s+high\s+TARGETING_MATCH/)
  expect(await row('gift-cards').innerText()).toMatch(/the application’s default\s+—\s+DISABLED/)
  expect(await row('search-ranking').count()).toBe(0)
  await expect.poll(() => page.getByText('live', { exact: true }).count()).toBe(1)
  await changeConfiguration(deployment, 'dark-mode', 'production', { fallthrough: { variant: 'off' } })
  await expect.poll(() => row('dark-mode').innerText(), { timeout: 20_000 }).toMatch(/false\s+off\s+STATIC/)
  expect(faults).toEqual([])
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/dashboard.png` })
})

it('says so when a key is not known', async () => {
  await evaluate('rp_client_production_wrong', {})
  await expect.poll(() => page.getByRole('alert').innerText()).toBe('This key is not known.')
})

it('does not ask with a context that is no object', async () => {
  await page.getByLabel('Client key').fill(CLIENT_KEY)
  await page.getByLabel('Evaluation context').fill('[1]')
  expect(await page.getByRole('button', { name: 'Evaluate' }).isDisabled()).toBe(true)
  expect(await page.getByText('The context must be a JSON object.').count()).toBe(1)
})
