import type { Condition, FlagConfiguration, RolloutGrants, Segment } from './flag.ts'

/** What an entity points at, each named once. */
export type References = { readonly flags: readonly string[]; readonly segments: readonly string[] }

function collectSegments(condition: Condition, into: Set<string>): void {
  if ('segment' in condition) into.add(condition.segment)
  else if ('not' in condition) collectSegments(condition.not, into)
  else if ('all' in condition) for (const child of condition.all) collectSegments(child, into)
  else if ('any' in condition) for (const child of condition.any) collectSegments(child, into)
}

function collectGranted({ grants }: RolloutGrants, into: Set<string>): void {
  for (const { audience } of grants) if (audience) collectSegments(audience, into)
}

/** The segments that a rollout's audiences name. */
export function rolloutReferences(rollout: RolloutGrants): readonly string[] {
  const segments = new Set<string>()
  collectGranted(rollout, segments)
  return [...segments]
}

/** The segments and prerequisites that a flag names in one environment. */
export function flagReferences(flag: FlagConfiguration, rollout: RolloutGrants | null): References {
  const segments = new Set<string>()
  for (const { when } of flag.rules) collectSegments(when, segments)
  if (rollout) collectGranted(rollout, segments)
  return {
    flags: [...new Set(flag.prerequisites.map((prerequisite) => prerequisite.flag))],
    segments: [...segments],
  }
}

/** The segments that a segment names. */
export function segmentReferences(segment: Segment): References {
  const segments = new Set<string>()
  if (segment.condition) collectSegments(segment.condition, segments)
  return { flags: [], segments: [...segments] }
}
