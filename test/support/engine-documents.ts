// Documents as they come in, to be broken in one place at a time.
import { isJsonObject } from '../../src/engine/json.ts'
import type { Problem, ProblemRule } from '../../src/engine/problem.ts'
import type { Result } from '../../src/engine/result.ts'

export const PRO = { attribute: 'plan', op: 'equals', values: ['pro'] }

/** A flag that uses all there is. */
export const FLAG = {
  type: 'string',
  variants: [
    { name: 'a', value: 'A' },
    { name: 'b', value: 'B' },
    { name: 'c', value: '' },
  ],
  metadata: { owner: 'shop', tier: 1, legacy: false },
  clientVisible: true,
  enabled: true,
  offVariant: 'a',
  prerequisites: [{ flag: 'other', variants: ['on', 'off'] }],
  targets: [{ variant: 'b', units: ['ann', 'bob'] }],
  rules: [
    { id: 'r1', description: 'People who pay', when: PRO, serve: { variant: 'b' } },
    {
      id: 'r2',
      when: { all: [{ any: [PRO, { segment: 'staff' }] }, { not: { segment: 'bots' } }] },
      serve: {
        split: {
          weights: [
            { variant: 'a', weight: 1 },
            { variant: 'b', weight: 0 },
          ],
          by: 'company.id',
          seed: 's1',
        },
      },
    },
  ],
  fallthrough: {
    split: {
      weights: [
        { variant: 'a', weight: 30 },
        { variant: 'c', weight: 70 },
      ],
      by: 'targetingKey',
      seed: 's2',
      bucketing: { scheme: 'growthbook', seed: 's', hashVersion: 1, coverage: 0.5 },
    },
  },
}

/** A rollout that uses all there is, of that flag. */
export const ROLLOUT = {
  id: 'x1',
  variant: 'c',
  seed: 's3',
  by: 'targetingKey',
  stage: 2,
  grants: [
    { audience: PRO, percentage: 100 },
    { audience: null, percentage: 0.001 },
  ],
  measured: true,
}

/** A segment that uses all there is. */
export const SEGMENT = { condition: PRO, included: ['ann'], excluded: ['bob', 'zoë'] }

export type Path = readonly (string | number)[]

/** A deep copy in which the value at a path is another; `undefined` takes the field out. */
export function withValue(document: unknown, path: Path, value: unknown): unknown {
  const [field, ...rest] = path
  if (field === undefined) return value
  if (Array.isArray(document)) {
    const copy: unknown[] = [...document]
    copy[Number(field)] = withValue(copy[Number(field)], rest, value)
    return copy
  }
  const object = isJsonObject(document) ? document : {}
  const entry: unknown = withValue(object[field], rest, value)
  return Object.fromEntries([...Object.entries(object).filter(([name]) => name !== field), [field, entry]])
}

/** Where each problem is, and which rule it breaks. */
export function problemsOf(
  parsed: Result<unknown, readonly Problem[]>,
): readonly (readonly [string, ProblemRule])[] {
  return parsed.ok ? [] : parsed.error.map(({ path, rule }) => [path, rule] as const)
}

/** A list of as many entries as a limit allows, or one more. */
export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

/** A condition that many levels deep. */
export function nested(depth: number): unknown {
  return depth === 1 ? PRO : { not: nested(depth - 1) }
}

/** Names that the flag has, and then others. */
export const manyVariants = (count: number) =>
  times(count, (i) => ({ name: ['a', 'b', 'c'][i] ?? `v${i}`, value: '' }))
export const manyWeights = (count: number) => times(count, (i) => ({ variant: `v${i}`, weight: 1 }))
export const manyForeignWeights = (count: number) => times(count, () => ({ variant: 'a', weight: 1 }))
export const makeRule = (id: string) => ({ id, when: PRO, serve: { variant: 'a' } })

/** Places in the flag: its first rule, that one's condition, the splits of the fallthrough and of the second rule. */
export const R1 = ['rules', 0] as const
export const WHEN = [...R1, 'when'] as const
export const FALL = ['fallthrough', 'split'] as const
export const SPLIT = ['rules', 1, 'serve', 'split'] as const
