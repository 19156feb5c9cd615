import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { METRICS } from '../../scripts/demo-catalog.ts'
import { isJsonObject } from '../../src/engine/json.ts'
import { createBatchId, formatBatchId } from '../../src/telemetry/events/batch-id.ts'
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

type Variables = { readonly [name: string]: string }

/** Splits a command as a shell does, as far as these commands need it: blanks, quotes and variables. */
function wordsOf(command: string, variables: Variables): string[] {
  const expand = (text: string) => text.replace(/\$([A-Z]+)/g, (whole, name) => variables[name] ?? whole)
  return [...command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(
      /'([^']*)'|"([^"]*)"|([^'"]+)/g,
      (_, single, double, plain) => single ?? expand(double ?? plain),
    ),
  )
}

/** Runs a curl command against the deployment, as it is written. */
async function run(command: string, variables: Variables = {}): Promise<Response> {
  const [, ...words] = wordsOf(command, variables)
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

const changed = { version: expect.any(Number), published: true }

describe('every command of the guides does what it says', () => {
  it('makes a first flag in five minutes', async () => {
    const answers = []
    for (const command of commandsOf('README.md')) {
      const response = await run(command)
      answers.push([response.status, await response.json()])
    }
    expect(answers).toEqual([
      [200, { revision: 1, environments: { production: changed, staging: changed } }],
      [200, { revision: 2, environments: { production: changed } }],
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
    const [single, bulk, snapshot] = await Promise.all(
      commandsOf('docs/evaluate.md').map((command) => run(command)),
    )
    expect(await single?.json()).toMatchObject({ key: 'checkout/error-copy', reason: 'SPLIT' })
    expect(bulk?.headers.get('etag')).toMatch(/^"[0-9a-z]+-[0-9a-z]+"$/)
    expect(await bulk?.json()).toMatchObject({ metadata: { flagSetId: 'production' } })
    expect(await snapshot?.json()).toMatchObject({ format: 1, environment: 'production', flags: {} })
  })

  it('counts events, and again under the same id', async () => {
    const answers: unknown[] = []
    const [first, again, beacon] = commandsOf('docs/events.md')
    const ids = [createBatchId(Date.now()), createBatchId(Date.now())].map(formatBatchId)
    for (const [command = '', ID = ''] of [
      [first, ids[0]],
      [again, ids[0]],
      [beacon, ids[1]],
    ]) {
      const response = await run(command, { ID })
      answers.push([response.status, await response.json()])
    }
    expect(answers).toEqual([
      [202, { accepted: 3, rejected: [expect.objectContaining({ index: 3, code: 'invalid_name' })] }],
      [202, { accepted: 1, rejected: [] }],
      [202, { accepted: 1, rejected: [] }],
    ])
  })

  it('makes channels', async () => {
    const [slack, webhook] = await Promise.all(
      commandsOf('docs/notifications.md').map(async (command) => (await run(command)).json()),
    )
    expect(slack).toMatchObject({ kind: 'slack', target: 'https://hooks.slack.com/…', enabled: true })
    expect(webhook).toMatchObject({ kind: 'webhook', secret: expect.stringMatching(/^whsec_/) })
  })

  it('exports everything, fills nothing but an empty deployment with it, and revokes no key that is not there', async () => {
    const [exporting = '', importing = '', revoking = ''] = commandsOf('docs/operations.md')
    const document = await run(exporting.replace('> rampart.json', ''))
    expect(document.status).toBe(200)
    const text = await document.text()
    expect(JSON.parse(text)).toMatchObject({ format: 'rampart-export', flags: expect.any(Array) })
    const imported = await run(importing.replace('@rampart.json', '$DOCUMENT'), { DOCUMENT: text })
    expect([imported.status, await imported.json()]).toMatchObject([409, { error: { code: 'not_empty' } }])
    const revoked = await run(revoking)
    expect([revoked.status, await revoked.json()]).toMatchObject([404, { error: { code: 'not_found' } }])
  })

  it('defines metrics, changes one and deletes one', async () => {
    const answers: (readonly [status: number, body: unknown])[] = []
    for (const command of commandsOf('docs/metrics.md')) {
      const response = await run(command)
      answers.push([response.status, await response.json()])
    }
    const everywhere = { production: changed, staging: changed }
    const demo = METRICS.map(({ key }) => ({ key })).sort((a, b) => (a.key < b.key ? -1 : 1))
    expect(answers).toMatchObject([
      [200, { revision: 1, environments: everywhere }],
      [200, { revision: 1, environments: everywhere }],
      [200, { revision: 2, environments: everywhere }],
      [200, { revisions: [{ differences: [{ text: 'cap is now 5000 (was 2000)' }] }, { revision: 1 }] }],
      [200, { metrics: [{ key: 'checkout-error', goodDirection: 'down', unit: 'user' }, ...demo] }],
      [200, { revision: 0, environments: everywhere }],
      [200, { revision: 2, environments: { staging: changed } }],
    ])
  })

  it('reads what was counted, and forgets somebody', async () => {
    const answers: (readonly [status: number, type: string | null])[] = []
    for (const command of commandsOf('docs/measure.md')) {
      const response = await run(command)
      await response.text()
      answers.push([response.status, response.headers.get('content-type')])
    }
    expect(answers).toEqual([
      [200, 'application/json'],
      [200, 'application/json'],
      [200, 'application/json'],
      [200, 'text/csv; charset=utf-8'],
      [200, 'text/csv; charset=utf-8'],
      [200, 'text/plain; version=0.0.4; charset=utf-8'],
      [200, 'application/json'],
      [200, 'application/json'],
    ])
  })

  it('builds a flag, a segment, a rule and a protected change from nothing', async () => {
    const variables: { [name: string]: string } = {}
    const bodies: { [field: string]: unknown }[] = []
    const statuses: number[] = []
    for (const command of commandsOf('docs/manage.md')) {
      const response = await run(command, variables)
      const body = (await response.json()) as { [field: string]: unknown }
      statuses.push(response.status)
      bodies.push(body)
      if (typeof body.token === 'string') variables[variables.ADA ? 'GRACE' : 'ADA'] = body.token
      const { changeRequest } = body
      if (isJsonObject(changeRequest)) variables.CHANGE = String(changeRequest.id)
    }
    expect(statuses).toEqual([
      201, 201, 200, 201, 200, 200, 200, 200, 200, 200, 202, 200, 200, 200, 202, 200, 200, 200,
    ])
    const [
      ,
      ,
      ,
      key,
      flag,
      ,
      rule,
      explanation,
      preview,
      ,
      ,
      approved,
      off,
      history,
      ,
      audit,
      verify,
      europe,
    ] = bodies
    expect(key?.key).toMatch(/^rp_server_europe_[0-9a-f]{32}$/)
    expect(flag).toMatchObject({ revision: 1, environments: { europe: changed } })
    expect(rule).toEqual({ revision: 2, environments: { europe: changed } })
    expect(explanation).toMatchObject({ evaluation: { variant: 'on', reason: 'TARGETING_MATCH' } })
    expect(preview).toMatchObject({
      splits: [
        { place: 'fallthrough', changed: 0.15, transitions: [{ from: 'off', to: 'on', share: 0.15 }] },
      ],
      warnings: [{ code: 'moves_units' }],
    })
    expect(approved).toMatchObject({
      changeRequest: {
        state: 'applied',
        author: { id: 'ada@example.com' },
        decidedBy: { id: 'grace@example.com' },
      },
      environments: { europe: changed },
    })
    expect(off).toMatchObject({ revision: 4 })
    expect(history).toMatchObject({
      revisions: [
        { revision: 4, actor: 'grace@example.com', differences: [{ text: 'switched off' }] },
        { revision: 3, actor: 'ada@example.com', comment: 'everybody' },
        { revision: 2, comment: 'friends first, and a tenth of the others' },
        { revision: 1 },
        { kind: 'flag', revision: 1 },
      ],
    })
    expect(audit).toMatchObject({ entries: [{ action: 'change_request.create' }, {}, {}, {}, {}] })
    expect(verify).toMatchObject({ broken: null })
    expect(europe).toMatchObject({ protected: true, propagation: { version: expect.any(Number) } })
    const answer = await fetch(new URL('/ofrep/v1/evaluate/flags/gift-wrapping', deployment.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${String(key?.key)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ context: { targetingKey: 'karl' } }),
    })
    expect(await answer.json()).toMatchObject({ reason: 'DISABLED', variant: 'off' })
  })

  it('rolls a feature out, watches it, steers it and takes it back', async () => {
    const variables: { [name: string]: string } = {}
    const answers: (readonly [status: number, body: unknown])[] = []
    for (const command of commandsOf('docs/rollouts.md')) {
      const response = await run(command, variables)
      const body: unknown = await response.json()
      answers.push([response.status, body])
      if (!isJsonObject(body)) continue
      if (response.status === 201 && body.state === 'draft') variables.ROLLOUT ??= String(body.id)
      if (typeof body.token === 'string') variables.TOKEN = body.token
    }
    expect(answers).toMatchObject([
      [200, { revision: 1 }],
      [200, { revision: 2, environments: { staging: changed } }],
      [200, { templates: expect.any(Array), guardrailSets: expect.any(Array) }],
      [201, { state: 'draft', revision: 1 }],
      [200, { state: 'draft', revision: 2, plan: { alpha: 0.05 } }],
      [200, { state: 'running', stage: 0, environments: { staging: changed } }],
      [200, { promise: { code: 'compares' }, stage: '10 %' }],
      [200, { decisions: expect.any(Array) }],
      [200, { rollouts: [{ id: variables.ROLLOUT }] }],
      [201, { kind: 'drill', result: { trip: { deed: 'rollback' } } }],
      [200, { state: 'paused' }],
      [200, { state: 'running' }],
      [200, { epoch: 2 }],
      [200, { stage: 0 }],
      [200, { stage: 1 }],
      [201, { role: 'signaller' }],
      [201, { kind: 'ci-green', passed: true }],
      [200, { state: 'rolled_back', environments: { staging: changed } }],
      [200, { disputedBy: 'admin' }],
      [201, { state: 'draft', retries: variables.ROLLOUT }],
      [200, { switchedOff: true, rollout: null }],
      [200, { features: [{ flag: 'gift-notes', cells: [{ audience: '', present: 0, planned: 100 }] }] }],
    ])
  })

  it('leads from the first event to the fire drill', async () => {
    const variables: { [name: string]: string } = { ID: formatBatchId(createBatchId(Date.now())) }
    const answers: (readonly [status: number, body: unknown])[] = []
    for (const command of commandsOf('docs/first-guarded-rollout.md')) {
      const response = await run(command, variables)
      const body: unknown = await response.json()
      answers.push([response.status, body])
      if (isJsonObject(body) && body.state === 'draft') variables.ID = String(body.id)
    }
    const everywhere = { production: changed, staging: changed }
    expect(answers).toMatchObject([
      [200, { key: 'quick-reorder', value: false }],
      [202, { accepted: 2, rejected: [] }],
      [200, {}],
      [200, { revision: 1, environments: everywhere }],
      [200, { revision: 1, environments: everywhere }],
      [201, { state: 'draft', flag: 'quick-reorder' }],
      [200, { state: 'draft', warnings: [] }],
      [
        201,
        {
          kind: 'drill',
          result: { trip: { deed: 'rollback', guardrail: 'reorder-errors-regression' } },
        },
      ],
      [200, { state: 'running', stage: 0, environments: { production: changed } }],
      [200, { decisions: [{ deed: 'advance', actor: 'admin' }] }],
      [409, { error: { code: 'no_traffic' } }],
    ])
  })
})
