import { describe, expect, it } from 'vitest'
import { ShortMemory } from '../../src/access/short-memory.ts'

describe('a short memory', () => {
  it.each([
    [0, 1],
    [4_999, 1],
    [5_000, undefined],
    // A clock that was set back must not prolong anything.
    [-5_000, undefined],
  ])('of what was read %i ms ago is %j', (age, expected) => {
    const memory = new ShortMemory<number>()
    memory.set('a', 1, 10_000)
    expect(memory.get('a', 10_000 + age)).toBe(expected)
    expect(memory.get('b', 10_000 + age)).toBeUndefined()
  })

  it('holds the thousand newest', () => {
    const memory = new ShortMemory<number>()
    for (let i = 0; i < 1_000; i++) memory.set(`k${i}`, i, 0)
    memory.set('k0', -1, 0)
    memory.set('new', 1_000, 0)
    expect(['k0', 'k1', 'k2', 'new'].map((key) => memory.get(key, 0))).toEqual([-1, undefined, 2, 1_000])
  })
})
