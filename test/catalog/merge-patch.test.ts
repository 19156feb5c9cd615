import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergePatch } from '../../src/catalog/merge-patch.ts'
import type { Json } from '../../src/engine/json.ts'

/** Reads JSON as a request's body is read, so that `__proto__` is a field. */
const parse = (text: string): Json => JSON.parse(text)

/** RFC 7396, appendix A, in its order. */
const APPENDIX: readonly (readonly [target: string, patch: string, result: string])[] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', 'null', 'null'],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
]

/** RFC 7396, section 3. */
const ARTICLE = [
  '{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["example","sample"],"content":"This will be unchanged"}',
  '{"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},"tags":["example"]}',
  '{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"This will be unchanged","phoneNumber":"+01-123-456-7890"}',
] as const

describe('a merge patch', () => {
  it.each([...APPENDIX, ARTICLE])('of %s by %s makes %s', (target, patch, result) => {
    expect(JSON.stringify(mergePatch(parse(target), parse(patch)))).toBe(result)
  })

  it('changes neither the document nor the patch', () => {
    const target = parse('{"a":{"b":1,"c":[1]},"d":2}')
    const patch = parse('{"a":{"b":null,"e":{"f":3}},"d":{"g":null}}')
    expect(mergePatch(target, patch)).toEqual({ a: { c: [1], e: { f: 3 } }, d: {} })
    expect(target).toEqual({ a: { b: 1, c: [1] }, d: 2 })
    expect(patch).toEqual({ a: { b: null, e: { f: 3 } }, d: { g: null } })
  })

  it.each([
    ['{}', '{"__proto__":{"admin":true}}', '{"__proto__":{"admin":true}}'],
    ['{"a":1}', '{"a":{"__proto__":{"admin":true}}}', '{"a":{"__proto__":{"admin":true}}}'],
    ['{"__proto__":{"a":1,"b":2}}', '{"__proto__":{"a":null}}', '{"__proto__":{"b":2}}'],
    ['{"__proto__":{"a":1},"c":3}', '{"__proto__":null}', '{"c":3}'],
    ['{}', '{"constructor":{"prototype":{"admin":true}}}', '{"constructor":{"prototype":{"admin":true}}}'],
    ['{}', '{"toString":{"name":null}}', '{"toString":{}}'],
  ])('takes names of Object for fields: %s by %s makes %s', (target, patch, result) => {
    const merged = mergePatch(parse(target), parse(patch))
    expect(JSON.stringify(merged)).toBe(result)
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
    expect(Reflect.get({}, 'admin')).toBeUndefined()
  })

  const json = fc.jsonValue().map((value) => parse(JSON.stringify(value)))

  it('is the same when it is applied twice', () => {
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const once = mergePatch(target, patch)
        expect(mergePatch(once, patch)).toEqual(once)
      }),
    )
  })
})
