import { describe, expect, it } from 'vitest'
import { newEvidence } from '../../../../src/rollouts/evidence/evidence.ts'
import { packEvidence, parseEvidence } from '../../../../src/rollouts/evidence/packed.ts'
import { replay } from '../../../../src/rollouts/evidence/replay.ts'
import { endOf, makeGround, makeGuard, makePlan, range, START, TOLERANT, take, WORSE } from './ground.ts'

describe('packed evidence', () => {
  it('is read again, and is a kilobyte and a quarter for each guardrail at most', () => {
    const guardrails = range(0, 8).map((index) => makeGuard(TOLERANT, { id: `errors-${index}` }))
    const ground = makeGround(makePlan({ guardrails }))
    const evidence = take(ground, WORSE, 12)
    const packed = packEvidence(evidence)
    expect(parseEvidence(packed)).toEqual(evidence)
    expect(packed.length).toBeLessThan(8 * 1280)
    expect(parseEvidence(packEvidence(newEvidence(START)))).toEqual(newEvidence(START))
  })

  it.each([
    '',
    '{}',
    '{"version":0}',
    '[]',
    'null',
    packEvidence(newEvidence(START)).replace('"life":[', '"life":[1,'),
  ])('is not read where it is none: %s', (text) => {
    expect(parseEvidence(text)).toBeUndefined()
    expect(replay(text, makeGround(), { through: endOf(1), blocks: [] })).toEqual({
      ok: false,
      error: 'unreadable_checkpoint',
    })
  })
})
