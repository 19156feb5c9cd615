// What callers may know of evaluations.
import type { EnvironmentSnapshot } from '../catalog/environment-snapshot.ts'
import type { Evaluation } from '../engine/evaluation.ts'
import type { Snapshot } from '../engine/snapshot.ts'
import { signTag } from '../telemetry/events/tag.ts'
import type { Caller } from './authenticate.ts'

function withoutHidden(evaluation: Evaluation, flags: Snapshot): Evaluation {
  const { prerequisite } = evaluation.metadata
  if (typeof prerequisite !== 'string') return evaluation
  if (!flags.has(prerequisite) || flags.flag(prerequisite)?.clientVisible) return evaluation
  const { prerequisite: _, ...metadata } = evaluation.metadata
  return { ...evaluation, metadata }
}

function withSignedTag(evaluation: Evaluation, environment: EnvironmentSnapshot, now: number): Evaluation {
  if (evaluation.reason === 'ERROR' || !evaluation.assignment) return evaluation
  const { tag, by, unit } = evaluation.assignment
  return { ...evaluation, assignment: { tag: signTag(environment, tag, unit, now), by, unit } }
}

/**
 * What a caller may know of an evaluation: a client not the name of a prerequisite that is hidden from it, and tags
 * only signed, because it is public and could send back any.
 */
export function shownTo(
  { key }: Caller,
  evaluation: Evaluation,
  environment: EnvironmentSnapshot,
  now: number,
): Evaluation {
  if (key.kind !== 'client') return evaluation
  return withSignedTag(withoutHidden(evaluation, environment.flags), environment, now)
}
