// Pure. A seed decides who falls where, so at one place it stays what it is for as long as the place splits.
import type { FlagConfiguration, Serve } from '../engine/flag.ts'
import { below, type Problem, Problems } from '../engine/problem.ts'

function checkSeed(before: Serve, after: Serve, path: string, problems: Problems): void {
  if (!('split' in before && 'split' in after) || before.split.seed === after.split.seed) return
  problems.add(
    below(path, 'split.seed'),
    'seed_changed',
    `must stay "${before.split.seed}", or units would move`,
  )
}

/**
 * Finds the splits whose seed a draft changes: a place is the fallthrough, or the rule of an id wherever it stands.
 * A rule under another id is a new place, and so is one that did not split before.
 */
export function seedChanges(before: FlagConfiguration, after: FlagConfiguration): Problem[] {
  const problems = new Problems()
  const served = new Map(before.rules.map(({ id, serve }) => [id, serve]))
  for (const [index, { id, serve }] of after.rules.entries()) {
    const previous = served.get(id)
    if (previous) checkSeed(previous, serve, below(below('rules', index), 'serve'), problems)
  }
  checkSeed(before.fallthrough, after.fallthrough, 'fallthrough', problems)
  return problems.found
}
