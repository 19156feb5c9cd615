// Who may do what, asked of the real routes and kept in step with docs/security.md. After a change that is meant:
// `npm test -- --project worker test/http/authority.test.ts -u` writes the table anew.
import { beforeAll, describe, expect, it } from 'vitest'
import security from '../../docs/security.md?raw'
import { includesRole, ROLES, type Role } from '../../src/access/actor.ts'
import { serveIdentities } from '../support/access.ts'
import { readTables, type Tables, writeTables } from '../support/tables.ts'
import { ON_OFF } from '../support/worker.ts'
import { OPERATIONS, type Operation } from './document.ts'
import { createFixture, ELSEWHERE, type Fixture, FLAG, GUARDED, OWN, protect } from './fixture.ts'
import { joinAll, type People, send } from './requests.ts'
import { CASES, type RouteCase } from './route-cases.ts'

type Outcome = 'yes' | 'waits' | '–'
type Actor = 'nobody' | Role

const ACTORS: readonly Actor[] = ['nobody', ...ROLES]
const RISING: readonly Outcome[] = ['–', 'waits', 'yes']

/** In which environment, who reaches it, and which ones are protected. */
const PLACES = [
  { environment: OWN, reach: 'everywhere', guarded: [] },
  { environment: GUARDED, reach: 'everywhere', guarded: [GUARDED] },
  { environment: ELSEWHERE, reach: 'limited', guarded: [] },
] as const

/** What a route answers otherwise than its row says. */
const EXCEPTIONS: readonly (readonly [name: string, route: string, ask: RouteCase['ask']])[] = [
  [
    'of a new flag',
    'PUT /api/v1/flags/{flag}',
    () => ({ path: { flag: 'new' }, json: { type: 'boolean', variants: ON_OFF }, revision: 0 }),
  ],
  [
    'of a new metric',
    'PUT /api/v1/metrics/{metric}',
    () => ({ path: { metric: 'new' }, json: { event: 'pay', kind: 'count' }, revision: 0 }),
  ],
  [
    'as an emergency',
    'PATCH /api/v1/flags/{flag}/environments/{environment}',
    (environment) => ({
      path: { flag: FLAG, environment },
      json: { enabled: false, emergency: true },
      revision: 2,
    }),
  ],
]

type Line = { readonly name: string; readonly operation: Operation; readonly route: RouteCase }

const LINES: readonly Line[] = OPERATIONS.flatMap((operation) => {
  const route = CASES[operation.route]
  if (!route) return []
  const name = `\`${operation.route.replace('/api/v1/', '')}\``
  const exceptions = EXCEPTIONS.filter(([, exceptional]) => exceptional === operation.route)
  return [
    { name, operation, route },
    ...exceptions.map(([kind, , ask]) => ({ name: `${name} ${kind}`, operation, route: { ...route, ask } })),
  ]
})

const identities = serveIdentities()
let fixture: Fixture
let people: People
let tables: Tables

beforeAll(async () => {
  fixture = await createFixture()
  people = await joinAll(identities)
  tables = await readTables()
})

const matrix = new Map<string, readonly (readonly Outcome[])[]>()

async function outcomeOf(
  { operation, route }: Line,
  actor: Actor,
  { environment, reach, guarded }: (typeof PLACES)[number],
): Promise<Outcome> {
  await protect(...guarded)
  await route.prepare?.()
  const as = actor === 'nobody' ? undefined : people[actor][reach]
  const { status, body } = await send(operation, route.ask(environment, fixture), as)
  if (operation.method !== 'GET') await writeTables(tables)
  if (status === 202) return 'waits'
  if (status === (route.status ?? 200)) return 'yes'
  if (status === 401 || status === 403 || status === 404) return '–'
  throw new Error(`neither allowed nor refused: ${status} ${JSON.stringify(body)}`)
}

describe.each(LINES.map((line) => [line.name, line] as const))('%s', (name, line) => {
  it('gives a higher role no less, and nobody anything', async () => {
    const outcomes: (readonly Outcome[])[] = []
    for (const actor of ACTORS) {
      const places: Outcome[] = []
      for (const place of PLACES) places.push(await outcomeOf(line, actor, place))
      outcomes.push(places)
    }
    matrix.set(name, outcomes)
    const rank = (actor: Actor, place: number) =>
      RISING.indexOf(outcomes[ACTORS.indexOf(actor)]?.[place] ?? '–')
    for (const place of PLACES.keys()) {
      expect(rank('nobody', place)).toBe(0)
      for (const role of ROLES) {
        const lower = ROLES.filter((other) => includesRole(role, other))
        expect(Math.max(...lower.map((other) => rank(other, place)))).toBe(rank(role, place))
      }
    }
    expect(outcomes.at(-1)?.[0]).toBe('yes')
  })
})

function cellOf(places: readonly Outcome[]): string {
  return new Set(places).size === 1 ? String(places[0]) : places.join(' · ')
}

it('stands in docs/security.md', async () => {
  const rows = [...matrix].map(([name, outcomes]) => [name, ...outcomes.map(cellOf)])
  const table = [['', ...ACTORS], ['---', ...ACTORS.map(() => '---')], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
  const section = /(?<=<!-- who may do what -->\n)[\s\S]*(?=<!-- end -->)/
  await expect(security.replace(section, () => `\n${table}\n\n`)).toMatchFileSnapshot(
    '../../docs/security.md',
  )
})
