// Incidents as they happen: opened in the batch of a rollback, followed by the cron, looked after through the API; with
// real shards, hub and database.
import { env } from 'cloudflare:workers'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import { prepare } from '../../src/ledger/statement.ts'
import { disputeStatements } from '../../src/rollouts/incidents/dispute.ts'
import { followIncidents } from '../../src/rollouts/incidents/follow.ts'
import { BLOCK_MS } from '../../src/telemetry/counting/blocks.ts'
import { call, fetchApi, refusalOf } from '../support/access.ts'
import { createChannel, deliveriesOf } from '../support/channels.ts'
import { auditAfter, auditEnd, rows } from '../support/database.ts'
import {
  createSite,
  guardErrors,
  pass,
  type Site,
  standingOf,
  storeRollout,
  tickIn,
  visit,
} from '../support/guarded.ts'
import { receive } from '../support/receiver.ts'
import { HOUR_MS, MINUTE_MS, makeStage } from '../support/rollouts.ts'
import { field, from, makeRequest, moveClock, stopClock } from '../support/worker.ts'

const HEALTHY = { treated: 0.05, others: 0.05 }
const BAD = { treated: 0.6, others: 0.05 }
const LONG = [makeStage({ percentage: 20, holdMs: 6 * HOUR_MS }), makeStage({ percentage: 100 })]
const TOLD = [
  'incident.opened',
  'incident.safe',
  'incident.verified',
  'incident.escalated',
  'incident.resolved',
]

type Broken = Site & { readonly id: string; readonly incident: string }

/** A site whose rollout has just been taken back. */
async function takeBack(plan: object = {}): Promise<Broken> {
  const site = await createSite()
  await createChannel(site.environment, { events: TOLD })
  const id = await storeRollout(site, { stages: LONG, ...plan })
  await tickIn(site.environment)
  await pass(site.environment, BLOCK_MS)
  await visit(site, 250, BAD)
  await pass(site.environment, 2 * BLOCK_MS)
  const { progress } = await standingOf(id)
  expect(['rolled_back', 'rolling_back']).toContain(progress.state)
  return { ...site, id, incident: `${id}-${progress.epoch}` }
}

const get = async (id: string) => Object((await call('GET', `/incidents/${id}`)).body)

const wordsOf = async (id: string) =>
  (
    await rows<{ words: string }>('SELECT words FROM incident_notes WHERE incident = ? ORDER BY number', id)
  ).map(({ words }) => words)

const toldOf = async (environment: string) =>
  (await deliveriesOf(environment)).map(({ notice }) => notice.replace(/^.*-(?=[a-z]+$)/, ''))

const follow = () => followIncidents(env, Date.now())

/** What the hub serves of a flag's rollout, and what it counts. */
async function atEdge({ environment, flag }: Site) {
  const read = readSnapshotText((await hubOf(env, environment).whole()) ?? '')
  if (!read.ok) throw new Error(read.error)
  const { rollouts, measurements } = read.value.sections
  return { granted: rollouts?.get(flag) !== undefined, measured: [...(measurements?.keys() ?? [])] }
}

/** Minutes pass in which units come, and the cron looks. */
async function live(site: Site, minutes: number, failing: typeof HEALTHY): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    await visit(site, 100, failing)
    moveClock(MINUTE_MS)
    await follow()
  }
}

// What channels are sent stays here.
receive()
beforeAll(() => stopClock())
beforeEach(async () => {
  // Whole minutes are looked at: each test begins at the same place in one.
  moveClock(MINUTE_MS - (Date.now() % MINUTE_MS) + BLOCK_MS)
  // Others that are still open would be followed too.
  await env.DB.prepare("UPDATE incidents SET state = 'resolved'").run()
})
afterEach(async () => {
  expect(await rows('SELECT * FROM guard')).toEqual([])
})

describe('a rollback by a guardrail', () => {
  it('opens an incident that begins with the evidence, in the same batch', async () => {
    const { environment, flag, id, incident } = await takeBack()
    const { decidedAt } = Object(
      (
        await rows(
          'SELECT at AS decidedAt FROM rollout_decisions WHERE rollout = ? AND deed = ?',
          id,
          'rollback',
        )
      )[0],
    )
    const found = await get(incident)
    expect(found).toMatchObject({
      id: incident,
      environment,
      flag,
      rollout: id,
      state: 'open',
      title: `${flag} in ${environment}: "on" was taken back`,
      reason: { code: 'guard_broken', subject: 'errors' },
      committedAt: decidedAt,
      acknowledgeBy: decidedAt + 15 * MINUTE_MS,
      verification: 'pending',
      revision: 1,
      facts: {
        mode: 'immediate',
        phase: 'ramping',
        stage: { place: 0, name: '20 %' },
        variant: 'on',
        shares: [{ audience: '20 %', before: 20, after: 0 }],
        guards: [{ guardrail: 'errors', metric: 'guarded-error', audience: null }],
      },
    })
    const [guard] = found.facts.guards
    const { treatment, control } = guard
    expect(treatment.units).toBe(found.facts.affected)
    expect(treatment.units + control.units).toBe(250)
    expect(guard.ratio).toBeCloseTo(treatment.hits / treatment.units / (control.hits / control.units), 10)
    expect(guard.oneIn).toBeGreaterThanOrEqual(guard.enough)
    expect(found.beganAt).toBeLessThanOrEqual(found.detectedAt)
    expect(found.detectedAt).toBeLessThanOrEqual(decidedAt)
    const [{ version }] = (await rows<{ version: number }>(
      'SELECT version FROM environments WHERE key = ?',
      environment,
    )) as [{ version: number }]
    expect(found.safeVersion).toBe(version)
    const [evidence, extent, done] = await wordsOf(incident)
    expect(evidence).toContain(guard.words)
    expect(extent).toContain(`It was at stage "20 %"; ${treatment.units} units were treated.`)
    expect(done).toBe('Taken back at once: "20 %" from 20 % to 0 %.')
    expect(await toldOf(environment)).toEqual(['opened'])
    expect(found.timeline.map((moment: { deed: string | null }) => moment.deed)).toEqual([
      'advance',
      'rollback',
      null,
      null,
      null,
    ])
  }, 20_000)

  it('tells when the safe version was nearly everywhere, and what was not reported', async () => {
    const { environment, incident } = await takeBack()
    const { safeVersion, committedAt } = await get(incident)
    const hub = hubOf(env, environment)
    moveClock(10_000)
    const entry = { sequence: 1, version: safeVersion, evaluations: 990, endedMsAgo: 0, lastedMs: 6_000 }
    const report = { isolate: 'one', withheldMs: 0, entries: [entry] }
    await hub.newer({ version: safeVersion, report })
    await follow()
    const found = await get(incident)
    expect(found.safeAt).toBeGreaterThanOrEqual(committedAt)
    expect(found.safeAt).toBeLessThanOrEqual(Date.now())
    expect(found.durations.safeMs).toBe(found.safeAt - committedAt)
    expect(found.facts.safe).toEqual({ seconds: expect.any(Number), unreportedShare: 0 })
    expect((await wordsOf(incident)).at(-1)).toMatch(
      /^99 % of the reported traffic was on the safe version at /,
    )
    expect(await toldOf(environment)).toEqual(['opened', 'safe'])
    const revision = found.revision
    await follow()
    expect((await get(incident)).revision).toBe(revision)
  })

  it('is verified once nobody is served and what broke is as the control was; then nothing is left at the edge', async () => {
    const site = await takeBack()
    const { environment, id, incident } = site
    expect(await atEdge(site)).toEqual({ granted: true, measured: [id] })
    await live(site, 2, HEALTHY)
    expect((await get(incident)).verification).toBe('pending')
    await live(site, 4, HEALTHY)
    const found = await get(incident)
    expect([found.verification, found.escalatedAt]).toEqual(['verified', null])
    expect(found.facts.verified).toMatch(
      /^Verified: nobody was given "on" by it in the two minutes before .*; guarded-error is at [\d.]+ %, the control was at [\d.]+ % before, the treated at [\d.]+ %\.$/,
    )
    expect(await toldOf(environment)).toEqual(['opened', 'verified'])
    expect(await atEdge(site)).toEqual({ granted: false, measured: [] })
    expect((await auditAfter(0)).at(-1)).toMatchObject({ action: 'incident.follow', actor: 'clock' })
  })

  it('that did not help is escalated after half an hour', async () => {
    const site = await takeBack()
    await call('POST', `/incidents/${site.incident}/acknowledge`, { json: {} })
    await live(site, 4, { treated: 0.6, others: 0.6 })
    expect((await get(site.incident)).verification).toBe('pending')
    moveClock(28 * MINUTE_MS)
    await live(site, 1, { treated: 0.6, others: 0.6 })
    const found = await get(site.incident)
    expect(found).toMatchObject({ verification: 'failed', state: 'acknowledged', escalatedAt: Date.now() })
    expect(found.facts.verified).toMatch(
      /^Not verified within 30 minutes: nobody was given "on" .* guarded-error is at /,
    )
    expect(await toldOf(site.environment)).toEqual(['opened', 'unverified'])
  })

  it('after which nobody comes cannot be verified, and says so', async () => {
    const site = await takeBack()
    moveClock(31 * MINUTE_MS)
    await follow()
    const { verification, facts } = await get(site.incident)
    expect(verification).toBe('failed')
    expect(facts.verified).toContain(
      'guarded-error: too little has come since to tell (0 exposures, 0 events)',
    )
  })

  it('in steps opens one incident, which has its safe version with the last step', async () => {
    const site = await takeBack({
      guardrails: [guardErrors({ mode: 'gradual' })],
      stages: [makeStage({ percentage: 60, holdMs: 6 * HOUR_MS })],
      rollback: { steps: [30, 0], holdMs: MINUTE_MS },
    })
    expect(await get(site.incident)).toMatchObject({ safeVersion: null, facts: { mode: 'gradual' } })
    expect(
      refusalOf(await call('POST', `/incidents/${site.incident}/resolve`, { json: { resolution: 'Over' } })),
    ).toEqual([409, 'rolling_back'])
    await pass(site.environment, MINUTE_MS + BLOCK_MS)
    expect((await standingOf(site.id)).progress.state).toBe('rolled_back')
    const all = await rows<{ id: string; safe_version: number }>(
      'SELECT * FROM incidents WHERE rollout = ?',
      site.id,
    )
    const [{ version }] = (await rows<{ version: number }>(
      'SELECT version FROM environments WHERE key = ?',
      site.environment,
    )) as [{ version: number }]
    expect(all.map((one) => [one.id, one.safe_version])).toEqual([[site.incident, version]])
    expect((await wordsOf(site.incident)).at(-1)).toContain('"60 %" from 30 % to 0 %.')
  })
})

describe('an incident', () => {
  it('that nobody acknowledges in time is escalated, once', async () => {
    const { environment, incident } = await takeBack()
    moveClock(14 * MINUTE_MS)
    await follow()
    expect((await get(incident)).escalatedAt).toBeNull()
    moveClock(2 * MINUTE_MS)
    await follow()
    moveClock(MINUTE_MS)
    await follow()
    const words = (await wordsOf(incident)).filter(
      (one) => one === 'Nobody has acknowledged it within 15 min.',
    )
    expect(words).toHaveLength(1)
    expect(await toldOf(environment)).toEqual(['opened', 'escalated'])
  })

  it('is acknowledged, noted, resolved and learned from; each is written down', async () => {
    const site = await takeBack()
    const { environment, incident } = site
    const end = await auditEnd()
    const path = `/incidents/${incident}`
    const acknowledged = await call('POST', `${path}/acknowledge`, { json: { comment: 'I look' } })
    expect(acknowledged.body).toMatchObject({
      state: 'acknowledged',
      acknowledgedAt: Date.now(),
      revision: 2,
    })
    expect(refusalOf(await call('POST', `${path}/acknowledge`, { json: {} }))).toEqual([
      409,
      'already_acknowledged',
    ])
    await call('POST', `${path}/notes`, { json: { words: 'It was *the* provider' } })
    const resolved = await call('POST', `${path}/resolve`, { json: { resolution: 'Changed back' } })
    expect(resolved.body).toMatchObject({
      state: 'resolved',
      verification: 'none',
      resolution: 'Changed back',
    })
    expect(refusalOf(await call('POST', `${path}/resolve`, { json: { resolution: 'Again' } }))).toEqual([
      409,
      'resolved',
    ])
    // Whoever resolves it ends its verification, and with it what is left at the edge.
    expect(await atEdge(site)).toEqual({ granted: false, measured: [] })
    const revision = Number(field(resolved.body, 'revision'))
    const json = { postMortem: '# What we learned' }
    expect(
      refusalOf(await call('PUT', `${path}/post-mortem`, { json, headers: from(revision - 1) })),
    ).toEqual([412, 'stale'])
    const learned = await call('PUT', `${path}/post-mortem`, { json, headers: from(revision) })
    expect(learned.body).toMatchObject({ postMortem: '# What we learned', revision: revision + 1 })
    expect(await get(incident)).toMatchObject(Object(learned.body))
    expect((await auditAfter(end)).map(({ action, target_key: key }) => [action, key])).toEqual(
      ['acknowledge', 'note', 'resolve', 'post_mortem'].map((deed) => [`incident.${deed}`, incident]),
    )
    expect(await toldOf(environment)).toEqual(['opened', 'resolved'])
    const request = makeRequest(`/api/v1${path}?format=markdown`, {
      method: 'GET',
      headers: { authorization: 'Bearer test-admin' },
    })
    const document = await fetchApi(request)
    expect(document.headers.get('content-type')).toBe('text/markdown; charset=utf-8')
    expect(await document.text()).toContain('It was \\*the\\* provider')
  })

  it('says how many units were affected, and shows some by their hashes', async () => {
    const { incident } = await takeBack()
    const { body } = await call('GET', `/incidents/${incident}/units?limit=7`)
    const { affected, sample, partial } = Object(body)
    expect([affected > 20, new Set(sample).size, partial]).toEqual([true, 7, false])
    for (const unit of sample) expect(unit).toMatch(/^[0-9a-f]{32}$/)
  })

  it('is marked when somebody disputes it', async () => {
    const { id, incident } = await takeBack()
    const statements = disputeStatements(id, { actor: 'ada', note: 'A test user', at: Date.now() })
    await env.DB.batch(statements.map((statement) => prepare(env.DB, statement)))
    expect(await get(incident)).toMatchObject({ disputedBy: 'ada', disputeNote: 'A test user', revision: 2 })
    expect((await wordsOf(incident)).at(-1)).toBe('Disputed: A test user')
  })

  it('is opened by hand about a flag that there is', async () => {
    const { environment, flag } = await createSite()
    const json = {
      environment,
      flag,
      title: 'Declined',
      words: 'Cards are declined',
      beganAt: '2020-01-01T00:00:00Z',
    }
    const { status, body } = await call('POST', '/incidents', { json })
    expect([status, body]).toMatchObject([
      201,
      {
        state: 'open',
        rollout: null,
        verification: 'none',
        beganAt: Date.UTC(2020, 0),
        facts: { guards: [] },
      },
    ])
    expect(await get(String(field(body, 'id')))).toMatchObject({
      timeline: [{ words: 'Cards are declined' }],
    })
    const unknown = await call('POST', '/incidents', { json: { ...json, flag: 'unheard-of' } })
    expect(refusalOf(unknown)).toEqual([404, 'not_found'])
    const listed = await call('GET', `/incidents?environment=${environment}&state=open&limit=1`)
    expect(listed.body).toMatchObject({ incidents: [{ id: field(body, 'id') }], nextCursor: null })
  })
})
