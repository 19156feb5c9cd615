// The page that links in messages lead to, as a phone shows it.
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { launch } from './browser.ts'
import { changeConfiguration, type Deployment, deploy } from './deployment.ts'

const FLAG = 'loyalty-points'

let deployment: Deployment
let browser: Browser
let page: Page
let faults: string[]
let rollout: string
let grace: string

async function manage(method: string, path: string, body?: unknown, headers?: HeadersInit) {
  const response = await deployment.manage(method, `/api/v1${path}`, body, headers)
  const answer = (await response.json()) as { readonly [field: string]: unknown }
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`)
  return answer
}

const tokenFor = async (owner: string, role: string) => {
  const { token } = await manage('POST', '/tokens', { name: 'phone', owner, role, environments: null })
  return String(token)
}

beforeAll(async () => {
  deployment = await deploy()
  browser = await launch()
  const variants = [
    { name: 'on', value: true },
    { name: 'off', value: false },
  ]
  await manage('PUT', `/flags/${FLAG}`, { type: 'boolean', variants }, { 'if-none-match': '*' })
  await changeConfiguration(deployment, FLAG, 'production', {
    enabled: true,
    offVariant: 'off',
    fallthrough: { variant: 'off' },
  })
  grace = await tokenFor('grace@example.com', 'releaser')
  const plan = {
    flag: FLAG,
    environment: 'production',
    variant: 'on',
    stages: [
      { name: 'a tenth', percentage: 10, hold: '1h' },
      { name: 'half', percentage: 50, hold: '1h', approval: true },
      { name: 'all', percentage: 100, hold: '0s' },
    ],
    guardrails: [{ metric: 'checkout-errors', test: 'regression' }],
  }
  rollout = String((await manage('POST', '/rollouts', { plan })).id)
  await manage('POST', `/rollouts/${rollout}/start`, { force: true, comment: 'first look' })
  await deployment.tick()
})

afterAll(async () => {
  await browser.close()
  await deployment.remove()
})

beforeEach(async () => {
  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, hasTouch: true })
  page = await context.newPage()
  faults = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  return () => context.close()
})

async function open(fragment = ''): Promise<void> {
  await page.goto(`${deployment.url.origin}/rollouts/${rollout}${fragment}`)
}

/** Signs in with a token; before it, nobody is recognised, and browsers write that down as an error. */
async function signIn(token: string): Promise<void> {
  await page.getByLabel('Your management token').fill(token)
  expect(faults.splice(0)).toEqual([expect.stringContaining('401')])
  await page.getByRole('button', { name: 'Go on' }).click()
}

const button = (name: string) => page.getByRole('button', { name, exact: true })
const state = () => manage('GET', `/rollouts/${rollout}`).then((found) => found.state)

async function lastDecision(): Promise<object> {
  const { decisions } = await manage('GET', `/rollouts/${rollout}/timeline?limit=1`)
  return (decisions as object[])[0] ?? {}
}

async function screenshot(name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true })
}

it('shows nothing to nobody, and says so of a token that is not known', async () => {
  await open()
  await signIn('rp_token_000000000000_00000000000000000000000000000000')
  await expect.poll(() => page.getByRole('alert').innerText()).toBe('This token is not known.')
  expect(await page.getByText(FLAG).count()).toBe(0)
})

it('opens what a link asks for, and does nothing before it is confirmed with a reason', async () => {
  await open('#approve')
  await signIn(grace)
  const dialog = page.getByRole('dialog')
  await expect.poll(() => dialog.innerText()).toContain('“half” may begin: 50 % get “on”')
  expect(await button('Approve now').isDisabled()).toBe(true)
  await dialog.getByLabel('Why').fill('  ')
  expect(await button('Approve now').isDisabled()).toBe(true)
  await button('Cancel').click()
  await expect.poll(() => dialog.count()).toBe(0)
  await expect.poll(() => page.url()).not.toContain('#')
  expect(await manage('GET', `/rollouts/${rollout}`)).toMatchObject({
    state: 'running',
    stages: [{}, { name: 'half', needsApproval: true }, {}],
  })
  await screenshot('rollout')

  await expect.poll(() => page.getByRole('heading', { level: 1 }).innerText()).toBe(FLAG)
  expect(await page.getByText('Running', { exact: true }).count()).toBe(1)
  expect(await page.getByText('“first look”').count()).toBe(1)
  expect(await page.getByText('Treatment is held against control').count()).toBe(1)
  expect(await page.getByRole('listitem').filter({ hasText: 'checkout-errors' }).count()).toBe(1)
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
  expect(faults).toEqual([])
})

it('approves, pauses, resumes and takes back, each with its reason under the name of who did it', async () => {
  await open()
  await signIn(grace)
  const decide = async (deed: string, confirm: string, why: string) => {
    await button(deed).click()
    await page.getByLabel('Why').fill(why)
    await screenshot(`rollout-${deed.toLowerCase().replace(' ', '-')}`)
    await button(confirm).click()
    await expect.poll(() => page.getByText(`“${why}”`).count()).toBe(1)
    expect(await lastDecision()).toMatchObject({ comment: why, actor: 'grace@example.com' })
  }
  await decide('Approve', 'Approve now', 'numbers look right')
  await expect.poll(() => button('Approve').count()).toBe(0)
  await decide('Pause', 'Pause now', 'lunch')
  expect(await state()).toBe('paused')
  await decide('Resume', 'Resume now', 'back again')
  expect(await state()).toBe('running')
  await decide('Roll back', 'Roll back now', 'customers complain')
  expect(await state()).toBe('rolled_back')
  await expect.poll(() => page.getByText('Taken back', { exact: true }).count()).toBe(1)
  expect(await button('Roll back').count()).toBe(0)
  await screenshot('rollout-taken-back')
  expect(faults).toEqual([])
})

it('opens the incident that the rollback was, and says who looks after it', async () => {
  const { incidents } = await manage('GET', `/incidents?environment=production&flag=${FLAG}`)
  const [incident] = incidents as { id: string }[]
  await page.goto(`${deployment.url.origin}/incidents/${incident?.id}#acknowledge`)
  await signIn(grace)
  await page.getByLabel('What you do now').fill('I ask the provider')
  await screenshot('incident-acknowledge')
  await button('Acknowledge now').click()
  await expect.poll(() => page.getByText('grace@example.com looks after it.').count()).toBe(1)
  expect(await manage('GET', `/incidents/${incident?.id}`)).toMatchObject({
    state: 'acknowledged',
    acknowledgedBy: 'grace@example.com',
  })
  await button('Resolve').click()
  await page.getByLabel('How it ended').fill('The provider was changed back.')
  await button('Resolve now').click()
  await expect.poll(() => page.getByText('Resolved', { exact: true }).count()).toBe(1)
  await screenshot('incident')
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
  await page.getByRole('link', { name: `The rollout of ${FLAG}` }).click()
  await expect.poll(() => page.getByText('Taken back', { exact: true }).count()).toBe(1)
  expect(faults).toEqual([])
})

it('keeps the token for the tab alone', async () => {
  await open()
  await signIn(grace)
  await expect.poll(() => page.getByText('You are grace@example.com').count()).toBe(1)
  await page.reload()
  await expect.poll(() => page.getByText('You are grace@example.com').count()).toBe(1)
  expect(await page.evaluate('JSON.stringify(localStorage) + document.cookie')).toBe('{}')
  await button('Forget the token').click()
  await expect.poll(() => page.getByLabel('Your management token').count()).toBe(1)
  const second = await page.context().newPage()
  await second.goto(page.url())
  await expect.poll(() => second.getByLabel('Your management token').count()).toBe(1)
})
