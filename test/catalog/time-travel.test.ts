import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Change, commitChange } from '../../src/catalog/change.ts'
import type { EntityKind } from '../../src/catalog/entities.ts'
import { planEnvironmentSave } from '../../src/catalog/environments.ts'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import {
  type ExplainError,
  type ExplanationAt,
  explainAt,
  loadSnapshotAt,
  loadVersionAt,
  type Point,
} from '../../src/catalog/time-travel.ts'
import type { EvaluationContext } from '../../src/engine/context.ts'
import type { Condition } from '../../src/engine/flag.ts'
import type { Result } from '../../src/engine/result.ts'
import { emptyDatabase } from '../support/database.ts'
import { makeFlag, makeRollout, makeSegment } from '../support/engine.ts'
import {
  type Answer,
  api,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  evaluate,
  from,
  moveClock,
  ON_OFF,
  putConfiguration,
  putFlag,
  putSegment,
  record,
  stopClock,
  uniqueName,
  warm,
} from '../support/worker.ts'

const ON = { variant: 'on' }
const OFF = { variant: 'off' }
const MINUTE = 60_000

type Text = readonly [kind: EntityKind, key: string, entity: object | null]

/** Writes entities as rollouts and older releases do: no draft is parsed, nothing is checked. */
async function write(environment: string, now: number, ...texts: readonly Text[]): Promise<number> {
  const entities = texts.map(([kind, key, entity]) => ({
    environment,
    kind,
    key,
    text: entity === null ? null : JSON.stringify(entity),
  }))
  return commit({ ...NOTHING, entities }, environment, now)
}

const NOTHING: Change = {
  action: 'test',
  target: { kind: 'test', key: '' },
  guards: [],
  writes: [],
  entities: [],
  revisions: [],
}

/** Commits a change at a time; the version that the environment then has. */
async function commit(change: Change, environment: string, now: number): Promise<number> {
  const author = { actor: 'test', via: 'test', comment: '', now, requestId: 'test' }
  const committed = await commitChange(env.DB, change, author)
  if (!committed.ok) throw new Error(committed.error.reason)
  return committed.value.versions.get(environment) ?? 0
}

async function createAt(environment: string, now: number): Promise<void> {
  const draft = {
    name: environment,
    refreshSeconds: 30,
    protected: false,
    keepContexts: false,
    contextKeys: [],
    shards: 2,
  }
  const operation = { kind: 'environment.save', environment, draft, revision: 0 } as const
  const planned = await planEnvironmentSave(env.DB, operation, now)
  if (!planned.ok) throw new Error(planned.error.reason)
  await commit(planned.value, environment, now)
}

async function publish(environment: string): Promise<void> {
  await hubOf(env, environment).publish()
}

async function accepted(answer: Promise<Answer>): Promise<void> {
  expect(await answer).toMatchObject({ status: 200 })
}

/** What the edge would answer where this is the explanation. */
function toBody(environment: string, explained: Result<ExplanationAt, ExplainError>): unknown {
  if (!explained.ok) return explained.error
  const { evaluation, version } = explained.value
  const { flagKey: key, metadata } = evaluation
  const set = { flagSetId: environment, version: String(version) }
  if (evaluation.reason === 'ERROR') {
    const { errorCode, errorMessage: errorDetails } = evaluation
    return { key, errorCode, errorDetails, metadata: { ...metadata, ...set } }
  }
  const { value, reason, variant, assignment } = evaluation
  // Through JSON, which leaves out what is undefined, as an answer does.
  const tag = assignment?.tag
  return JSON.parse(JSON.stringify({ key, value, reason, variant, metadata: { ...metadata, tag, ...set } }))
}

/** An answer in short: `SPLIT on`, or its error code. */
function summary(body: unknown): string {
  const { errorCode, reason, variant } = Object(body)
  return errorCode ?? [reason, variant].join(' ').trim()
}

describe('what was answered at any time', () => {
  const CONTEXTS: readonly EvaluationContext[] = [
    { targetingKey: 'ann', plan: 'pro', joined: '2020-01-01' },
    { targetingKey: 'bob', plan: 'free', company: { id: 'acme' } },
    { targetingKey: 'eve', joined: '2100-01-01' },
    { plan: 'pro' },
  ]
  const flag = uniqueName('checkout')
  const base = uniqueName('base')
  let environment = ''
  let key = ''

  type Moment = { readonly version: number; readonly at: number; readonly answers: readonly unknown[] }
  const moments: Moment[] = []
  let revision = 0

  /** Changes the flag itself. */
  const change = (draft: object) =>
    accepted(putConfiguration(environment, flag, { allowMoves: true, ...draft }, ++revision))
  const changeBase = (draft: object, revision: number) =>
    accepted(putConfiguration(environment, base, draft, revision))

  const changeSegment = (segment: string, draft: object, revision: number) =>
    accepted(putSegment(environment, segment, draft, revision))

  const changeRollout = async (grants: object | null) => {
    const rollout = grants && makeRollout({ variant: 'off', ...grants })
    await write(environment, Date.now(), ['rollouts', flag, rollout])
    await publish(environment)
  }

  const PRO: Condition = { attribute: 'plan', op: 'equals', values: ['pro'] }
  const split = (on: number, off: number, by = 'targetingKey') => ({
    split: {
      weights: [
        { variant: 'on', weight: on },
        { variant: 'off', weight: off },
      ],
      by,
      seed: 'fixed',
    },
  })
  const inStaff = { id: 'staff', when: { segment: 'staff' }, serve: OFF }
  const needsBase = [{ flag: base, variants: ['on'] }]
  const AGAIN = { type: 'string', variants: [{ name: 'blue', value: '#00f' }], metadata: { again: true } }
  const recent = { attribute: 'joined', op: 'after', values: ['-1d'] }

  /** What is changed, and what each context is answered from then on. */
  const CHANGES: readonly (readonly [answers: string, make: () => Promise<unknown>])[] = [
    ['STATIC on, STATIC on, STATIC on, STATIC on', () => change({})],
    ['SPLIT off, SPLIT on, SPLIT on, TARGETING_KEY_MISSING', () => change({ fallthrough: split(1, 1) })],
    [
      'TARGETING_KEY_MISSING, SPLIT on, TARGETING_KEY_MISSING, TARGETING_KEY_MISSING',
      () => change({ fallthrough: split(3, 1, 'company.id') }),
    ],
    ['DEFAULT on, TARGETING_MATCH off, DEFAULT on, DEFAULT on', () => change({ rules: [inStaff] })],
    [
      'TARGETING_MATCH off, DEFAULT on, DEFAULT on, TARGETING_MATCH off',
      () => changeSegment('staff', { condition: PRO, excluded: ['bob'] }, 1),
    ],
    [
      'TARGETING_MATCH off, DEFAULT on, DEFAULT on, TARGETING_MATCH off',
      () => changeSegment('interns', { included: ['eve'] }, 1),
    ],
    [
      'DEFAULT on, DEFAULT on, TARGETING_MATCH off, DEFAULT on',
      () => changeSegment('staff', { condition: { segment: 'interns' } }, 2),
    ],
    [
      'DEFAULT on, DEFAULT on, TARGETING_MATCH off, DEFAULT on',
      () => change({ rules: [inStaff], prerequisites: needsBase, offVariant: 'off' }),
    ],
    ['DEFAULT off, DEFAULT off, DEFAULT off, DEFAULT off', () => changeBase({ enabled: false }, 2)],
    [
      'DEFAULT on, DEFAULT off, DEFAULT off, DEFAULT on',
      () => changeBase({ rules: [{ id: 'r', when: PRO, serve: ON }], fallthrough: OFF }, 3),
    ],
    [
      'TARGETING_MATCH off, DEFAULT, DEFAULT, DEFAULT on',
      () => change({ targets: [{ variant: 'off', units: ['ann'] }], prerequisites: needsBase }),
    ],
    ['STATIC on, STATIC on, STATIC on, STATIC on', () => change({})],
    [
      'DEFAULT on, DEFAULT on, SPLIT off, DEFAULT on',
      () => changeRollout({ grants: [{ audience: { segment: 'staff' }, percentage: 100 }] }),
    ],
    [
      'DEFAULT on, SPLIT off, DEFAULT on, DEFAULT on',
      () => changeSegment('interns', { included: ['bob'] }, 2),
    ],
    [
      'SPLIT off, DEFAULT on, DEFAULT on, DEFAULT on',
      () => changeRollout({ grants: [{ audience: null, percentage: 50 }], stage: 1 }),
    ],
    [
      'SPLIT off, DEFAULT on, TARGETING_MATCH off, DEFAULT on',
      () => change({ rules: [{ id: 'recent', when: recent, serve: OFF }] }),
    ],
    ['DEFAULT on, DEFAULT on, TARGETING_MATCH off, DEFAULT on', () => changeRollout(null)],
    ['DISABLED, DISABLED, DISABLED, DISABLED', () => change({ enabled: false, offVariant: null })],
    ['STATIC off, STATIC off, STATIC off, STATIC off', () => change({ fallthrough: OFF })],
    [
      'FLAG_NOT_FOUND, FLAG_NOT_FOUND, FLAG_NOT_FOUND, FLAG_NOT_FOUND',
      () => accepted(api('DELETE', `/flags/${flag}`, undefined, from(1))),
    ],
    ['FLAG_NOT_FOUND, FLAG_NOT_FOUND, FLAG_NOT_FOUND, FLAG_NOT_FOUND', () => changeBase({}, 4)],
    ['DISABLED, DISABLED, DISABLED, DISABLED', () => accepted(putFlag(flag, AGAIN))],
    [
      'STATIC blue, STATIC blue, STATIC blue, STATIC blue',
      // Deleting and making it again took a revision each.
      () => accepted(putConfiguration(environment, flag, { fallthrough: { variant: 'blue' } }, revision + 3)),
    ],
  ]

  beforeAll(async () => {
    stopClock()
    environment = await createEnvironment()
    key = (await createKey(environment)).key
    await createFlag(base)
    await configure(environment, base, {}, 1)
    await createSegment(environment, 'interns')
    await createSegment(environment, 'staff', { included: ['bob'], condition: { segment: 'interns' } })
    await createFlag(flag, { variants: ON_OFF })
    for (const [, make] of CHANGES) {
      moveClock(MINUTE)
      await make()
      await warm(environment)
      const answers = await Promise.all(CONTEXTS.map((context) => evaluate(key, flag, context)))
      const version = Number(answers[0]?.headers.get('x-rampart-version'))
      moments.push({ version, at: Date.now(), answers: answers.map(({ body }) => body) })
    }
    moveClock(MINUTE)
  }, 60_000)

  const explanations = (asked: { readonly version?: number; readonly at?: number; readonly now: number }) =>
    Promise.all(CONTEXTS.map((context) => explainAt(env.DB, environment, { flag, context, ...asked })))

  /** What an explanation of a moment must say: the answers, or, where there was no such flag, just that. */
  const expected = ({ version, answers }: Moment) =>
    answers.map((answer) =>
      Reflect.get(Object(answer), 'errorCode') === 'FLAG_NOT_FOUND'
        ? { reason: 'unknown_flag', version }
        : answer,
    )

  it('was not always the same', () => {
    expect(moments.map(({ answers }) => answers.map(summary).join(', '))).toEqual(
      CHANGES.map(([answers]) => answers),
    )
    expect(moments.map(({ version }) => version)).toEqual(CHANGES.map((_, index) => index + 8))
  })

  it('is explained at each version', { timeout: 60_000 }, async () => {
    for (const moment of moments) {
      const explained = await explanations({ version: moment.version, now: moment.at })
      expect(explained.map((result) => toBody(environment, result))).toEqual(expected(moment))
    }
  })

  it.each([
    ['the instant of the change', 0],
    ['the last millisecond before the next', MINUTE - 1],
  ])('is explained at %s', { timeout: 60_000 }, async (_, later) => {
    for (const moment of moments) {
      const explained = await explanations({ at: moment.at + later, now: 0 })
      expect(explained.map((result) => toBody(environment, result))).toEqual(expected(moment))
    }
  })

  it('is the newest unless a time is said', async () => {
    const explained = await explanations({ now: 0 })
    expect(explained.map((result) => toBody(environment, result))).toEqual(moments.at(-1)?.answers)
  })
})

describe('a version', () => {
  const START = 1_000_000_000_000
  let environment = ''

  /** Versions of the times given, as minutes after the start; the first is the environment's own. */
  async function makeVersions(...minutes: readonly number[]): Promise<void> {
    environment = uniqueName('versions')
    const now = (minute: number) => START + minute * MINUTE
    await createAt(environment, now(minutes[0] ?? 0))
    for (const minute of minutes.slice(1))
      await write(environment, now(minute), ['segments', 's', makeSegment()])
  }

  const load = (point: Point) => loadVersionAt(env.DB, environment, point)
  const at = (minute: number) => load({ at: START + minute * MINUTE })
  const versionAt = (version: number, minute: number) => ({
    ok: true,
    value: { version, at: START + minute * MINUTE },
  })

  it('is the newest one made by an instant', async () => {
    await makeVersions(0, 10, 20)
    expect(await at(0)).toEqual(versionAt(1, 0))
    expect(await load({ at: START + 10 * MINUTE - 1 })).toEqual(versionAt(1, 0))
    expect(await at(10)).toEqual(versionAt(2, 10))
    expect(await at(19.9)).toEqual(versionAt(2, 10))
    expect(await at(20)).toEqual(versionAt(3, 20))
    expect(await at(1e6)).toEqual(versionAt(3, 20))
  })

  it('is the newest one where a change bears an earlier time than the one before it', async () => {
    await makeVersions(0, 5, 10.5, 10, 20)
    expect(await at(9)).toEqual(versionAt(2, 5))
    expect(await at(10)).toEqual(versionAt(4, 10))
    expect(await at(10.5)).toEqual(versionAt(4, 10))
    expect(await at(19)).toEqual(versionAt(4, 10))
    expect(await at(20)).toEqual(versionAt(5, 20))
  })

  it('is found by its number, with the time at which it was made', async () => {
    await makeVersions(0, 10, 20)
    expect(await load({ version: 1 })).toEqual(versionAt(1, 0))
    expect(await load({ version: 2 })).toEqual(versionAt(2, 10))
    expect(await load({ version: 3 })).toEqual(versionAt(3, 20))
    expect(await load({ version: 'newest' })).toEqual(versionAt(3, 20))
  })

  it.each<readonly [name: string, point: { version: number } | { at: number }, error: object]>([
    ['above the newest', { version: 4 }, { reason: 'unknown_version', newest: 3 }],
    ['0', { version: 0 }, { reason: 'unknown_version', newest: 3 }],
    ['between two', { version: 1.5 }, { reason: 'unknown_version', newest: 3 }],
    [
      'of an instant before the beginning',
      { at: START - 1 },
      { reason: 'before_beginning', beginning: START },
    ],
  ])('%s does not exist', async (_, point, error) => {
    await makeVersions(0, 10, 20)
    expect(await load(point)).toEqual({ ok: false, error })
    const question = { flag: 'f', context: {}, now: START + 30 * MINUTE, ...point }
    expect(await explainAt(env.DB, environment, question)).toEqual({ ok: false, error })
  })

  it.each<Point>([{ version: 1 }, { version: 'newest' }, { at: START }])(
    'of an unknown environment does not exist: %j',
    async (point) => {
      expect(await loadVersionAt(env.DB, 'nowhere', point)).toEqual({
        ok: false,
        error: { reason: 'unknown_environment' },
      })
    },
  )
})

describe("a flag's part of a snapshot", () => {
  // A new environment has every flag there is.
  beforeAll(emptyDatabase)

  const NOW = 2_000_000_000_000
  let environment = ''

  const inSegment = (segment: string) => makeSegment({ condition: { segment } })
  const needs = (...flags: readonly string[]) =>
    makeFlag({ prerequisites: flags.map((flag) => ({ flag, variants: ['on'] })) })

  /** The keys of what is loaded, by kind, and in how many queries. */
  async function load(version: number, flag: string) {
    const recorded = record(env)
    const { sections } = await loadSnapshotAt(recorded.bindings.DB, environment, version, flag)
    const keys = Object.entries(sections).map(([kind, section]) => [kind, [...section.keys()].sort()])
    return { ...Object.fromEntries(keys), queries: recorded.calls.length }
  }

  beforeEach(async () => {
    environment = await createEnvironment()
  })

  it('is the flag and all that it leads to, each read once, and nothing else', async () => {
    const version = await write(
      environment,
      NOW,
      ['flags', 'f', { ...needs('left', 'right'), rules: [{ id: 'r', when: { segment: 's' }, serve: ON }] }],
      ['flags', 'left', needs('bottom')],
      ['flags', 'right', needs('bottom')],
      ['flags', 'bottom', makeFlag()],
      ['flags', 'other', needs('f')],
      ['rollouts', 'f', makeRollout({ grants: [{ audience: { segment: 'granted' }, percentage: 1 }] })],
      ['rollouts', 'bottom', makeRollout({ grants: [{ audience: { segment: 's' }, percentage: 1 }] })],
      ['rollouts', 'other', makeRollout()],
      ['segments', 's', inSegment('inner')],
      ['segments', 'inner', makeSegment()],
      ['segments', 'granted', makeSegment()],
      ['segments', 'f', makeSegment()],
    )
    expect(await load(version, 'f')).toEqual({
      flags: ['bottom', 'f', 'left', 'right'],
      segments: ['granted', 'inner', 's'],
      rollouts: ['bottom', 'f'],
      queries: 3,
    })
    expect(await load(version, 'bottom')).toEqual({
      flags: ['bottom'],
      segments: ['inner', 's'],
      rollouts: ['bottom'],
      queries: 3,
    })
  })

  it('is that of the version, without what was gone or not yet there', async () => {
    const named = { rules: [{ id: 'r', when: { segment: 's' }, serve: ON }] }
    const first = await write(environment, NOW, ['flags', 'f', makeFlag(named)])
    await write(environment, NOW, ['segments', 's', makeSegment({ included: ['a'] })])
    await write(environment, NOW, ['segments', 's', makeSegment({ included: ['b'] })])
    await write(environment, NOW, ['segments', 's', null])
    const last = await write(environment, NOW, ['flags', 'f', null])
    const texts = []
    for (let version = first - 1; version <= last; version++) {
      const { sections } = await loadSnapshotAt(env.DB, environment, version, 'f')
      texts.push([sections.flags?.has('f'), sections.segments?.get('s')])
    }
    const included = (unit: string) => JSON.stringify(makeSegment({ included: [unit] }))
    expect(texts).toEqual([
      [false, undefined],
      [true, undefined],
      [true, included('a')],
      [true, included('b')],
      [true, undefined],
      [false, undefined],
    ])
  })

  it('is of its own environment alone', async () => {
    const other = await createEnvironment()
    await write(other, NOW, ['flags', 'f', makeFlag()])
    expect(await load(9, 'f')).toEqual({ flags: [], segments: [], rollouts: [], queries: 1 })
  })

  it.each([
    [11, 11, []],
    [12, 12, ['aside']],
    [30, 12, ['aside']],
  ])('of a chain of %i takes %i queries', async (length, queries, aside) => {
    const chain = Array.from({ length }, (_, index) => `c${index}`)
    const version = await write(
      environment,
      NOW,
      ...chain.map((key, index): Text => ['flags', key, needs(...chain.slice(index + 1, index + 2))]),
      ['flags', 'aside', makeFlag()],
      ['flags', 'gone', null],
      ['keys', 'k', {}],
    )
    const flags = [...aside, ...chain].sort()
    expect(await load(version, 'c0')).toEqual({ flags, segments: [], rollouts: [], queries })
    const explained = await explainAt(env.DB, environment, { flag: 'c0', context: {}, version, now: NOW })
    expect(explained).toMatchObject({ ok: true, value: { evaluation: { variant: 'off' } } })
  })

  it('ends where entities lead back to themselves, or cannot be read', async () => {
    const version = await write(
      environment,
      NOW,
      ['flags', 'a', needs('b', 'bad')],
      ['flags', 'b', needs('a')],
      ['flags', 'bad', { prerequisites: [{ flag: 'never', variants: ['on'] }] }],
      ['flags', 'never', makeFlag()],
    )
    expect(await load(version, 'a')).toEqual({
      flags: ['a', 'b', 'bad'],
      segments: [],
      rollouts: [],
      queries: 2,
    })
    const explained = await explainAt(env.DB, environment, { flag: 'bad', context: {}, version, now: NOW })
    expect(explained).toMatchObject({ ok: true, value: { evaluation: { errorCode: 'PARSE_ERROR' } } })
  })

  it('finds keys of any characters', async () => {
    const keys = ['1', 'a"b\\c', "o'clock", 'zoë 🚀', '%', '["x"]', '__proto__']
    const version = await write(
      environment,
      NOW,
      ['flags', '1', needs(...keys.slice(1))],
      ...keys.slice(1).map((key): Text => ['flags', key, makeFlag()]),
    )
    expect(await load(version, '1')).toMatchObject({ flags: keys.toSorted() })
  })
})

/** How SQLite goes through the history for a query. */
async function planOf(query: string): Promise<readonly string[]> {
  const parameters = query.match(/\?\d*/g) ?? []
  const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${query}`)
    .bind(...new Set(parameters.map((name, index) => (name === '?' ? `?${index}` : name))))
    .all<{ detail: string }>()
  return results.flatMap(({ detail }) => (/ (history|past) /.test(detail) ? [detail] : []))
}

it('looks up what it asks for, and never goes through the history', async () => {
  const environment = await createEnvironment()
  const now = Date.now()
  const version = await write(environment, now, ['flags', 'f', makeFlag()])
  const { bindings, calls } = record(env)
  await explainAt(bindings.DB, environment, { flag: 'f', context: {}, at: now, now })
  await explainAt(bindings.DB, environment, { flag: 'f', context: {}, version, now })
  await explainAt(bindings.DB, environment, { flag: 'f', context: {}, now })
  const plans = await Promise.all([...new Set(calls)].map((call) => planOf(call.replace('DB.prepare ', ''))))
  const byEntity = 'sqlite_autoindex_history_1 (environment=? AND version=? AND kind=? AND key=?)'
  expect(plans).toEqual([
    [
      'SEARCH history USING INDEX history_by_time (environment=? AND at>? AND at<?)',
      'SEARCH history USING COVERING INDEX history_by_time (environment=? AND at<?)',
    ],
    [
      `SEARCH history USING INDEX ${byEntity}`,
      'SEARCH past USING COVERING INDEX history_by_entity (environment=? AND kind=? AND key=? AND version<?)',
    ],
    ['SEARCH history USING INDEX sqlite_autoindex_history_1 (environment=? AND version=?)'],
    [
      'SEARCH history USING INDEX sqlite_autoindex_history_1 (environment=? AND version=?)',
      // A minimum or maximum is looked up at the end of its index.
      'SEARCH history USING COVERING INDEX sqlite_autoindex_history_1 (environment=?)',
    ],
  ])
})

describe('an explanation', () => {
  const NOW = 1_772_366_400_000
  const recent = { attribute: 'joined', op: 'after', values: ['-1d'] } as const
  let environment = ''
  let version = 0

  beforeAll(async () => {
    environment = await createEnvironment()
    await write(environment, NOW, ['segments', 'new', makeSegment({ condition: recent })])
    const rules = [{ id: 'welcome', when: { segment: 'new' }, serve: ON }]
    version = await write(environment, NOW + 1, ['flags', 'f', makeFlag({ rules })])
    await write(environment, NOW + 2, ['segments', 'new', makeSegment({ included: ['ann'] })])
  })

  const joined = '2026-03-01T00:00:00Z'
  const explain = (asked: { version?: number; at?: number; now: number }, flag = 'f') =>
    explainAt(env.DB, environment, { flag, context: { targetingKey: 'ann', joined }, ...asked })

  /** The steps that were taken where the segment is a condition, and whether it held. */
  const steps = (matched: boolean) => [
    { step: 'enabled', matched: true },
    {
      step: 'rule',
      id: 'welcome',
      matched,
      condition: {
        kind: 'segment',
        segment: 'new',
        matched,
        conditions: [{ ...recent, matched, actual: joined }],
      },
    },
    ...(matched ? [] : [{ step: 'fallthrough' }]),
  ]

  it('tells every step and condition, the version, and when that was made', async () => {
    expect(await explain({ version, now: NOW })).toEqual({
      ok: true,
      value: {
        version,
        at: NOW + 1,
        evaluation: {
          flagKey: 'f',
          reason: 'TARGETING_MATCH',
          variant: 'on',
          value: true,
          metadata: {},
          assignment: undefined,
        },
        steps: steps(true),
      },
    })
  })

  const DAY = 86_400_000

  it('of a version goes by the time it is asked at, and not by when the version was made', async () => {
    expect(await explain({ version, now: NOW + DAY })).toMatchObject({
      value: { version, steps: steps(false) },
    })
  })

  it('of an instant goes by that instant', async () => {
    expect(await explain({ at: NOW + 1, now: NOW + DAY })).toMatchObject({
      value: { version, steps: steps(true) },
    })
  })

  it('of a version and an instant has what was configured from the one, and the time from the other', async () => {
    expect(await explain({ version, at: NOW + DAY, now: NOW })).toMatchObject({
      value: { version, at: NOW + 1, steps: steps(false) },
    })
  })

  it('of the newest version is given although that bears a time to come', async () => {
    expect(await explain({ now: NOW - DAY })).toMatchObject({ value: { version: version + 1, at: NOW + 2 } })
  })

  it('is refused for a flag that was not there then', async () => {
    const unknown = (version: number) => ({ ok: false, error: { reason: 'unknown_flag', version } })
    expect(await explain({ version: version - 1, now: NOW })).toEqual(unknown(version - 1))
    expect(await explain({ now: NOW }, 'nothing')).toEqual(unknown(version + 1))
  })
})
