import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { SERVER_KEY } from '../../scripts/demo-catalog.ts'

const START = resolve('scripts/start.ts')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise((done) => server.close(done))
  return typeof address === 'object' && address ? address.port : 0
}

/** Starts what `npm start` starts, in a folder of its own, and waits until it says that it runs. */
async function start(folder: string, port: number) {
  const child = spawn(process.execPath, [START], {
    env: { ...process.env, PORT: String(port), RAMPART_STATE: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const running = new Promise<void>((done, failed) => {
    child.once('exit', () => failed(new Error(output)))
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes('Ctrl-C stops it')) done()
      })
    }
  })
  await running
  return { child, output: () => output }
}

async function ask(port: number): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/ofrep/v1/evaluate/flags/dark-mode`, {
    method: 'POST',
    headers: { authorization: `Bearer ${SERVER_KEY}` },
  })
  return response.json()
}

it('keeps all data when it is killed outright, and starts again on the same port', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rampart-start-'))
  const port = await freePort()
  const first = await start(folder, port)
  expect(first.output()).toContain('with a demo shop in it')
  const url = `http://127.0.0.1:${port}/api/v1/flags/dark-mode/environments/production`
  const headers = {
    authorization: 'Bearer local-admin',
    'content-type': 'application/json',
    'if-match': '"2"',
  }
  const body = JSON.stringify({ enabled: true, fallthrough: { variant: 'off' } })
  expect((await fetch(url, { method: 'PUT', headers, body })).status).toBe(200)
  const exited = new Promise((done) => first.child.once('exit', done))
  first.child.kill('SIGKILL')
  await exited

  const second = await start(folder, port)
  expect(second.output()).toContain('with the data that it had')
  expect(await ask(port)).toMatchObject({ value: false, variant: 'off', reason: 'STATIC' })
  const stopped = new Promise((done) => second.child.once('exit', done))
  second.child.kill('SIGTERM')
  await stopped
  await expect(ask(port)).rejects.toThrow('fetch failed')
  await rm(folder, { recursive: true, force: true })
})
