// The emergency: a flag is switched off, and what goes on there is taken back, in one batch. It waits for nothing and
// nobody, and asks for no revision: whatever has changed meanwhile, off is off.

import { and, eq, inArray } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Bindings } from '../bindings.ts'
import { commitChange } from '../catalog/change.ts'
import { loadFlagIn } from '../catalog/flag-store.ts'
import { type Published, publishAll } from '../catalog/publish.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import type { Answer, AuditEntry } from '../ledger/commit.ts'
import { STANDING_STATES } from './attachments.ts'
import { carryOut } from './conductor.ts'
import { configurationPart } from './configuration-part.ts'
import type { Decision } from './decision.ts'
import { cancel, rollBack } from './deeds.ts'
import { NO_PART, type Part } from './part.ts'
import type { Rollout } from './rollout.ts'
import { toRollout } from './rollout-store.ts'
import { rollouts } from './tables.ts'

/** What was stopped. */
export type Stopped = {
  /** Whether the flag was on; false: it was off already. */
  readonly switchedOff: boolean
  /** The rollout that was taken back or cancelled; null: none went on. */
  readonly rollout: string | null
  readonly environments: { readonly [environment: string]: Published }
}

/** However often others are first, somebody who presses this button gets through. */
const MAX_ATTEMPTS = 10

async function loadStanding(
  database: D1Database,
  flag: string,
  environment: string,
): Promise<Rollout | undefined> {
  const row = await drizzle(database)
    .select()
    .from(rollouts)
    .where(
      and(
        eq(rollouts.flag, flag),
        eq(rollouts.environment, environment),
        inArray(rollouts.state, [...STANDING_STATES]),
      ),
    )
    .get()
  return row && toRollout(row)
}

/** What takes a rollout from its flag, whatever it is doing. */
function takeAway({ plan, progress }: Rollout, now: number): Decision {
  const hasBegun = progress.stage >= 0
  const taken = hasBegun
    ? rollBack(plan, progress, { mode: 'immediate', audiences: [] }, now)
    : cancel(plan, progress, now)
  if (!taken.ok)
    throw new Error(`a rollout that is ${progress.state} can be taken back: ${taken.error.reason}`)
  return taken.value
}

type Ground = { readonly part: Part; readonly isOn: boolean }

async function loadGround(
  database: D1Database,
  key: string,
  environment: string,
  now: number,
): Promise<Result<Ground, SaveError>> {
  const found = await loadFlagIn(database, key, environment)
  if (!found) return err({ reason: 'not_found', what: `flag "${key}"` })
  const { flag, configuration } = found
  if (!configuration) return err({ reason: 'not_found', what: `environment "${environment}"` })
  if (flag.archivedAt !== null) return err({ reason: 'archived' })
  const isOn = configuration.configuration.enabled
  const off = { ...configuration.configuration, enabled: false }
  const part = isOn ? configurationPart(database, flag, configuration, off, now) : ok(NO_PART)
  return part.ok ? ok({ part: part.value, isOn }) : part
}

type Place = { readonly flag: string; readonly environment: string }

const ACTION = 'configuration.switch_off'

function answerOf(switchedOff: boolean, rollout: Rollout | undefined): Answer {
  return { status: 200, body: { switchedOff, rollout: rollout?.id ?? null }, shows: ['environments'] }
}

async function switchOff(
  bindings: Bindings,
  { part, isOn }: Ground,
  { flag }: Place,
  author: Author,
): Promise<Result<Stopped, SaveError>> {
  const target = { kind: 'flag', key: flag }
  const answer = answerOf(isOn, undefined)
  const committed = await commitChange(bindings.DB, { action: ACTION, target, ...part, answer }, author)
  if (!committed.ok) return committed
  const environments = await publishAll(bindings, committed.value.versions)
  return ok({ switchedOff: isOn, rollout: null, environments })
}

async function takeBack(
  bindings: Bindings,
  { part, isOn }: Ground,
  rollout: Rollout,
  { flag, environment }: Place,
  author: Author,
): Promise<Result<Stopped, SaveError>> {
  const { actor, via, comment, requestId, now } = author
  const entry: AuditEntry = {
    ...{ actor, via, comment, requestId, at: now, action: ACTION },
    target: { kind: 'flag', key: flag },
    details: { environment },
  }
  const extras = { ...part, answer: answerOf(isOn, rollout), entries: isOn ? [entry] : [] }
  const decision = takeAway(rollout, now)
  const [outcome] = await carryOut(bindings, author, [{ rollout, decision, evidence: null, extras }])
  if (!outcome) throw new Error('a step has an outcome')
  if (!outcome.ok) return err(outcome.error.reason === 'put_off' ? { reason: 'stale' } : outcome.error)
  const { version, published } = outcome.value
  const environments = version === null ? {} : { [environment]: { version, published } }
  return ok({ switchedOff: isOn, rollout: rollout.id, environments })
}

async function attempt(
  bindings: Bindings,
  place: Place,
  author: Author,
): Promise<Result<Stopped, SaveError>> {
  const { flag, environment } = place
  const [ground, rollout] = await Promise.all([
    loadGround(bindings.DB, flag, environment, author.now),
    loadStanding(bindings.DB, flag, environment),
  ])
  if (!ground.ok) return ground
  if (!rollout) return switchOff(bindings, ground.value, place, author)
  const taken = await takeBack(bindings, ground.value, rollout, place, author)
  if (taken.ok || taken.error.reason === 'stale' || taken.error.reason === 'repeated') return taken
  // Whatever keeps the rollout from being taken back does not keep the flag on.
  console.error('a rollout could not be taken back', { rollout: rollout.id, reason: taken.error.reason })
  return switchOff(bindings, ground.value, place, author)
}

/** Switches a flag off in an environment and takes back what goes on there. */
export async function stopFlag(
  bindings: Bindings,
  flag: string,
  environment: string,
  author: Author,
): Promise<Result<Stopped, SaveError>> {
  for (let attempts = 1; ; attempts++) {
    const stopped = await attempt(bindings, { flag, environment }, author)
    if (stopped.ok || stopped.error.reason !== 'stale' || attempts >= MAX_ATTEMPTS) return stopped
  }
}
