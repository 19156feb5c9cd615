// `npm run demo` as a user runs it: a process of its own against the running server.
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ADMIN_TOKEN, type Deployment, deploy } from './deployment.ts'

const SCRIPT = resolve(import.meta.dirname, '../../scripts/demo.ts')

let deployment: Deployment

beforeAll(async () => {
  deployment = await deploy()
})

afterAll(() => deployment.remove())

function runDemo(
  ...options: readonly string[]
): Promise<{ readonly code: number | null; readonly text: string }> {
  const { origin } = deployment.url
  const demo = spawn(process.execPath, [SCRIPT, '--url', origin, '--token', ADMIN_TOKEN, ...options])
  let text = ''
  demo.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  demo.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return new Promise((done) => demo.on('close', (code) => done({ code, text })))
}

it('starts its rollouts, lets customers in and says how both are', async () => {
  const { code, text } = await runDemo('--seconds', '20', '--customers', '60', '--worse-after', '15')
  expect([code, text]).toEqual([0, expect.stringContaining('From now on the new checkout is worse.')])
  expect(text).toMatch(/^quick-reorder: running, 10 %; /m)
  expect(text).toMatch(/^new-checkout: running, 10 %; /m)
  const screens = [...text.matchAll(/checkouts-regression: fine, treated ([\d,]+) of ([\d,]+), control/g)]
  const [, hits = '', units = ''] = screens.at(-1) ?? []
  expect(Number(hits)).toBeGreaterThan(0)
  // A tenth of those who came, while the clock has read at least one block of ten seconds.
  expect(Number(units.replace(',', ''))).toBeGreaterThan(10)
})
