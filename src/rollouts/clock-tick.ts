// The two halves of a tick: what is seen and decided, and what is then done. In between the clock keeps what was read.
import type { Bindings } from '../bindings.ts'
import { type Loaded, loadTick } from './clock-load.ts'
import { type Memory, readCounts } from './clock-read.ts'
import { type Decided, decideAll, dueOf, type Published, toSaid, toSteps } from './clock-steps.ts'
import { CLOCK, carryOut, type Outcome, type Spent, type Step } from './conductor.ts'

/** What a tick has seen and decided. */
export type Look = {
  readonly loaded: Loaded
  readonly memory: Memory
  readonly published: Published
  readonly decided: readonly Decided[]
  /** Those that are to be carried out. */
  readonly due: readonly Decided[]
}

/** Reads all that there is to know, and decides; null when the environment is gone. */
export async function look(
  bindings: Bindings,
  environment: string,
  before: Pick<Look, 'memory' | 'published'>,
  at: number,
  spent: Spent,
): Promise<Look | null> {
  spent.calls++
  const loaded = await loadTick(bindings.DB, environment)
  if (!loaded) return null
  const read = await readCounts(bindings, environment, loaded, before.memory, at, spent)
  const { publishedVersion: version } = loaded
  const published = version > before.published.version ? { version, at } : before.published
  const decided = decideAll(loaded, read, published, at)
  const due = dueOf(decided, read, at)
  const said = new Map(read.said)
  for (const { rollout, decision } of due) said.set(rollout.id, toSaid(decision, at))
  return { loaded, memory: { ...read, said }, published, decided, due }
}

/** What is known once a tick has done what it decided. */
export type Done = Pick<Look, 'published'> & Pick<Memory, 'failed'>

/** Says in the log what could not be carried out; true unless somebody else has only been quicker. */
function note(environment: string, { rollout, decision }: Step, outcome: Outcome): boolean {
  if (outcome.ok || outcome.error.reason === 'stale' || outcome.error.reason === 'put_off') return false
  const { error } = outcome
  console.error('step not carried out', { environment, rollout: rollout.id, deed: decision.deed, error })
  return true
}

/**
 * Does what was decided.
 * @param mine throws when another tick has begun meanwhile
 */
export async function act(
  bindings: Bindings,
  environment: string,
  { loaded, memory, due, published }: Look,
  at: number,
  spent: Spent,
  mine: () => void,
): Promise<Done> {
  const steps = await toSteps(bindings, environment, loaded, memory, due, spent)
  const requestId = `clock-${environment}-${at}`
  const author = { actor: CLOCK, via: CLOCK, comment: '', now: at, requestId }
  const failed = new Set<string>()
  let newest = published
  const carry = async (some: readonly Step[]) => {
    mine()
    if (some.length === 0) return
    const outcomes = await carryOut(bindings, author, some, spent)
    for (const [index, outcome] of outcomes.entries()) {
      const step = some[index]
      if (step && note(environment, step, outcome)) failed.add(step.rollout.id)
      // The hub serves it: that KV has it too is known a little later.
      if (!outcome.ok || !outcome.value.published) continue
      const version = outcome.value.version ?? 0
      if (version > newest.version) newest = { version, at }
    }
  }
  await carry(steps.filter(({ rollout }) => !memory.failed.has(rollout.id)))
  await carry(steps.filter(({ rollout }) => memory.failed.has(rollout.id)))
  return { published: newest, failed }
}
