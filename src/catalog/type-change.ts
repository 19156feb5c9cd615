import type { FlagConfiguration, FlagDefinition } from '../engine/flag.ts'
import type { Problem } from '../engine/problem.ts'

/** A flag's configuration and the environment that it is for. */
type EnvironmentConfiguration = { readonly environment: string; readonly configuration: FlagConfiguration }

function isLive({ enabled, offVariant }: FlagConfiguration): boolean {
  return enabled || offVariant !== null
}

/**
 * Finds whether a draft changes a flag's type while some environment answers one of its variants: it is enabled
 * there, or has an off variant. Applications that ask would get a value of another type.
 */
export function typeChange(
  before: FlagDefinition,
  after: FlagDefinition,
  configurations: readonly EnvironmentConfiguration[],
): Problem[] {
  if (before.type === after.type) return []
  const live = configurations.filter(({ configuration }) => isLive(configuration))
  if (live.length === 0) return []
  const names = live.map(({ environment }) => environment).join(', ')
  return [
    {
      path: 'type',
      rule: 'type_changed',
      message: `must stay ${before.type}: variants are live in ${names}`,
    },
  ]
}
