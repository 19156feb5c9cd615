import { describe, expect, it } from 'vitest'
import type { Condition } from '../../src/engine/flag.ts'
import { flagReferences, rolloutReferences, segmentReferences } from '../../src/engine/references.ts'
import { makeFlag, makeGrant, makeRollout, makeSegment, makeSplit } from '../support/engine.ts'

const PRO: Condition = { attribute: 'plan', op: 'equals', values: ['pro'] }
const ON = { variant: 'on' }

describe('the references of a flag', () => {
  it('are its prerequisites and all segments of its rules and its rollout, each once', () => {
    const flag = makeFlag({
      prerequisites: [
        { flag: 'first', variants: ['on'] },
        { flag: 'second', variants: ['on'] },
        { flag: 'first', variants: ['off'] },
      ],
      rules: [
        { id: 'a', when: { segment: 'plain' }, serve: ON },
        { id: 'b', when: { all: [PRO, { segment: 'in-all' }, { segment: 'plain' }] }, serve: ON },
        { id: 'c', when: { any: [{ not: { any: [{ segment: 'deep' }] } }] }, serve: makeSplit({ on: 1 }) },
        { id: 'd', when: { not: { segment: 'negated' } }, serve: ON },
      ],
    })
    const rollout = makeRollout({
      grants: [
        makeGrant({ audience: { segment: 'granted' } }),
        makeGrant(),
        makeGrant({ audience: { not: { segment: 'deep' } } }),
      ],
    })
    expect(flagReferences(flag, rollout)).toEqual({
      flags: ['first', 'second'],
      segments: ['plain', 'in-all', 'deep', 'negated', 'granted'],
    })
    expect(rolloutReferences(rollout)).toEqual(['granted', 'deep'])
  })

  it('are none where it names none', () => {
    const flag = makeFlag({ rules: [{ id: 'a', when: { all: [PRO, { any: [] }] }, serve: ON }] })
    expect(flagReferences(flag, null)).toEqual({ flags: [], segments: [] })
    expect(flagReferences(flag, makeRollout())).toEqual({ flags: [], segments: [] })
  })
})

describe('the references of a segment', () => {
  it('are the segments of its condition, itself too', () => {
    const segment = {
      key: 's',
      ...makeSegment({ condition: { all: [{ segment: 's' }, { not: { segment: 't' } }, { segment: 't' }] } }),
    }
    expect(segmentReferences(segment)).toEqual({ flags: [], segments: ['s', 't'] })
  })

  it('are none without a condition', () => {
    expect(segmentReferences({ key: 's', ...makeSegment({ included: ['t'] }) })).toEqual({
      flags: [],
      segments: [],
    })
  })
})
