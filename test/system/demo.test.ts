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

it('shows what is counted of its customers, by variant and arm', async () => {
  const { code, text } = await runDemo('--seconds', '5', '--customers', '60', '--worse')
  expect([code, text]).toEqual([0, expect.stringContaining('the new checkout is worse')])
  const customers = (arm: string) => Number(new RegExp(`^${arm} +\\S+ +\\S+ +(\\d+)`, 'm').exec(text)?.[1])
  const [treated, control] = [customers('treatment'), customers('control')]
  // A tenth of some three hundred.
  expect(treated).toBeGreaterThan(5)
  expect(control).toBeGreaterThan(3 * treated)
})
