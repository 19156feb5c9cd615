import { afterAll, beforeAll, expect, it } from 'vitest'
import { SERVER_KEY } from '../../scripts/demo-catalog.ts'
import { type Deployment, deploy } from './deployment.ts'

let deployment: Deployment

beforeAll(async () => {
  deployment = await deploy()
})

afterAll(() => deployment.remove())

async function versionAtTheEdge(): Promise<number> {
  const response = await fetch(new URL('/ofrep/v1/evaluate/flags?flagConfigEtag=1000000', deployment.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${SERVER_KEY}` },
  })
  return Number(response.headers.get('x-rampart-version'))
}

it('publishes by its cron what was committed and never published', async () => {
  const before = await versionAtTheEdge()
  const database = await deployment.miniflare.getD1Database('DB', 'rampart')
  await database.batch([
    database.prepare("UPDATE environments SET version = version + 1 WHERE key = 'production'"),
    database.prepare(
      `INSERT INTO outbox (kind, environment, version, created_at)
        SELECT 'publish', key, version, 0 FROM environments WHERE key = 'production'`,
    ),
  ])
  expect(await versionAtTheEdge()).toBe(before)
  await deployment.tick()
  expect(await versionAtTheEdge()).toBe(before + 1)
  // What rides along with another put is settled within a second.
  const owed = () => database.prepare('SELECT count(*) AS count FROM outbox').first<{ count: number }>()
  await expect.poll(owed, { timeout: 10_000 }).toEqual({ count: 0 })
})
