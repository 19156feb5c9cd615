import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ADMIN_TOKEN, type Deployment, deploy } from './deployment.ts'

let deployment: Deployment

beforeAll(async () => {
  deployment = await deploy()
})

afterAll(() => deployment.remove())

/** The curl commands of a document, in order. */
function commandsOf(path: string): string[] {
  const fences = readFileSync(path, 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)
  return [...fences].flatMap(([, block = '']) =>
    block
      .replaceAll('\\\n', ' ')
      .split(/\n\s*(?=curl )/)
      .map((command) => command.trim())
      .filter((command) => command.startsWith('curl ')),
  )
}

/** Splits a command as a shell does, as far as these commands need it: blanks and single quotes. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
}

/** Runs a curl command against the deployment, as it is written. */
async function run(command: string): Promise<Response> {
  const [, ...words] = wordsOf(command)
  const headers = new Headers()
  let method: string | undefined
  let body: string | undefined
  let address = ''
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '-X') method = words.shift()
    else if (word === '-d') body = words.shift()
    else if (word === '-H') {
      const [name = '', value = ''] = (words.shift() ?? '').split(/: (.*)/)
      headers.set(name, value.replace('local-admin', ADMIN_TOKEN))
    } else if (!word.startsWith('-')) address = word
  }
  const url = address.replace('http://localhost:8787', deployment.url.origin)
  return fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers,
    ...(body === undefined ? {} : { body }),
  })
}

describe('every command of the guides does what it says', () => {
  it('makes a first flag in five minutes', async () => {
    const answers = []
    for (const command of commandsOf('README.md')) {
      const response = await run(command)
      answers.push([response.status, await response.json()])
    }
    const changed = { version: expect.any(Number), published: true }
    expect(answers).toEqual([
      [200, { production: changed, staging: changed }],
      [200, { production: changed }],
      [
        200,
        expect.objectContaining({
          key: 'loyalty-points',
          value: true,
          variant: 'on',
          reason: 'TARGETING_MATCH',
        }),
      ],
    ])
  })

  it('asks for flags', async () => {
    const [single, bulk, snapshot] = await Promise.all(commandsOf('docs/evaluate.md').map(run))
    expect(await single?.json()).toMatchObject({ key: 'checkout/error-copy', reason: 'SPLIT' })
    expect(bulk?.headers.get('etag')).toMatch(/^"[0-9a-z]+-[0-9a-z]+"$/)
    expect(await bulk?.json()).toMatchObject({ metadata: { flagSetId: 'production' } })
    expect(await snapshot?.json()).toMatchObject({ format: 1, environment: 'production', flags: {} })
  })

  it('refuses to revoke a key that does not exist', async () => {
    const [revoke = ''] = commandsOf('docs/operations.md')
    const response = await run(revoke)
    expect([response.status, await response.json()]).toMatchObject([404, { error: { code: 'not_found' } }])
  })
})
