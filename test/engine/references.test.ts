import { describe, expect, it } from 'vitest'
import type { Condition } from '../../src/engine/flag.ts'
import { findCycle, flagReferences, segmentReferences } from '../../src/engine/references.ts'
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

describe('a cycle', () => {
  function cycleIn(graph: { readonly [node: string]: readonly string[] }, start: string) {
    return findCycle(start, (node) => graph[node] ?? [])
  }

  it.each<readonly [string, { readonly [node: string]: readonly string[] }, readonly string[] | undefined]>([
    ['none in nothing', {}, undefined],
    ['none in a chain', { a: ['b'], b: ['c'] }, undefined],
    ['of one', { a: ['a'] }, ['a', 'a']],
    ['of two', { a: ['b'], b: ['a'] }, ['a', 'b', 'a']],
    ['of three', { a: ['b'], b: ['c'], c: ['a'] }, ['a', 'b', 'c', 'a']],
    ['behind a dead end', { a: ['x', 'b'], x: ['y'], b: ['a'] }, ['a', 'b', 'a']],
    ['behind another cycle', { a: ['b'], b: ['b', 'c'], c: ['b', 'a'] }, ['a', 'b', 'c', 'a']],
    ['none through itself, though it leads into one', { a: ['b'], b: ['c'], c: ['b'] }, undefined],
    ['none in two ways to one place', { a: ['b', 'c'], b: ['d'], c: ['d'] }, undefined],
    ['through what is missing', { a: ['nowhere'] }, undefined],
    ['by the first way there is', { a: ['b', 'c'], b: ['d'], c: ['a'], d: ['c'] }, ['a', 'b', 'd', 'c', 'a']],
  ])('is found: %s', (_name, graph, expected) => {
    expect(cycleIn(graph, 'a')).toEqual(expected)
  })

  it('is looked for at each node once, however many ways lead there', () => {
    const layers = 40
    const graph = Object.fromEntries(
      Array.from({ length: layers }, (_, layer) => [layer, layer + 1]).flatMap(([layer, next]) => [
        [`${layer}-l`, [`${next}-l`, `${next}-r`]],
        [`${layer}-r`, [`${next}-l`, `${next}-r`]],
      ]),
    )
    expect(cycleIn(graph, '0-l')).toBeUndefined()
    const closed = { ...graph, [`${layers}-r`]: ['0-l'] }
    expect(cycleIn(closed, '0-l')).toHaveLength(layers + 2)
  })
})
