import { describe, expect, it } from 'vitest'
import { readEvidence } from '../../../../src/rollouts/evidence/read-evidence.ts'
import { arms, endOf, makeGround, makePlan, makeStage, range, take } from './ground.ts'

describe('what is not of one guardrail', () => {
  const ground = makeGround()

  it('is a mismatch of shares, which stays', () => {
    const uneven = range(0, 10).flatMap((index) => arms(index, [0, 20], [0, 80]))
    const { sampleRatio } = readEvidence(take(ground, uneven, 10), ground)
    expect(sampleRatio).toMatchObject({ mismatch: true, words: expect.stringContaining('200 of 1,000') })
    const even = range(0, 10).flatMap((index) => arms(index, [0, 10], [0, 90]))
    expect(readEvidence(take(ground, even, 10), ground).sampleRatio.mismatch).toBe(false)
  })

  it('is a treatment that falls silent', () => {
    const blocks = range(0, 40).flatMap((index) => arms(index, [0, 10], [0, 90]))
    expect(readEvidence(take(ground, blocks, 40), ground).life).toMatchObject({
      verdict: 'alive',
      since: endOf(40),
    })
    const silent = blocks.map((block) => (block.arm === 't' ? { ...block, live: 0, firstLive: 0 } : block))
    expect(readEvidence(take(ground, silent, 40), ground).life).toMatchObject({
      verdict: 'treatment_silent',
      words: 'the treated fall silent: signs of life from 0 of 400 treated units, 3,600 of 3,600 of control',
    })
  })

  it('is no silence that those few who never give a sign are more in treatment', () => {
    const half = makeGround(makePlan({ stages: [makeStage({ percentage: 50 })] }))
    // Nine in ten give a sign as they come; of the first twenty who never do, fourteen are treated.
    const blocks = [
      ...arms(0, [0, 14], [0, 6]).map((block) => ({ ...block, live: 0, firstLive: 0 })),
      ...range(1, 400).flatMap((index) => arms(index, [0, 9], [0, 9])),
    ]
    expect(readEvidence(take(half, blocks, 400), half).life.verdict).toBe('alive')
  })

  it('is that nobody says anything, for five minutes and unusually long', () => {
    expect(readEvidence(take(ground, [], 400), ground).life.verdict).toBe('waiting')
    const evidence = take(ground, arms(0, [0, 10], [0, 90]), 1)
    expect(readEvidence(take(ground, [], 30, evidence), ground).life.verdict).toBe('alive')
    expect(readEvidence(take(ground, [], 31, evidence), ground).life).toMatchObject({
      verdict: 'all_silent',
      since: endOf(1),
      words: 'nobody has given a sign of life for 5 min',
    })
    // Where signs of life come once in five minutes, five minutes are nothing.
    const seldom = take(ground, arms(29, [0, 10], [0, 90]), 200)
    expect(readEvidence(seldom, ground).life.verdict).toBe('alive')
  })
})
