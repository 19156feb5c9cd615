import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluateAll } from '../../src/engine/evaluate.ts'
import { Snapshot } from '../../src/engine/snapshot.ts'
import { compareKeys, readSnapshotText, writeSnapshotText } from '../../src/engine/snapshot-text.ts'
import { makeFlag, makeRollout, makeSegment, makeSnapshotText, NOW } from '../support/engine.ts'

const NASTY_KEYS = [
  '"',
  '""',
  '\\',
  '\\\\',
  '\\"',
  '":',
  '\\":',
  '":{',
  '"a":{}',
  'a":',
  '}',
  '}}',
  '},',
  '{',
  ',',
  '\n',
  'a\nb',
  '\r\n',
  '\t',
  '\u0000',
  '\u2028',
  '\u2029',
  '🚀',
  '\ud83d',
  'é',
  'e\u0301',
  'a/b%20c?d#e',
  ' ',
  '__proto__',
  'constructor',
  'flags',
]

describe('the text of a snapshot', () => {
  it('is one JSON document with an entity a line, sorted by key', () => {
    const text = makeSnapshotText({
      environment: 'production',
      version: 42,
      flags: { theme: { b: 1 }, checkout: { a: [1, 2] } },
      segments: {},
    })
    expect(text).toBe(
      [
        '{"format":1,"environment":"production","version":42,',
        '"flags":{',
        '"checkout":{"a":[1,2]},',
        '"theme":{"b":1}',
        '},',
        '"segments":{',
        '},',
        '"rollouts":{',
        '}}',
      ].join('\n'),
    )
  })

  it('is JSON that says the same, whatever the keys are', () => {
    const flags = Object.fromEntries(NASTY_KEYS.map((key, index) => [key, { index }]))
    const text = makeSnapshotText({ environment: 'a"\n}}', version: 7, flags, segments: { '"': {} } })
    expect(JSON.parse(text)).toEqual({
      format: 1,
      environment: 'a"\n}}',
      version: 7,
      flags,
      segments: { '"': {} },
      rollouts: {},
    })
  })

  it('comes back as it was written', () => {
    const keys = fc.oneof(fc.constantFrom(...NASTY_KEYS), fc.string({ unit: 'binary' }))
    const sections = fc.dictionary(
      fc.string({ minLength: 1 }).filter((kind) => kind !== '__proto__'),
      fc.array(fc.tuple(keys, fc.json())).map((entries) => new Map(entries)),
      { minKeys: 1, noNullPrototype: true },
    )
    fc.assert(
      fc.property(fc.string(), fc.integer(), sections, (environment, version, sections) => {
        const snapshot = { environment, version, sections }
        expect(readSnapshotText(writeSnapshotText(snapshot))).toEqual({ ok: true, value: snapshot })
      }),
      { seed: 41, numRuns: 1_000 },
    )
  })

  it.each(NASTY_KEYS)('keeps the key %j apart from all others', (key) => {
    const flags = { [key]: { mine: true }, other: { mine: false } }
    const read = readSnapshotText(makeSnapshotText({ flags }))
    expect(read.ok && [...(read.value.sections.flags ?? [])].sort()).toEqual(
      [[key, '{"mine":true}'] as const, ['other', '{"mine":false}'] as const].sort(),
    )
  })

  it('is the same however the entities were put in', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(NASTY_KEYS, { minLength: NASTY_KEYS.length }), (shuffled) => {
        const write = (keys: readonly string[]) =>
          makeSnapshotText({ flags: Object.fromEntries(keys.map((key) => [key, {}])) })
        expect(write(shuffled)).toBe(write(NASTY_KEYS))
      }),
      { seed: 42, numRuns: 50 },
    )
  })

  it('has its keys in the order of their code units', () => {
    const keys = ['b', 'a', 'B', '10', '9', 'é', 'z', '🚀', '\uffff', '']
    expect(keys.toSorted(compareKeys)).toEqual(['', '10', '9', 'B', 'a', 'b', 'z', 'é', '🚀', '\uffff'])
    expect(compareKeys('a', 'a')).toBe(0)
  })

  it('that breaks off anywhere is an error', () => {
    const text = makeSnapshotText({
      flags: { 'a":\n}}': makeFlag(), b: makeFlag() },
      segments: { '}}': makeSegment() },
      rollouts: { b: makeRollout() },
    })
    const whole = Array.from(text, (_, length) => readSnapshotText(text.slice(0, length)).ok)
    expect(whole).toEqual(whole.map(() => false))
    expect(readSnapshotText(text).ok).toBe(true)
  })

  it('names the environment that it is of', () => {
    const read = readSnapshotText(makeSnapshotText({ environment: 'staging', version: 9 }))
    expect(read.ok && [read.value.environment, read.value.version]).toEqual(['staging', 9])
  })

  it.each([
    ['nothing', '', 'the first line is no snapshot header'],
    ['rubbish', 'not a snapshot', 'the first line is no snapshot header'],
    ['a JSON document of another kind', '{"a":1}\n', 'the first line is no snapshot header'],
    ['a JSON list', '[1,\n2]', 'the first line is no snapshot header'],
    ['HTML', '<html>\n</html>', 'the first line is no snapshot header'],
    ['a number', '1,\n', 'the first line is no snapshot header'],
    [
      'another format',
      '{"format":2,"environment":"p","version":1,\n"flags":{\n}}',
      'format 2 is not known here',
    ],
    ['no format', '{"environment":"p","version":1,\n"flags":{\n}}', 'format undefined is not known here'],
    [
      'a format that is a text',
      '{"format":"1","environment":"p","version":1,\n"flags":{\n}}',
      'format 1 is not known here',
    ],
    [
      'no environment',
      '{"format":1,"version":1,\n"flags":{\n}}',
      'the header names no environment or no version',
    ],
    [
      'no version',
      '{"format":1,"environment":"p",\n"flags":{\n}}',
      'the header names no environment or no version',
    ],
    [
      'a version that is not whole',
      '{"format":1,"environment":"p","version":1.5,\n"flags":{\n}}',
      'the header names no environment or no version',
    ],
    [
      'a version that is a text',
      '{"format":1,"environment":"p","version":"1",\n"flags":{\n}}',
      'the header names no environment or no version',
    ],
    ['a header alone', '{"format":1,"environment":"p","version":1,\n', 'the text ends in the middle'],
    ['no section', '{"format":1,"environment":"p","version":1,\n}}', 'unexpected "}}"'],
    [
      'a section that is no object',
      '{"format":1,"environment":"p","version":1,\n"flags":[\n}}',
      'a section does not begin where one is due',
    ],
    [
      'an entity outside of a section',
      '{"format":1,"environment":"p","version":1,\n"a":{},\n}}',
      'a section does not begin where one is due',
    ],
    [
      'an entity without a key',
      '{"format":1,"environment":"p","version":1,\n"flags":{\n{"a":1}\n}}',
      'an entity has no key',
    ],
    [
      'an entity with half a key',
      '{"format":1,"environment":"p","version":1,\n"flags":{\n"a\n}}',
      'an entity has no key',
    ],
    [
      'a key with a bad escape',
      '{"format":1,"environment":"p","version":1,\n"flags":{\n"\\x":{}\n}}',
      'an entity has no key',
    ],
    ['an empty line', '{"format":1,"environment":"p","version":1,\n"flags":{\n\n}}', 'an entity has no key'],
    [
      'a section that ends oddly',
      '{"format":1,"environment":"p","version":1,\n"flags":{\n}\n}',
      'unexpected "}"',
    ],
    [
      'text after the end',
      '{"format":1,"environment":"p","version":1,\n"flags":{\n}}\n',
      'text after the end',
    ],
    [
      'a second snapshot after the end',
      '{"format":1,"environment":"p","version":1,\n"flags":{\n}}\n{}',
      'text after the end',
    ],
  ])('that is %s is refused', (_name, text, error) => {
    expect(readSnapshotText(text)).toEqual({ ok: false, error })
  })

  it('that is anything at all is read or refused, never thrown back', () => {
    const text = makeSnapshotText({
      flags: { a: makeFlag(), 'b"': makeFlag() },
      segments: { s: makeSegment() },
    })
    const broken = fc
      .tuple(
        fc.nat(text.length),
        fc.nat(20),
        fc.oneof(fc.string(), fc.constantFrom('\n', '}}', '":', '},\n', '"')),
      )
      .map(([at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut))
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), broken), (text) => {
        const read = readSnapshotText(text)
        if (!read.ok) {
          expect(read.error).not.toBe('')
          return
        }
        const snapshot = new Snapshot(read.value)
        expect(evaluateAll(snapshot, { targetingKey: 'ann' }, NOW).map(({ flagKey }) => flagKey)).toEqual(
          snapshot.keys(),
        )
      }),
      { seed: 43, numRuns: 3_000 },
    )
  })
})
