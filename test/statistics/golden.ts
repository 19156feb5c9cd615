// Cases that were computed with other tools, each with the tolerance that it asks for.
import { expect } from 'vitest'
import { readVectors } from '../support/engine.ts'

/** One case: `how` in the file says which tool computed it. */
export type Golden<Input, Output> = {
  readonly id: string
  readonly input: Input
  readonly output: Output
  readonly rtol: number
}

const { cases } = readVectors<{ readonly cases: readonly Golden<never, never>[] }>('statistics')

/** The cases whose ids begin so, at least one. */
export function goldenCases<Input, Output>(...prefixes: readonly string[]): readonly Golden<Input, Output>[] {
  const found = cases.filter(({ id }) => prefixes.some((prefix) => id.startsWith(prefix)))
  if (found.length === 0) throw new Error(`no golden case begins with ${prefixes.join(' or ')}`)
  return found
}

/** Expects numbers to be those of a case, each within its relative tolerance; 0 to be what rounding leaves of it. */
export function expectWithin(rtol: number, found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length)
  for (const [index, value] of expected.entries()) {
    const difference = Math.abs((found[index] ?? Number.NaN) - value)
    expect(difference, `${found[index]} is not ${value}`).toBeLessThanOrEqual(rtol * Math.abs(value) + 1e-17)
  }
}
