// What people do to a rollout, carried out: decided on what is so at that moment, and again where the clock or somebody
// else was first.
import { type Actor, reaches } from '../access/actor.ts'
import { environmentRefusal, refusalFor, roleRefusal } from '../access/management.ts'
import type { Bindings } from '../bindings.ts'
import { mayApprove } from '../catalog/authority.ts'
import type { Published } from '../catalog/publish.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Refusal } from '../http/problem.ts'
import type { Author } from '../ledger/author.ts'
import type { Answer, AuditEntry } from '../ledger/commit.ts'
import { carryOut } from './conductor.ts'
import type { Decision } from './decision.ts'
import { type FoundRollout, findRollout } from './found-rollout.ts'
import type { Reading } from './observations.ts'
import type { Part } from './part.ts'
import type { RolloutState } from './progress.ts'
import { carryRefusal } from './refusals.ts'
import type { Rollout } from './rollout.ts'

/** What is done, as it was decided. */
export type Doing = {
  /** As it is about to be; left out: as it was found. */
  readonly rollout?: Rollout
  readonly decision: Decision
  readonly reading?: Reading | null
  readonly part?: Part
  readonly entries?: readonly AuditEntry[]
}

/** A deed: who may do it, and what it comes to. */
export type DeedCall = {
  readonly role: 'developer' | 'releaser'
  /** Whether a protected environment asks for a releaser. */
  readonly guarded?: boolean
  readonly decide: (found: FoundRollout, now: number) => Promise<Result<Doing, Refusal>>
}

/** What a deed is answered with. */
export type Done = {
  readonly id: string
  readonly state: RolloutState
  readonly stage: number
  readonly epoch: number
  readonly revision: number
  readonly environments: { readonly [environment: string]: Published }
}

/** How often a deed is decided anew because something else has changed the rollout meanwhile. */
const MAX_ATTEMPTS = 4

export const noRollout = (id: string): Refusal => ({
  status: 404,
  code: 'not_found',
  message: `there is no rollout "${id}"`,
})

/** Loads a rollout that an actor reaches; who does not is not told that it is there. */
export async function findReached(
  database: D1Database,
  actor: Actor,
  id: string,
): Promise<Result<FoundRollout, Refusal>> {
  const found = await findRollout(database, id)
  const isReached = found && reaches(actor, found.rollout.plan.environment)
  return isReached ? ok(found) : err(noRollout(id))
}

/** Why somebody may not let happen what another has started; undefined when they may. */
export function secondPersonRefusal(
  actor: Actor,
  { starter, isProtected, rollout }: FoundRollout,
): Refusal | undefined {
  if (!isProtected || starter === null) return undefined
  switch (mayApprove(actor, starter, [rollout.plan.environment])) {
    case 'yes':
      return undefined
    case 'role':
      return roleRefusal('releaser')
    case 'environment':
      return environmentRefusal(rollout.plan.environment)
    case 'own':
      return {
        status: 403,
        code: 'own_change',
        message: 'whoever started it does not approve it: a second person does',
      }
  }
}

function answerOf({ id, revision }: Rollout, { progress }: Decision, isChanged: boolean): Answer {
  const { state, stage, epoch } = progress
  const body = { id, state, stage, epoch, revision: revision + Number(isChanged) }
  return { status: 200, body, shows: ['environments'] }
}

async function attempt(
  bindings: Bindings,
  found: FoundRollout,
  author: Author,
  decide: DeedCall['decide'],
): Promise<Result<Done, Refusal>> {
  const doing = await decide(found, author.now)
  if (!doing.ok) return doing
  const { rollout = found.rollout, decision, reading = null, part, entries = [] } = doing.value
  const isChanged = decision.progress !== rollout.progress
  const answer = answerOf(rollout, decision, isChanged)
  const extras = { ...part, answer, entries }
  const [outcome] = await carryOut(bindings, author, [{ rollout, decision, evidence: null, reading, extras }])
  if (!outcome) throw new Error('a step has an outcome')
  if (!outcome.ok) return err(carryRefusal(outcome.error))
  const { version, published } = outcome.value
  const { state, stage, epoch } = decision.progress
  const { id, revision, plan } = rollout
  return ok({
    ...{ id, state, stage, epoch, revision: revision + Number(isChanged) },
    environments: version === null ? {} : { [plan.environment]: { version, published } },
  })
}

/**
 * Carries a deed out.
 * @param revision what it was decided on; undefined: whatever is so now
 */
export async function perform(
  bindings: Bindings,
  actor: Actor,
  author: Author,
  { id, revision }: { readonly id: string; readonly revision: number | undefined },
  { role, guarded = false, decide }: DeedCall,
): Promise<Result<Done, Refusal>> {
  const refused = refusalFor(actor, role)
  if (refused) return err(refused)
  for (let attempts = 1; ; attempts++) {
    const found = await findReached(bindings.DB, actor, id)
    if (!found.ok) return found
    const { rollout, isProtected } = found.value
    const needed = guarded && isProtected ? refusalFor(actor, 'releaser') : undefined
    if (needed) return err(needed)
    if (revision !== undefined && rollout.revision !== revision) return err(carryRefusal({ reason: 'stale' }))
    const done = await attempt(bindings, found.value, author, decide)
    if (done.ok || done.error.status !== 412 || revision !== undefined || attempts >= MAX_ATTEMPTS)
      return done
  }
}
