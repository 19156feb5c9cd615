// A valid request for every management route. A route without a row here fails the tests, and so does a row without
// its route.
import { env } from 'cloudflare:workers'
import type { Role } from '../../src/access/actor.ts'
import { ON_OFF } from '../support/worker.ts'
import {
  ARCHIVED,
  BASE,
  DELIVERIES,
  type Fixture,
  FLAG,
  GUARDED,
  MEASUREMENT,
  MEMBER,
  METRIC,
  OWN,
  RAMPED,
  type Rollouts,
  SEGMENT,
  SPARE,
  SPARE_METRIC,
  SPARE_SEGMENT,
  TOKEN_ID,
} from './fixture.ts'

/** What is asked for. */
export type Ask = {
  /** The parameters of the path. */
  readonly path?: { readonly [name: string]: string }
  readonly query?: { readonly [name: string]: string }
  readonly json?: { readonly [field: string]: unknown }
  /** What it was made from. */
  readonly revision?: number | undefined
}

type Code = readonly [status: number, code: string]

export type RouteCase = {
  /** The least role that may, where nothing is protected. */
  readonly role: Role
  /** What it touches is named by the environment; a flag is in all of them. */
  readonly ask: (environment: string, fixture: Fixture) => Ask
  /** When it is done; left out: 200. */
  readonly status?: number
  /** How it answers who does not reach the environment; null: with what they do reach. */
  readonly elsewhere: Code | null
  /** How it answers where a parameter of the path names nothing; left out: 404 `not_found`. */
  readonly unknown?: { readonly [parameter: string]: Code }
  /** How it answers a field that it does not know; left out: 400 `malformed`. */
  readonly unknownField?: Code
  /** What must be so before it can be done. */
  readonly prepare?: () => Promise<unknown>
  /** The largest body in bytes; left out: 4 MiB. */
  readonly maxBytes?: number
  /** Whether it is answered without the database, or begins to be. */
  readonly needsNoDatabase?: boolean
}

const WRONG_ENVIRONMENT: Code = [403, 'wrong_environment']
const NOT_FOUND: Code = [404, 'not_found']
/** What is put where nothing is has another revision than the request says. */
const STALE: Code = [412, 'stale']

const notes = { description: 'Another', tags: [], owner: '', temporary: true }
const definition = { type: 'boolean', variants: ON_OFF, clientVisible: true, ...notes }
const configuration = { enabled: true, offVariant: 'off', fallthrough: { variant: 'on' } }

const measured = (environment: string) => ({ path: { environment, measurement: MEASUREMENT } })

const emptyDeployment = () =>
  env.DB.batch(
    ['environments', 'flags', 'flag_configurations', 'segments', 'keys', 'metrics', 'entity_references'].map(
      (table) => env.DB.prepare(`DELETE FROM ${table}`),
    ),
  )

/** Where a rollout goes on, another one does not start, and the environment is not deleted. */
const endRollouts = () =>
  env.DB.prepare("UPDATE rollouts SET state = 'cancelled' WHERE state = 'running'").run()

/** Brings the rollouts that run to where a request finds them. */
const bringRunning = (progress: object) =>
  env.DB.prepare(
    `UPDATE rollouts SET progress = json_patch(progress, ?1), state = coalesce(?1 ->> 'state', state)
      WHERE state = 'running'`,
  )
    .bind(JSON.stringify(progress))
    .run()

/** An exported document of one environment and one flag. */
const EXPORTED = {
  format: 'rampart-export',
  formatVersion: 1,
  exportedAt: 1_795_000_000_000,
  environments: [
    {
      key: 'imported',
      name: 'Imported',
      refreshSeconds: 30,
      protected: false,
      keepContexts: false,
      contextKeys: [],
      shards: 2,
      segments: [{ key: 'beta', description: '', condition: null, included: ['ada'], excluded: [] }],
      keys: [],
    },
  ],
  flags: [
    {
      key: 'imported',
      ...definition,
      metadata: {},
      archivedAt: null,
      configurations: { imported: { ...configuration, prerequisites: [], targets: [], rules: [] } },
    },
  ],
  metrics: [{ key: 'imported', event: 'pay', kind: 'count' }],
  members: [],
  tokens: [],
}

const read = (ask: RouteCase['ask'], elsewhere: Code | null = WRONG_ENVIRONMENT): RouteCase => ({
  role: 'viewer',
  ask,
  elsewhere,
})

const change = (ask: RouteCase['ask'], others: Partial<RouteCase> = {}): RouteCase => ({
  role: 'developer',
  ask,
  elsewhere: WRONG_ENVIRONMENT,
  ...others,
})

const administer = (ask: RouteCase['ask'], others: Partial<RouteCase> = {}): RouteCase =>
  change(ask, { role: 'admin', ...others })

const decide: RouteCase = {
  role: 'releaser',
  ask: (environment, { changeRequests }) => ({
    path: { id: changeRequests[environment] ?? '' },
    json: { comment: 'Looks right' },
  }),
  // Who does not reach it is not told that it is there.
  elsewhere: NOT_FOUND,
}

const CHANNEL = { name: 'On call', events: ['rollout.rolled_back', 'incident.opened'] }

/** What is done with a channel; who does not reach it is not told that it is there. */
const ofChannel = (more: Omit<Ask, 'path'>, others: Partial<RouteCase> = {}): RouteCase => ({
  role: 'releaser',
  ask: (environment, { channels }) => ({ path: { id: channels[environment] ?? '' }, ...more }),
  elsewhere: NOT_FOUND,
  ...others,
})

/** What is done with an incident; who does not reach it is not told that it is there. */
const ofIncident = (more: Omit<Ask, 'path'>, others: Partial<RouteCase> = {}): RouteCase => ({
  role: 'developer',
  ask: (environment, { incidents }) => ({ path: { id: incidents[environment] ?? '' }, ...more }),
  elsewhere: NOT_FOUND,
  ...others,
})

/** What is done with a rollout; who does not reach it is not told that it is there. */
const ofRollout = (
  which: Exclude<keyof Rollouts, 'decision'>,
  more: Omit<Ask, 'path'> = {},
  others: Partial<RouteCase> = {},
): RouteCase => ({
  role: 'releaser',
  ask: (environment, { rollouts }) => ({ path: { id: rollouts[environment]?.[which] ?? '' }, ...more }),
  elsewhere: NOT_FOUND,
  ...others,
})

const doing = (
  which: Exclude<keyof Rollouts, 'decision'>,
  json: object = {},
  others: Partial<RouteCase> = {},
) => ofRollout(which, { json: { comment: 'Because', ...json } }, others)

/** The cases, by route as the document has it. */
export const CASES: { readonly [route: string]: RouteCase } = {
  'GET /api/v1/me': { ...read(() => ({}), null), needsNoDatabase: true },

  'GET /api/v1/tokens': read(() => ({}), null),
  'POST /api/v1/tokens': {
    role: 'viewer',
    ask: (environment) => ({ json: { name: 'CI', role: 'viewer', environments: [environment] } }),
    status: 201,
    elsewhere: WRONG_ENVIRONMENT,
  },
  'DELETE /api/v1/tokens/{id}': {
    role: 'viewer',
    ask: () => ({ path: { id: TOKEN_ID } }),
    // Somebody else's: an administrator of everything alone may, and is told that it is there.
    elsewhere: NOT_FOUND,
  },

  'GET /api/v1/members': { role: 'admin', ask: () => ({}), elsewhere: null },
  'GET /api/v1/members/{id}': { role: 'admin', ask: () => ({ path: { id: MEMBER } }), elsewhere: null },
  'PUT /api/v1/members/{id}': administer(
    () => ({ path: { id: MEMBER }, json: { role: 'viewer', environments: [OWN] }, revision: 1 }),
    { unknown: { id: STALE } },
  ),
  'DELETE /api/v1/members/{id}': administer(() => ({ path: { id: MEMBER }, revision: 1 })),

  'GET /api/v1/audit': read((environment) => ({ query: { environment } })),
  'GET /api/v1/audit/export': { ...administer(() => ({})), needsNoDatabase: true },
  'GET /api/v1/audit/verify': read(() => ({})),

  'GET /api/v1/environments': read(() => ({}), null),
  'GET /api/v1/environments/{environment}': read((environment) => ({ path: { environment } })),
  'PUT /api/v1/environments/{environment}': administer(
    (environment) => ({
      path: { environment },
      json: { name: 'Renamed', refreshSeconds: 10, protected: environment === GUARDED },
      revision: 1,
    }),
    { unknown: { environment: STALE } },
  ),
  'DELETE /api/v1/environments/{environment}': administer(
    (environment) => ({ path: { environment }, revision: 1 }),
    { prepare: endRollouts },
  ),

  'GET /api/v1/flags': read(() => ({}), null),
  'GET /api/v1/flags/{flag}': read(() => ({ path: { flag: FLAG } }), null),
  'PUT /api/v1/flags/{flag}': change(() => ({ path: { flag: FLAG }, json: definition, revision: 1 }), {
    unknown: { flag: STALE },
  }),
  'PATCH /api/v1/flags/{flag}': change(() => ({
    path: { flag: FLAG },
    json: { clientVisible: true },
    revision: 1,
  })),
  'DELETE /api/v1/flags/{flag}': change(() => ({ path: { flag: SPARE }, revision: 1 })),
  'POST /api/v1/flags/{flag}/archive': change(() => ({
    path: { flag: SPARE },
    json: { comment: 'Done with' },
    revision: 1,
  })),
  'POST /api/v1/flags/{flag}/unarchive': change(() => ({ path: { flag: ARCHIVED }, json: {}, revision: 2 })),

  'GET /api/v1/flags/{flag}/environments/{environment}': read((environment) => ({
    path: { flag: FLAG, environment },
  })),
  'PUT /api/v1/flags/{flag}/environments/{environment}': change((environment) => ({
    path: { flag: SPARE, environment },
    json: configuration,
    revision: 1,
  })),
  'PATCH /api/v1/flags/{flag}/environments/{environment}': change(
    (environment) => ({ path: { flag: SPARE, environment }, json: { enabled: true }, revision: 1 }),
    // Fields are the configuration's, whose parser finds it.
    { unknownField: [422, 'invalid'] },
  ),
  'POST /api/v1/flags/{flag}/environments/{environment}/preview': read((environment) => ({
    path: { flag: FLAG, environment },
    json: configuration,
  })),
  'POST /api/v1/flags/{flag}/copy': change((environment) => ({
    path: { flag: FLAG },
    json: { from: environment === OWN ? GUARDED : OWN, to: environment, allowMoves: true },
    revision: 2,
  })),

  'GET /api/v1/flags/{flag}/history': read(() => ({ path: { flag: FLAG } }), null),
  'POST /api/v1/flags/{flag}/restore': change((environment) => ({
    path: { flag: FLAG },
    json: { environment, revision: 1 },
    revision: 2,
  })),
  'GET /api/v1/environments/{environment}/segments/{segment}/history': read((environment) => ({
    path: { environment, segment: SEGMENT },
  })),
  'POST /api/v1/environments/{environment}/segments/{segment}/restore': change((environment) => ({
    path: { environment, segment: SEGMENT },
    json: { revision: 1 },
    revision: 2,
  })),

  'GET /api/v1/environments/{environment}/segments': read((environment) => ({ path: { environment } })),
  'GET /api/v1/environments/{environment}/segments/{segment}': read((environment) => ({
    path: { environment, segment: SEGMENT },
  })),
  'PUT /api/v1/environments/{environment}/segments/{segment}': change(
    (environment) => ({
      path: { environment, segment: SEGMENT },
      json: { description: 'Friends', included: ['mo'] },
      revision: 2,
    }),
    { unknown: { segment: STALE } },
  ),
  'DELETE /api/v1/environments/{environment}/segments/{segment}': change((environment) => ({
    path: { environment, segment: SPARE_SEGMENT },
    revision: 1,
  })),

  'GET /api/v1/metrics': read(() => ({}), null),
  'GET /api/v1/metrics/{metric}': read(() => ({ path: { metric: METRIC } }), null),
  'PUT /api/v1/metrics/{metric}': change(
    () => ({ path: { metric: METRIC }, json: { event: 'failure', kind: 'error' }, revision: 2 }),
    { unknown: { metric: STALE } },
  ),
  'DELETE /api/v1/metrics/{metric}': change(() => ({ path: { metric: SPARE_METRIC }, revision: 1 })),
  'GET /api/v1/metrics/{metric}/history': read(() => ({ path: { metric: METRIC } }), null),
  'POST /api/v1/metrics/{metric}/restore': change(() => ({
    path: { metric: METRIC },
    json: { revision: 1 },
    revision: 2,
  })),

  'GET /api/v1/environments/{environment}/keys': read((environment) => ({ path: { environment } })),
  'POST /api/v1/environments/{environment}/keys': change(
    (environment) => ({ path: { environment }, json: { kind: 'client', name: 'Page' } }),
    { status: 201 },
  ),
  'POST /api/v1/environments/{environment}/keys/{id}/rotate': change(
    (environment, { keys }) => ({
      path: { environment, id: keys[environment] ?? '' },
      json: { overlapSeconds: 60 },
    }),
    { status: 201 },
  ),
  'DELETE /api/v1/environments/{environment}/keys/{id}': change((environment, { keys }) => ({
    path: { environment, id: keys[environment] ?? '' },
  })),

  'POST /api/v1/environments/{environment}/explain': read((environment) => ({
    path: { environment },
    json: { flag: FLAG, context: { targetingKey: 'mo', beta: true } },
  })),
  'GET /api/v1/environments/{environment}/usage': read((environment) => ({
    path: { environment },
    query: { flag: BASE },
  })),
  'GET /api/v1/environments/{environment}/series': read((environment) => ({
    path: { environment },
    query: { metric: METRIC, by: 'arm' },
  })),
  'GET /api/v1/environments/{environment}/measurements/{measurement}/totals': read(measured),
  'GET /api/v1/environments/{environment}/measurements/{measurement}/blocks': read(measured),
  'GET /api/v1/environments/{environment}/measurements/{measurement}/journeys': read((environment) => ({
    ...measured(environment),
    query: { metric: METRIC },
  })),
  'GET /api/v1/environments/{environment}/connection': read((environment) => ({ path: { environment } })),
  'GET /api/v1/environments/{environment}/event-names': read((environment) => ({ path: { environment } })),
  'GET /api/v1/environments/{environment}/storage': read((environment) => ({ path: { environment } })),
  'GET /api/v1/environments/{environment}/prometheus': read((environment) => ({ path: { environment } })),
  'POST /api/v1/environments/{environment}/erasures': administer((environment) => ({
    path: { environment },
    json: { unit: 'ada' },
  })),

  'GET /api/v1/change-requests': read(() => ({}), null),
  'GET /api/v1/change-requests/{id}': { ...decide, role: 'viewer', ask: withoutBody(decide.ask) },
  'POST /api/v1/change-requests/{id}/approve': decide,
  'POST /api/v1/change-requests/{id}/reject': decide,
  'POST /api/v1/change-requests/{id}/cancel': decide,

  'GET /api/v1/channels': read(() => ({}), null),
  'POST /api/v1/channels': change(
    (environment) => ({
      json: { environment, kind: 'slack', target: 'https://hooks.slack.com/services/T0/B0/x', ...CHANNEL },
    }),
    { role: 'releaser', status: 201 },
  ),
  'GET /api/v1/channels/{id}': ofChannel({}, { role: 'viewer' }),
  'PUT /api/v1/channels/{id}': ofChannel({ json: CHANNEL, revision: 1 }),
  'DELETE /api/v1/channels/{id}': ofChannel({ revision: 1 }),
  'POST /api/v1/channels/{id}/rotate': ofChannel({ json: {}, revision: 1 }),
  'POST /api/v1/channels/{id}/test': ofChannel({ json: {} }),
  'GET /api/v1/channels/{id}/deliveries': ofChannel({ query: { state: 'dead' } }, { role: 'viewer' }),
  'POST /api/v1/channels/{id}/deliveries/{delivery}/retry': ofChannel(
    {},
    {
      ask: (environment, { channels }) => ({
        path: { id: channels[environment] ?? '', delivery: DELIVERIES[environment] ?? '' },
        json: {},
      }),
    },
  ),

  'GET /api/v1/incidents': read(() => ({}), null),
  'POST /api/v1/incidents': change(
    (environment) => ({ json: { environment, flag: BASE, title: 'Declined', words: 'Cards are declined' } }),
    { status: 201 },
  ),
  'GET /api/v1/incidents/{id}': ofIncident({}, { role: 'viewer' }),
  'GET /api/v1/incidents/{id}/units': ofIncident({ query: { limit: '5' } }, { role: 'viewer' }),
  'POST /api/v1/incidents/{id}/acknowledge': ofIncident({ json: { comment: 'I look' } }),
  'POST /api/v1/incidents/{id}/resolve': ofIncident(
    { json: { resolution: 'It passed' } },
    { role: 'releaser' },
  ),
  'POST /api/v1/incidents/{id}/notes': ofIncident({ json: { words: 'It was the provider' } }),
  'PUT /api/v1/incidents/{id}/post-mortem': ofIncident(
    { json: { postMortem: 'What we learned' }, revision: 1 },
    { role: 'releaser' },
  ),

  'GET /api/v1/rollout-templates': {
    ...read(() => ({ query: { hold: '2h' } }), null),
    needsNoDatabase: true,
  },
  'GET /api/v1/rollouts': read((environment) => ({ query: { environment } })),
  'POST /api/v1/rollouts': change(
    (environment) => ({
      json: {
        plan: { environment, flag: RAMPED, variant: 'on', stages: [{ percentage: 100, hold: '1h' }] },
      },
    }),
    { status: 201 },
  ),
  'GET /api/v1/rollouts/{id}': ofRollout('running', {}, { role: 'viewer' }),
  'PATCH /api/v1/rollouts/{id}': ofRollout(
    'draft',
    { json: { plan: { alpha: 0.05 } }, revision: 1 },
    { role: 'developer' },
  ),
  'DELETE /api/v1/rollouts/{id}': ofRollout('draft', { revision: 1 }, { role: 'developer' }),
  'POST /api/v1/rollouts/{id}/start': doing('draft', { force: true }, { prepare: endRollouts }),
  'POST /api/v1/rollouts/{id}/approve': doing('running', { stage: '50 %' }),
  'POST /api/v1/rollouts/{id}/pause': doing('running', {}, { role: 'developer' }),
  'POST /api/v1/rollouts/{id}/resume': doing(
    'running',
    {},
    { prepare: () => bringRunning({ state: 'paused', pausedAt: 1 }) },
  ),
  'POST /api/v1/rollouts/{id}/advance': doing('running'),
  'POST /api/v1/rollouts/{id}/percentage': doing('running', { percentage: 20 }),
  'POST /api/v1/rollouts/{id}/rollback': doing('running', {}, { role: 'developer' }),
  'POST /api/v1/rollouts/{id}/complete': doing('running', {}, { prepare: () => bringRunning({ stage: 2 }) }),
  'POST /api/v1/rollouts/{id}/cancel': doing('draft'),
  'POST /api/v1/rollouts/{id}/retry': doing('ended', {}, { status: 201 }),
  'POST /api/v1/rollouts/{id}/dispute': doing('ended'),
  'POST /api/v1/rollouts/{id}/signals': ofRollout(
    'running',
    { json: { kind: 'ci-green', passed: true } },
    { role: 'signaller', status: 201 },
  ),
  'GET /api/v1/rollouts/{id}/signals': ofRollout('running', {}, { role: 'viewer' }),
  'GET /api/v1/rollouts/{id}/timeline': ofRollout('ended', {}, { role: 'viewer' }),
  'GET /api/v1/rollouts/{id}/timeline/{decision}': ofRollout(
    'ended',
    {},
    {
      role: 'viewer',
      ask: (environment, { rollouts }) => {
        const { ended = '', decision = '' } = rollouts[environment] ?? {}
        return { path: { id: ended, decision } }
      },
      unknown: { decision: [400, 'malformed'] },
    },
  ),
  'GET /api/v1/rollouts/{id}/health': ofRollout('running', {}, { role: 'viewer' }),
  'GET /api/v1/rollouts/{id}/drill': ofRollout('running', {}, { role: 'viewer' }),
  'POST /api/v1/rollouts/{id}/drill': ofRollout(
    'running',
    {
      json: {
        guardrail: 'ramp-error-regression',
        expected: { unitsPerMinute: 600, rate: 0.1, for: '10m' },
        stage: '10 %',
      },
    },
    { role: 'developer', status: 201 },
  ),
  'GET /api/v1/rollouts/{id}/backtest': ofRollout('running', {}, { role: 'viewer' }),
  'POST /api/v1/rollouts/{id}/backtest': ofRollout(
    'running',
    { json: {} },
    { role: 'developer', status: 201 },
  ),
  'GET /api/v1/environments/{environment}/rollout-matrix': read((environment) => ({ path: { environment } })),
  'PUT /api/v1/environments/{environment}/rollout-matrix': change((environment, { rollouts }) => ({
    path: { environment },
    json: {
      drafts: [
        {
          rollout: rollouts[environment]?.draft ?? '',
          revision: 1,
          cells: [{ audience: '', percentage: 100 }],
        },
      ],
    },
  })),
  'POST /api/v1/flags/{flag}/environments/{environment}/stop': change((environment) => ({
    path: { flag: RAMPED, environment },
    json: { comment: 'It fails' },
  })),

  'GET /api/v1/export': administer(() => ({})),
  'POST /api/v1/import': administer(() => ({ json: EXPORTED }), {
    prepare: emptyDeployment,
    maxBytes: 64 * 1024 * 1024,
  }),
}

function withoutBody(ask: RouteCase['ask']): RouteCase['ask'] {
  return (environment, fixture) => {
    const { path = {} } = ask(environment, fixture)
    return { path }
  }
}
