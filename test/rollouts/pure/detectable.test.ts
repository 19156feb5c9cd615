import { expect, it } from 'vitest'
import { detectableIn, trafficOf } from '../../../src/rollouts/detectable.ts'
import type { GuardReading } from '../../../src/rollouts/observations.ts'
import type { Guardrail } from '../../../src/rollouts/plan.ts'
import { newProgress } from '../../../src/rollouts/progress.ts'
import {
  HOUR_MS,
  makeGuardReading,
  makeGuardrail,
  makePlan,
  makePlanGround,
  makeReading,
} from '../../support/rollouts.ts'

/** What stages of 10, 50 and 100 % find, an hour each, after an hour with 1,000 treated units and 9,000 of control. */
function found(guardrail: Guardrail, counts: Partial<GuardReading>) {
  const guard = makeGuardReading({ guardrail: guardrail.id, ...counts })
  const reading = makeReading(HOUR_MS, { guards: [guard], units: { treatment: 1_000, control: 9_000 } })
  const traffic = trafficOf({ ...newProgress(), publishedAt: 0 }, reading)
  const plan = makePlan({ guardrails: [guardrail] })
  return detectableIn(plan, makePlanGround().metrics, traffic).map(({ finds }) => finds[0])
}

const COUNTS = { treatment: { hits: 5, units: 1_000 }, control: { hits: 45, units: 9_000 } }

it('finds less the fewer are treated, and nothing where nobody is left to compare with', () => {
  const [tenth, half, all] = found(makeGuardrail(), COUNTS)
  expect(tenth?.ratio).toBeGreaterThan(4)
  expect(tenth?.words).toBe('finds 4.64 times as many, or worse, 9 times in 10 within 1 h')
  expect(half?.ratio).toBeLessThan(tenth?.ratio ?? 0)
  expect(all).toMatchObject({ ratio: null, words: 'has no control to compare with' })
})

it('finds slower units by those above the frozen quantile, of those that had any observation', () => {
  const test = { kind: 'regression', tolerance: 0.1, quantile: 0.95 } as const
  const latency = makeGuardrail({ id: 'latency', metric: 'http-latency', test })
  const of = (part: number) =>
    found(latency, {
      treatment: { hits: 50 * part, units: 1_000 * part },
      control: { hits: 450 * part, units: 9_000 * part },
    })[0]?.ratio
  expect(of(1)).toBeGreaterThan(1.5)
  expect(of(1)).toBeLessThan(2.5)
  expect(of(0.1)).toBeGreaterThan(of(1) ?? 0)
})

it.each([
  ['seldom', 0.1, 5, 'fewer than 0.01 %'],
  ['often', 0.02, 5, '68 %'],
])('labels a rule of a runbook with its false alarms: %s', (_name, limit, hits, share) => {
  const literal = { windowMs: HOUR_MS }
  const test = { kind: 'threshold', side: 'above', limit, quantile: null, literal } as const
  const [first] = found(makeGuardrail({ test }), { treatment: { hits, units: 500 }, control: null })
  expect(first).toMatchObject({ ratio: null })
  expect(first?.words).toBe(`a rule without statistics: it fires on ${share} of days like the last 1 h`)
})

it('says that a limit needs no control', () => {
  const test = { kind: 'threshold', side: 'above', limit: 0.1, quantile: null, literal: null } as const
  expect(found(makeGuardrail({ test }), COUNTS)[0]?.words).toBe('watches a limit, whatever control does')
})
