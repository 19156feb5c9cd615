// Rollouts that live in the database and at the edge, and units that come to them through the Worker's own doors.
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { drizzle } from 'drizzle-orm/d1'
import { expect } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import { evaluate } from '../../src/engine/evaluate.ts'
import { type Clock, type ClockStatus, clockOf } from '../../src/rollouts/clock-protocol.ts'
import type { Plan } from '../../src/rollouts/plan.ts'
import { newProgress, type Progress } from '../../src/rollouts/progress.ts'
import type { Rollout } from '../../src/rollouts/rollout.ts'
import { loadRollout } from '../../src/rollouts/rollout-store.ts'
import { rollouts } from '../../src/rollouts/tables.ts'
import { BLOCK_MS } from '../../src/telemetry/counting/blocks.ts'
import { rows } from './database.ts'
import { EVENTS, makeBatch } from './events.ts'
import { putMetric } from './measurements.ts'
import { makeGuardrail, makePlan } from './rollouts.ts'
import {
  ask,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  moveClock,
  uniqueName,
  warm,
} from './worker.ts'

/** What a test guards by. */
export const ERROR = 'guarded-error'

/** A flag that is off, in an environment of its own, with a metric and a key. */
export type Site = { readonly environment: string; readonly flag: string; readonly key: string }

/** Makes a site; the clock is then at the beginning of a block. */
export async function createSite(draft: object = {}): Promise<Site> {
  const environment = await createEnvironment(draft)
  const flag = uniqueName('checkout')
  await createFlag(flag)
  await configure(environment, flag, { fallthrough: { variant: 'off' } })
  await putMetric(ERROR, { kind: 'error', goodDirection: 'down' })
  const { key } = await createKey(environment)
  moveClock(BLOCK_MS - (Date.now() % BLOCK_MS))
  return { environment, flag, key }
}

/** A guardrail on the site's errors. */
export const guardErrors = (overrides: Parameters<typeof makeGuardrail>[0] = {}) =>
  makeGuardrail({ id: 'errors', metric: ERROR, ...overrides })

let ids = 0

/** Stores a rollout that waits to begin, guarded by errors unless the plan says else. */
export async function storeRollout(
  { environment, flag }: Pick<Site, 'environment' | 'flag'>,
  plan: Partial<Plan> = {},
  progress: Partial<Progress> = {},
): Promise<string> {
  const id = `r${String(++ids).padStart(11, '0')}`
  const now = Date.now()
  const whole: Progress = { ...newProgress(), state: 'scheduled', ...progress }
  await drizzle(env.DB)
    .insert(rollouts)
    .values({
      id,
      environment,
      flag,
      state: whole.state,
      plan: makePlan({ guardrails: [guardErrors()], ...plan, environment, flag }),
      draft: {},
      seed: id,
      progress: whole,
      revision: 1,
      createdBy: 'test',
      createdAt: now,
      updatedAt: now,
    })
  return id
}

/** A rollout as it stands now. */
export async function standingOf(id: string): Promise<Rollout> {
  const rollout = await loadRollout(env.DB, id)
  if (!rollout) throw new Error(`there is no rollout ${id}`)
  return rollout
}

/** What was decided about a rollout, in order: deed and reason. */
export async function timelineOf(id: string): Promise<string[]> {
  const found = await rows<{ deed: string; reason: string }>(
    "SELECT deed, reason ->> 'code' AS reason FROM rollout_decisions WHERE rollout = ? ORDER BY id",
    id,
  )
  return found.map(({ deed, reason }) => `${deed} ${reason}`)
}

export const clockIn = (environment: string, bindings: Bindings = env): Clock =>
  clockOf(bindings, environment)

/** Lets the clock tick now. */
export function tickIn(environment: string): Promise<ClockStatus> {
  return clockIn(environment).tick(Date.now())
}

/** Lets a clock run with bindings of the test's own. */
export async function rebindClock(environment: string, bindings: Bindings): Promise<void> {
  await runInDurableObject(env.CLOCK.getByName(environment), (instance) =>
    Reflect.set(instance, 'env', bindings),
  )
}

/** Lets a span pass, in which the clock ticks after every block. */
export async function pass(environment: string, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += BLOCK_MS) {
    moveClock(BLOCK_MS)
    await tickIn(environment)
  }
}

/** How often units of an arm fail. */
export type Failing = { readonly treated: number; readonly others: number }

/** What each unit is observed with, by whether it is treated. */
export type Observing = { readonly name: string; readonly of: (isTreated: boolean) => number }

/** New units come, see the flag, and some of them fail: every so many-th, so that nothing is left to chance. */
export async function visit(
  { environment, flag, key }: Site,
  count: number,
  { treated, others }: Failing,
  observing?: Observing,
): Promise<void> {
  await warm(environment)
  const flags = snapshotCache.view(environment)?.environment.flags
  if (!flags) throw new Error('there is no snapshot')
  const seen = { treated: 0, others: 0 }
  const events = Array.from({ length: count }, () => {
    const unit = uniqueName('visitor')
    const evaluation = evaluate(flags, flag, { targetingKey: unit }, Date.now())
    if (evaluation.reason === 'ERROR') throw new Error(evaluation.errorMessage)
    const { variant, assignment } = evaluation
    const arm = variant === 'on' ? 'treated' : 'others'
    const rate = arm === 'treated' ? treated : others
    const before = Math.floor(seen[arm] * rate)
    seen[arm]++
    const tag = assignment?.tag
    const exposure = { kind: 'exposure', flag, variant, unit, tag }
    const alive = { kind: 'track', name: 'page-seen', unit, tag }
    const observed = observing && {
      kind: 'measure',
      name: observing.name,
      value: observing.of(arm === 'treated'),
      unit,
      tag,
    }
    const failure = { kind: 'measure', name: ERROR, value: 1, unit, tag }
    const fails = Math.floor(seen[arm] * rate) > before
    return [exposure, alive, ...(observed ? [observed] : []), ...(fails ? [failure] : [])]
  }).flat()
  const { status, body } = await ask(EVENTS, { key, json: makeBatch(events) })
  expect([status, body]).toEqual([202, { accepted: events.length, rejected: [] }])
}
