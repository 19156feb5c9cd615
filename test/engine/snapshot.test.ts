import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluateAll } from '../../src/engine/evaluate.ts'
import type { EntityChange, Snapshot } from '../../src/engine/snapshot.ts'
import { writeSnapshotText } from '../../src/engine/snapshot-text.ts'
import {
  evaluateFlag,
  makeChange,
  makeFlag,
  makeGrant,
  makeRollout,
  makeSegment,
  makeSnapshot,
  makeSnapshotText,
  NOW,
  openSnapshot,
  variantOf,
} from '../support/engine.ts'
import { contents, contexts, FLAG_KEYS, SEGMENT_KEYS } from '../support/engine-arbitraries.ts'

const ON = { variant: 'on' }
const PRO = { attribute: 'plan', op: 'equals', values: ['pro'] } as const
const FREE = { attribute: 'plan', op: 'equals', values: ['free'] } as const

function flagFor(segment: string) {
  return makeFlag({ rules: [{ id: 'r', when: { segment }, serve: ON }] })
}

function variantsOf(snapshot: Snapshot, context: { readonly [attribute: string]: unknown } = {}) {
  return Object.fromEntries(
    evaluateAll(snapshot, context, NOW).map((evaluation) => [evaluation.flagKey, variantOf(evaluation)]),
  )
}

describe('a snapshot', () => {
  it('knows its environment, its version and its keys in order', () => {
    const flags = { b: makeFlag(), a: makeFlag(), '🚀': makeFlag(), B: makeFlag() }
    const snapshot = makeSnapshot({ environment: 'staging', version: 12, flags })
    expect([snapshot.environment, snapshot.version]).toEqual(['staging', 12])
    expect(snapshot.keys()).toEqual(['B', 'a', 'b', '🚀'])
    expect(['a', 'c', 'toString'].map((key) => snapshot.has(key))).toEqual([true, false, false])
  })

  it('may lack sections, and does not mind sections that are not for the engine', () => {
    const sections = {
      flags: new Map([['a', JSON.stringify(makeFlag())]]),
      keys: new Map([['k', 'rubbish']]),
    }
    const snapshot = openSnapshot(writeSnapshotText({ environment: 'p', version: 1, sections }))
    expect(variantsOf(snapshot)).toEqual({ a: 'off' })
    expect(snapshot.toText()).toBe(makeSnapshotText({ environment: 'p', flags: { a: makeFlag() } }))
  })

  it('has a text that makes the same snapshot', () => {
    fc.assert(
      fc.property(contents, contexts, (contents, context) => {
        const snapshot = makeSnapshot(contents)
        const again = openSnapshot(snapshot.toText())
        expect(snapshot.toText()).toBe(makeSnapshotText(contents))
        expect(evaluateAll(again, context, NOW)).toEqual(evaluateAll(snapshot, context, NOW))
      }),
      { seed: 44, numRuns: 200 },
    )
  })

  it('parses a flag when it is asked, so that a broken one elsewhere hinders nobody', () => {
    const text = makeSnapshotText({
      flags: { fine: makeFlag(), rubbish: 'X', wrong: { enabled: 1 } },
    }).replace('"X"', '{no JSON')
    const snapshot = openSnapshot(text)
    expect(evaluateFlag(snapshot, {}, 'fine')).toMatchObject({ reason: 'STATIC', variant: 'off' })
    expect(snapshot.keys()).toEqual(['fine', 'rubbish', 'wrong'])
    expect(
      evaluateAll(snapshot, {}, NOW).map((evaluation) => [evaluation.flagKey, evaluation.reason]),
    ).toEqual([
      ['fine', 'STATIC'],
      ['rubbish', 'ERROR'],
      ['wrong', 'ERROR'],
    ])
  })

  it('compiles a flag once', () => {
    const snapshot = makeSnapshot({ flags: { a: makeFlag() } })
    expect(snapshot.flag('a')).toBe(snapshot.flag('a'))
    expect(snapshot.flag('missing')).toBeUndefined()
  })

  it('tells what is wrong with all that it holds', () => {
    const snapshot = makeSnapshot({
      flags: {
        fine: makeFlag(),
        wrong: makeFlag({ offVariant: 'x' }),
        'bad-rollout': makeFlag(),
        '.': makeFlag(),
      },
      segments: { fine: makeSegment(), wrong: { condition: {} } },
      rollouts: { 'bad-rollout': makeRollout({ stage: -1 }), 'of-no-flag': 1 },
    })
    const problems = snapshot
      .problems()
      .map(({ kind, key, problems }) => [kind, key, problems.map(({ path }) => path)])
    expect(problems).toEqual([
      ['flags', '.', ['key']],
      ['flags', 'bad-rollout', ['rollout.stage']],
      ['flags', 'wrong', ['offVariant']],
      ['segments', 'wrong', ['condition']],
    ])
  })

  it('has no problems with what is valid', () => {
    fc.assert(
      fc.property(contents, (contents) => {
        expect(makeSnapshot(contents).problems()).toEqual([])
      }),
      { seed: 45, numRuns: 100 },
    )
  })

  it('shows flags and segments as data', () => {
    const snapshot = makeSnapshot({
      flags: { a: makeFlag(), b: 1 },
      segments: { s: makeSegment({ included: ['ann'] }) },
      rollouts: { a: makeRollout() },
    })
    const flag = { key: 'a', ...makeFlag(), rollout: makeRollout() }
    expect(snapshot.parsedFlag('a')).toEqual({ ok: true, value: flag })
    expect(snapshot.parsedFlag('b')?.ok).toBe(false)
    expect(snapshot.parsedFlag('c')).toBeUndefined()
    const segment = { key: 's', condition: null, included: ['ann'], excluded: [] }
    expect(snapshot.parsedSegment('s')).toEqual({ ok: true, value: segment })
    expect(snapshot.parsedSegment('t')).toBeUndefined()
  })
})

describe('a patch', () => {
  const START = {
    version: 5,
    flags: {
      a: makeFlag(),
      'in-segment': flagFor('s'),
      'in-nested': flagFor('outer'),
      needs: makeFlag({ prerequisites: [{ flag: 'a', variants: ['on'] }], fallthrough: ON }),
      z: makeFlag(),
    },
    segments: {
      s: makeSegment({ condition: PRO }),
      outer: makeSegment({ condition: { segment: 's' } }),
    },
  }
  const PAYING = { targetingKey: 'ann', plan: 'pro' }
  const BEFORE = { a: 'off', 'in-segment': 'on', 'in-nested': 'on', needs: 'off', z: 'off' }

  it.each<readonly [string, readonly EntityChange[], object]>([
    ['nothing', [], BEFORE],
    [
      'a flag, and a flag that needs it',
      [makeChange('flags', 'a', makeFlag({ fallthrough: ON }))],
      { ...BEFORE, a: 'on', needs: 'on' },
    ],
    [
      'a segment, and all that stand on it',
      [makeChange('segments', 's', makeSegment({ condition: FREE }))],
      { ...BEFORE, 'in-segment': 'off', 'in-nested': 'off' },
    ],
    [
      'a segment within another',
      [makeChange('segments', 'outer', makeSegment())],
      { ...BEFORE, 'in-nested': 'off' },
    ],
    ['a new flag', [makeChange('flags', 'b', makeFlag({ fallthrough: ON }))], { ...BEFORE, b: 'on' }],
    [
      'a flag that is gone, and a flag that needs it',
      [makeChange('flags', 'a', null)],
      { 'in-segment': 'on', 'in-nested': 'on', needs: 'off', z: 'off' },
    ],
    [
      'a segment that is gone',
      [makeChange('segments', 's', null)],
      { ...BEFORE, 'in-segment': 'off', 'in-nested': 'off' },
    ],
    [
      'what was never there and is gone',
      [makeChange('flags', 'b', null), makeChange('segments', 'b', null), makeChange('rollouts', 'b', null)],
      BEFORE,
    ],
    [
      'a new rollout',
      [makeChange('rollouts', 'a', makeRollout({ grants: [makeGrant({ percentage: 100 })] }))],
      { ...BEFORE, a: 'on', needs: 'on' },
    ],
    ['a rollout of no flag', [makeChange('rollouts', 'b', makeRollout())], BEFORE],
    [
      'several at once',
      [
        makeChange('segments', 's', makeSegment({ included: ['ann'] })),
        makeChange('flags', 'z', flagFor('t')),
        makeChange('segments', 't', makeSegment({ included: ['ann'] })),
        makeChange('flags', 'a', null),
      ],
      { 'in-segment': 'on', 'in-nested': 'on', needs: 'off', z: 'on' },
    ],
    [
      'one entity twice, of which the last counts',
      [makeChange('flags', 'a', null), makeChange('flags', 'a', makeFlag({ fallthrough: ON }))],
      { ...BEFORE, a: 'on', needs: 'on' },
    ],
  ])('changes %s, at once', (_name, changes, expected) => {
    const snapshot = makeSnapshot(START)
    expect(variantsOf(snapshot, PAYING)).toEqual(BEFORE)
    expect(snapshot.patch(6, changes)).toEqual({ ok: true, value: undefined })
    expect(snapshot.version).toBe(6)
    expect(variantsOf(snapshot, PAYING)).toEqual(expected)
    expect(snapshot.keys()).toEqual(Object.keys(expected).sort())
  })

  it.each<readonly [string, EntityChange, readonly string[]]>([
    ['flag', makeChange('flags', 'a', makeFlag({ fallthrough: ON })), ['a']],
    ['segment', makeChange('segments', 's', makeSegment()), []],
    ['rollout', makeChange('rollouts', 'z', makeRollout()), ['z']],
    ['new flag', makeChange('flags', 'b', makeFlag()), []],
  ])('of a %s compiles again only what changed itself', (_name, change, recompiled) => {
    const snapshot = makeSnapshot(START)
    const before = Object.keys(START.flags).map((key) => [key, snapshot.flag(key)] as const)
    snapshot.patch(6, [change])
    const changed = before.filter(([key, compiled]) => snapshot.flag(key) !== compiled).map(([key]) => key)
    expect(changed).toEqual(recompiled)
  })

  it('takes a rollout away', () => {
    const rollouts = { a: makeRollout({ grants: [makeGrant({ percentage: 100 })] }) }
    const snapshot = makeSnapshot({ ...START, rollouts })
    expect(variantsOf(snapshot, PAYING)).toEqual({ ...BEFORE, a: 'on', needs: 'on' })
    snapshot.patch(6, [makeChange('rollouts', 'a', null)])
    expect(variantsOf(snapshot, PAYING)).toEqual(BEFORE)
  })

  it('brings a flag back with the rollout that was there', () => {
    const snapshot = makeSnapshot(START)
    const rollout = makeRollout({ grants: [makeGrant({ percentage: 100 })] })
    snapshot.patch(6, [makeChange('rollouts', 'a', rollout), makeChange('flags', 'a', null)])
    expect(snapshot.has('a')).toBe(false)
    snapshot.patch(7, [makeChange('flags', 'a', makeFlag())])
    expect(variantsOf(snapshot, PAYING)).toEqual({ ...BEFORE, a: 'on', needs: 'on' })
  })

  it.each<readonly [string, EntityChange, string]>([
    [
      'a bad flag',
      makeChange('flags', 'a', makeFlag({ offVariant: 'x' })),
      'flags "a": offVariant the flag has no variant "x"',
    ],
    [
      'a flag that is no JSON',
      { kind: 'flags', key: 'a', text: '{' },
      'flags "a": the entity must be an object',
    ],
    [
      'a bad new flag',
      makeChange('flags', 'b', { enabled: true }),
      'flags "b": type must be one of boolean, string, number, object',
    ],
    [
      'a flag of a bad key',
      makeChange('flags', '..', makeFlag()),
      'flags "..": key must be 1 to 200 printable characters, not "." or ".."',
    ],
    [
      'a bad segment',
      makeChange('segments', 's', { included: 'ann' }),
      'segments "s": included must be a list',
    ],
    [
      'a segment that is no JSON',
      { kind: 'segments', key: 's', text: '' },
      'segments "s": the entity must be an object',
    ],
    [
      'a bad rollout',
      makeChange('rollouts', 'a', makeRollout({ variant: 'x' })),
      'rollouts "a": rollout.variant the flag has no variant "x"',
    ],
    [
      'a rollout that is no JSON',
      { kind: 'rollouts', key: 'a', text: 'x' },
      'rollouts "a": rollout must be an object',
    ],
  ])('with %s among good ones takes nothing', (_name, bad, error) => {
    const snapshot = makeSnapshot(START)
    const text = snapshot.toText()
    const compiled = snapshot.flag('z')
    const good = [
      makeChange('flags', 'z', makeFlag({ fallthrough: ON })),
      makeChange('segments', 'outer', null),
    ]
    expect(snapshot.patch(6, [...good, bad])).toEqual({ ok: false, error })
    expect(snapshot.patch(6, [bad, ...good])).toEqual({ ok: false, error })
    expect([snapshot.version, snapshot.toText()]).toEqual([5, text])
    expect(snapshot.flag('z')).toBe(compiled)
    expect(variantsOf(snapshot, PAYING)).toEqual(BEFORE)
  })

  it('with a bad second change of the same entity takes nothing', () => {
    const snapshot = makeSnapshot(START)
    const changes = [makeChange('flags', 'a', makeFlag()), makeChange('flags', 'a', { enabled: 1 })]
    expect(snapshot.patch(6, changes).ok).toBe(false)
    expect([snapshot.version, variantsOf(snapshot, PAYING)]).toEqual([5, BEFORE])
  })

  it('checks a flag together with its rollout, when either changes', () => {
    const texts = ['on', 'off', 'blue'].map((name) => ({ name, value: name }))
    const blue = makeFlag({ type: 'string', variants: texts })
    const snapshot = makeSnapshot(START)
    const rollout = makeRollout({ variant: 'blue', grants: [makeGrant({ percentage: 100 })] })
    expect(snapshot.patch(6, [makeChange('rollouts', 'a', rollout)]).ok).toBe(false)
    expect(snapshot.patch(6, [makeChange('rollouts', 'a', rollout), makeChange('flags', 'a', blue)]).ok).toBe(
      true,
    )
    expect(variantsOf(snapshot, PAYING)).toMatchObject({ a: 'blue' })
    expect(snapshot.patch(7, [makeChange('flags', 'a', makeFlag())]).ok).toBe(false)
    expect([snapshot.version, variantsOf(snapshot, PAYING).a]).toEqual([6, 'blue'])
    expect(
      snapshot.patch(7, [makeChange('flags', 'a', makeFlag()), makeChange('rollouts', 'a', null)]).ok,
    ).toBe(true)
    expect(variantsOf(snapshot, PAYING)).toEqual(BEFORE)
  })

  it('does not mind what was broken before, and mends it', () => {
    const snapshot = makeSnapshot({ flags: { a: { enabled: 1 }, b: makeFlag() } })
    expect(snapshot.patch(2, [makeChange('flags', 'b', makeFlag({ fallthrough: ON }))]).ok).toBe(true)
    expect(variantsOf(snapshot)).toEqual({ a: undefined, b: 'on' })
    expect(snapshot.patch(3, [makeChange('flags', 'a', makeFlag())]).ok).toBe(true)
    expect(variantsOf(snapshot)).toEqual({ a: 'off', b: 'on' })
  })

  it('never goes back', () => {
    const snapshot = makeSnapshot(START)
    const change = makeChange('flags', 'a', makeFlag({ fallthrough: ON }))
    expect(snapshot.patch(4, [change])).toEqual({ ok: false, error: 'version 4 is older than 5' })
    expect([snapshot.version, variantsOf(snapshot, PAYING)]).toEqual([5, BEFORE])
  })

  it('may be told twice', () => {
    const snapshot = makeSnapshot(START)
    const changes = [makeChange('flags', 'a', makeFlag({ fallthrough: ON })), makeChange('flags', 'z', null)]
    expect([snapshot.patch(6, changes).ok, snapshot.patch(6, changes).ok]).toEqual([true, true])
    expect([snapshot.version, snapshot.keys()]).toEqual([6, ['a', 'in-nested', 'in-segment', 'needs']])
  })

  it('may skip versions', () => {
    const snapshot = makeSnapshot(START)
    expect(snapshot.patch(500, []).ok).toBe(true)
    expect(snapshot.version).toBe(500)
  })

  it('lets go of nothing that is asked while circles open and close', () => {
    const snapshot = makeSnapshot({
      flags: { f: flagFor('s') },
      segments: { s: makeSegment({ included: ['ann'] }) },
    })
    const ann = { targetingKey: 'ann' }
    snapshot.patch(2, [makeChange('segments', 's', makeSegment({ condition: { segment: 't' } }))])
    expect(variantsOf(snapshot, ann)).toEqual({ f: 'off' })
    snapshot.patch(3, [makeChange('segments', 't', makeSegment({ condition: { segment: 's' } }))])
    expect(variantsOf(snapshot, ann)).toEqual({ f: 'off' })
    snapshot.patch(4, [makeChange('segments', 't', makeSegment({ included: ['ann'] }))])
    expect(variantsOf(snapshot, ann)).toEqual({ f: 'on' })
  })

  it('makes the snapshot that a whole text at that version would make', () => {
    const asked = fc.constantFrom(...FLAG_KEYS, ...SEGMENT_KEYS)
    fc.assert(
      fc.property(contents, contents, fc.array(asked), contexts, (before, after, gone, context) => {
        const patched = makeSnapshot(before)
        evaluateAll(patched, context, NOW)
        const changes = (['flags', 'segments', 'rollouts'] as const).flatMap((kind) => {
          const keys = new Set([...Object.keys(before[kind]), ...Object.keys(after[kind])])
          return [...keys].map((key) =>
            makeChange(kind, key, gone.includes(key) ? null : (after[kind][key] ?? null)),
          )
        })
        expect(patched.patch(2, changes).ok).toBe(true)
        const without = <T>(entities: { readonly [key: string]: T }) =>
          Object.fromEntries(Object.entries(entities).filter(([key]) => !gone.includes(key)))
        const whole = makeSnapshot({
          version: 2,
          flags: without(after.flags),
          segments: without(after.segments),
          rollouts: without(after.rollouts),
        })
        expect(patched.toText()).toBe(whole.toText())
        expect(evaluateAll(patched, context, NOW)).toEqual(evaluateAll(whole, context, NOW))
      }),
      { seed: 46, numRuns: 300 },
    )
  })
})
