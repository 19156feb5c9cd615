// What a change costs: the free plan allows 50 queries in a request.
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { apiWith } from '../support/catalog.ts'
import { emptyDatabase } from '../support/database.ts'
import { api, from, ON_OFF, record, uniqueName } from '../support/worker.ts'

const MAX_QUERIES = 30

type Size = {
  readonly environments: number
  /** Of each flag that is named first, half of them segments, half of them prerequisites. */
  readonly references: number
  readonly flags: number
}

const SMALL: Size = { environments: 1, references: 4, flags: 5 }
const LARGE: Size = { environments: 3, references: 20, flags: 500 }

const numbered = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(3, '0')}`)
const segmentsOf = ({ references }: Size) => numbered(references / 2, 'segment')
const neededOf = ({ references }: Size) => numbered(references / 2, 'needed')

const OFF = {
  enabled: false,
  offVariant: null,
  prerequisites: [],
  targets: [],
  rules: [],
  fallthrough: { variant: 'on' },
}

const configured = (size: Size) => ({
  ...OFF,
  enabled: true,
  prerequisites: neededOf(size).map((flag) => ({ flag, variants: ['on'] })),
  rules: segmentsOf(size).map((segment) => ({ id: segment, when: { segment }, serve: { variant: 'on' } })),
})

/** A deployment of that size; the key of its first environment. */
async function setUp(size: Size): Promise<string> {
  await emptyDatabase()
  const environments = Array.from({ length: size.environments }, () => uniqueName('environment'))
  const flags = ['a', ...neededOf(size), ...numbered(size.flags - 1 - size.references / 2, 'other')]
  const document = {
    format: 'rampart-export',
    formatVersion: 1,
    exportedAt: 0,
    environments: environments.map((key) => ({
      key,
      name: key,
      segments: segmentsOf(size).map((segment) => ({ key: segment })),
      keys: [],
    })),
    flags: flags.map((key) => ({
      key,
      type: 'boolean',
      variants: ON_OFF,
      archivedAt: null,
      configurations: Object.fromEntries(
        environments.map((environment) => [environment, key === 'a' ? configured(size) : OFF]),
      ),
    })),
    members: [],
    tokens: [],
  }
  const { status, body } = await api('POST', '/import', document)
  if (status !== 200) throw new Error(JSON.stringify(body))
  return environments[0] ?? ''
}

type Change = readonly [method: string, path: string, json: unknown, revision: number]

const CHANGES: readonly (readonly [name: string, change: (environment: string, size: Size) => Change])[] = [
  ['a new flag', () => ['PUT', '/flags/new', { type: 'boolean', variants: ON_OFF }, 0]],
  ['a new metric', () => ['PUT', '/metrics/new', { event: 'pay', kind: 'count' }, 0]],
  [
    'what a flag is',
    () => ['PUT', '/flags/a', { type: 'boolean', variants: ON_OFF, clientVisible: true }, 1],
  ],
  ['an archived flag', () => ['POST', '/flags/a/archive', {}, 1]],
  ['a deleted flag', () => ['DELETE', '/flags/a', undefined, 1]],
  [
    'a configuration',
    (environment, size) => [
      'PUT',
      `/flags/a/environments/${environment}`,
      { ...configured(size), offVariant: 'off' },
      1,
    ],
  ],
  [
    'a segment',
    (environment, size) => [
      'PUT',
      `/environments/${environment}/segments/segment-000`,
      {
        condition: {
          any: segmentsOf(size)
            .slice(1)
            .map((segment) => ({ segment })),
        },
      },
      1,
    ],
  ],
  ['a new environment', () => ['PUT', '/environments/new', { name: 'x' }, 0]],
  [
    'a copied environment',
    (environment) => ['PUT', '/environments/new', { name: 'x', copyFrom: environment }, 0],
  ],
  ['a deleted environment', (environment) => ['DELETE', `/environments/${environment}`, undefined, 1]],
]

describe('what a change asks of the database', () => {
  it.each(CHANGES)(
    'is as much in a large deployment as in a small one, and little: %s',
    async (_, change) => {
      const queries: number[] = []
      for (const size of [SMALL, LARGE]) {
        const environment = await setUp(size)
        const [method, path, json, revision] = change(environment, size)
        const { bindings, calls } = record(env)
        const headers = { ...from(revision), 'idempotency-key': uniqueName('a-key-that-is-long-enough') }
        const answer = await apiWith(bindings, method, path, json, headers)
        expect([answer.status, answer.body]).toEqual([200, expect.anything()])
        queries.push(calls.filter((call) => call.startsWith('DB.prepare')).length)
        expect(calls.filter((call) => call === 'DB.batch')).toHaveLength(1)
      }
      const [small = 0, large] = queries
      expect(large).toBe(small)
      expect(small).toBeGreaterThan(5)
      expect(small).toBeLessThanOrEqual(MAX_QUERIES)
    },
  )
})
