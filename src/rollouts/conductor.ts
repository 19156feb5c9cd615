// Carries out what was decided about rollouts, by the clock or by a person: compared and set by their revisions, so that
// of two who decide at once one wins and the other reads again.
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Bindings } from '../bindings.ts'
import { commitChange, type Versions } from '../catalog/change.ts'
import { publishAll } from '../catalog/publish.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { withTimeout } from '../http/with-timeout.ts'
import type { Author } from '../ledger/author.ts'
import type { Answer } from '../ledger/commit.ts'
import { clockOf } from './clock-protocol.ts'
import { changesRow, composeSteps, type Step } from './step-change.ts'
import { rollouts } from './tables.ts'

export type { Step } from './step-change.ts'

/** A step that was carried out. */
export type Carried = {
  /** The rollout's new revision. */
  readonly revision: number
  /** The environment's new version; null: nothing that the edge has changed. */
  readonly version: number | null
  /** Whether the edge has it. */
  readonly published: boolean
  readonly answer: Answer
}

/** Why a step was not carried out. Nothing of it was. */
export type CarryError = SaveError | { readonly reason: 'put_off' }

/** The actor of what a clock does. */
export const CLOCK = 'clock'

const WAKE_TIMEOUT_MS = 1_000

/** How many steps are carried out one by one when together they could not be. */
const MAX_SINGLE = 6

/** What came of a step. */
export type Outcome = Result<Carried, CarryError>

/** What carrying out has cost: calls to anything outside. */
export type Spent = { calls: number }

type Committed = Result<{ readonly versions: Versions; readonly answer: Answer }, SaveError>

async function commitSteps(
  bindings: Bindings,
  author: Author,
  steps: readonly Step[],
  spent: Spent,
): Promise<Committed> {
  const [first, ...others] = steps
  if (!first) throw new Error('no steps')
  const composed = await composeSteps(bindings.DB, author, [first, ...others], spent)
  if (!composed.ok) return composed
  const { change, extras } = composed.value
  spent.calls++
  return commitChange(bindings.DB, change, author, extras)
}

/** Those of the steps whose rollouts still stand as they were read. */
async function loadFresh(database: D1Database, steps: readonly Step[]): Promise<Set<Step>> {
  const ids = JSON.stringify(steps.map(({ rollout }) => rollout.id))
  const rows = await drizzle(database)
    .select({ id: rollouts.id, revision: rollouts.revision })
    .from(rollouts)
    .where(sql`${rollouts.id} IN (SELECT value FROM json_each(${ids}))`)
  const revisions = new Map(rows.map(({ id, revision }) => [id, revision]))
  return new Set(steps.filter(({ rollout }) => revisions.get(rollout.id) === rollout.revision))
}

/** What came of the steps that were committed, and of the others. */
class Outcomes {
  private readonly outcomes = new Map<Step, Outcome>()
  readonly versions = new Map<string, number>()

  take(steps: readonly Step[], committed: Committed): void {
    if (!committed.ok) {
      for (const step of steps) this.outcomes.set(step, committed)
      return
    }
    const { versions, answer } = committed.value
    for (const [environment, version] of versions) this.versions.set(environment, version)
    for (const step of steps) {
      const version = versions.get(step.rollout.plan.environment) ?? null
      const revision = step.rollout.revision + Number(changesRow(step))
      this.outcomes.set(step, ok({ revision, version, published: false, answer }))
    }
  }

  refuse(step: Step, reason: 'stale' | 'put_off'): void {
    this.outcomes.set(step, err({ reason }))
  }

  of(step: Step): Outcome {
    return this.outcomes.get(step) ?? err({ reason: 'put_off' })
  }
}

/** Carries out steps that could not be carried out together: what takes something back first, and only so many. */
async function carrySingly(
  bindings: Bindings,
  author: Author,
  steps: readonly Step[],
  outcomes: Outcomes,
  spent: Spent,
): Promise<void> {
  const isRollback = ({ decision }: Step) => decision.deed === 'rollback'
  const inOrder = [...steps.filter(isRollback), ...steps.filter((step) => !isRollback(step))]
  for (const [index, step] of inOrder.entries()) {
    if (index < MAX_SINGLE) outcomes.take([step], await commitSteps(bindings, author, [step], spent))
    else outcomes.refuse(step, 'put_off')
  }
}

async function carryTogether(
  bindings: Bindings,
  author: Author,
  steps: readonly Step[],
  outcomes: Outcomes,
  spent: Spent,
): Promise<void> {
  const committed = await commitSteps(bindings, author, steps, spent)
  if (committed.ok || steps.length === 1) return outcomes.take(steps, committed)
  spent.calls++
  const fresh = await loadFresh(bindings.DB, steps)
  const rest = steps.filter((step) => fresh.has(step))
  for (const step of steps) if (!fresh.has(step)) outcomes.refuse(step, 'stale')
  if (rest.length === 0) return
  if (rest.length < steps.length) {
    const again = await commitSteps(bindings, author, rest, spent)
    if (again.ok) return outcomes.take(rest, again)
  }
  await carrySingly(bindings, author, rest, outcomes, spent)
}

/** Wakes the clocks of rollouts that somebody has begun: the cron would do so within a minute. */
async function wakeClocks(bindings: Bindings, steps: readonly Step[]): Promise<void> {
  const begun = steps.filter(
    ({ rollout, decision }) =>
      rollout.plan.guardrails.length > 0 &&
      rollout.progress.state !== decision.progress.state &&
      (decision.progress.state === 'running' || decision.progress.state === 'rolling_back'),
  )
  for (const environment of new Set(begun.map(({ rollout }) => rollout.plan.environment))) {
    try {
      await withTimeout(clockOf(bindings, environment).wake(), WAKE_TIMEOUT_MS)
    } catch (error) {
      console.warn('rollout clock not woken', { environment, error: String(error) })
    }
  }
}

/**
 * Carries steps out, those of one environment in one batch, and publishes what the edge is to have. Where one of them
 * cannot be carried out the others are, rollbacks first; what is put off is decided again at the next tick.
 * @returns what came of each step, in their order
 */
export async function carryOut(
  bindings: Bindings,
  author: Author,
  steps: readonly Step[],
  spent: Spent = { calls: 0 },
): Promise<readonly Outcome[]> {
  const outcomes = new Outcomes()
  for (const group of Map.groupBy(steps, ({ rollout }) => rollout.plan.environment).values()) {
    await carryTogether(bindings, author, group, outcomes, spent)
  }
  spent.calls += outcomes.versions.size
  const published = await publishAll(bindings, outcomes.versions)
  if (author.actor !== CLOCK) {
    await wakeClocks(
      bindings,
      steps.filter((step) => outcomes.of(step).ok),
    )
  }
  return steps.map((step) => {
    const outcome = outcomes.of(step)
    if (!outcome.ok || outcome.value.version === null) return outcome
    const { environment } = step.rollout.plan
    return ok({ ...outcome.value, published: published[environment]?.published ?? false })
  })
}
