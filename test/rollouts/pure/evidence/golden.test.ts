import { expect, it } from 'vitest'
import { type Evidence, newEvidence } from '../../../../src/rollouts/evidence/evidence.ts'
import { readEvidence } from '../../../../src/rollouts/evidence/read-evidence.ts'
import { takeBlocks } from '../../../../src/rollouts/evidence/take-blocks.ts'
import type { GuardBlock } from '../../../../src/telemetry/counting/blocks.ts'
import { expectWithin, goldenCases } from '../../../statistics/golden.ts'
import { endOf, makeBlock, makeCounts, makeGround, makeGuard, makeMetric, makePlan, START } from './ground.ts'

type Four = readonly [xT: number, nT: number, xC: number, nC: number]
type Looks = { readonly per_block_logG_logE_logSR: readonly (readonly [number, number, number])[] }

/** Both arms of a stratum in a block; an arm without units has none. */
function bothArms(index: number, stratum: string, [xT, nT, xC, nC]: Four): GuardBlock[] {
  const arms = [
    makeBlock(index, { stratum, arm: 't', metrics: [makeCounts(xT, nT)] }),
    makeBlock(index, { stratum, arm: 'c', metrics: [makeCounts(xC, nC)] }),
  ]
  return arms.filter(({ metrics }) => metrics.some(({ n }) => n > 0))
}

function meanOf(logs: readonly number[]): number {
  return Math.log(logs.reduce((sum, log) => sum + Math.exp(log), 0) / logs.length)
}

function lookAt(evidence: Evidence, found: number | undefined): number[] {
  const mixture = evidence.guards.get('all errors-1')?.track?.mixture
  return [found ?? Number.NaN, meanOf(mixture?.logE ?? []), meanOf(mixture?.logSR ?? [])]
}

it.each(
  goldenCases<
    { readonly blocks_strata_xT_nT_xC_nC: readonly (readonly Four[])[]; readonly r0: number },
    Looks
  >('guard-mix-'),
)('has the evidence of $id, block by block', ({ input, output, rtol }) => {
  const test = { kind: 'regression', tolerance: input.r0 - 1, quantile: null } as const
  const ground = makeGround(makePlan({ guardrails: [makeGuard(test)] }))
  let evidence = newEvidence(START)
  for (const [index, strata] of input.blocks_strata_xT_nT_xC_nC.entries()) {
    const names = ['3', '1']
    const blocks = strata.flatMap((counts, place) =>
      bothArms(index, (strata.length > 1 && names[place]) || '1', counts),
    )
    evidence = takeBlocks(evidence, ground, { through: endOf(index + 1), blocks })
    const [guard] = readEvidence(evidence, ground).guards
    expectWithin(rtol, lookAt(evidence, guard?.evidence), output.per_block_logG_logE_logSR[index] ?? [])
  }
  expect(evidence.guards.get('all errors-1')?.track?.mixture.blocks).toBe(
    input.blocks_strata_xT_nT_xC_nC.length,
  )
})

it.each(
  goldenCases<{ readonly blocks_x_n: readonly (readonly [number, number])[]; readonly c: number }, Looks>(
    'guard-threshold',
  ),
)('has the evidence of $id for first observations above a limit', ({ input, output, rtol }) => {
  const test = {
    kind: 'threshold',
    side: 'above',
    limit: 1000,
    quantile: 1 - input.c,
    literal: null,
  } as const
  const plan = makePlan({ guardrails: [makeGuard(test)] })
  const ground = makeGround(plan, [makeMetric('errors', 'latency')])
  let evidence = newEvidence(START)
  for (const [index, [x, n]] of input.blocks_x_n.entries()) {
    const bounds = [{ bound: 1000, units: n, unitsAbove: x, observations: n, above: x }]
    const blocks = [makeBlock(index, { metrics: [makeCounts(0, 0, { bounds })] })]
    evidence = takeBlocks(evidence, ground, { through: endOf(index + 1), blocks })
    const [guard] = readEvidence(evidence, ground).guards
    expectWithin(rtol, lookAt(evidence, guard?.evidence), output.per_block_logG_logE_logSR[index] ?? [])
  }
})
