import { createHmac } from 'node:crypto'
import { assert, constantFrom, integer, property, record, string, stringMatching } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EnvironmentSnapshot } from '../../../src/catalog/environment-snapshot.ts'
import { Snapshot } from '../../../src/engine/snapshot.ts'
import { parseTag, signTag, verifyTag } from '../../../src/telemetry/events/tag.ts'
import { makeMeasurement } from '../../support/measurement.ts'

const EPOCH_MS = 6 * 3_600_000
const NOW = 82_000 * EPOCH_MS + 12_345

type Varied = { readonly key?: string; readonly signingSecret?: string; readonly by?: string }

/** An environment in which `r1` is measured. */
function makeEnvironment(varied: Varied = {}) {
  const { key = 'production', signingSecret = 'secret', by = 'targetingKey' } = varied
  const measurement = makeMeasurement({ by })
  const environment: EnvironmentSnapshot = {
    flags: new Snapshot({ environment: key, version: 1, sections: {} }),
    version: 1,
    keys: new Map(),
    settings: { refreshSeconds: 30, signingSecret },
    metrics: new Map(),
    measurements: new Map([[measurement.id, measurement]]),
  }
  return environment
}

const environment = makeEnvironment()
const R1 = { id: 'r1', stage: 3, stratum: '2k', arm: 't' }

const tags = record({
  id: stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
  stage: integer({ min: 0, max: 999_999 }),
  stratum: stringMatching(/^[0-9a-z]{1,12}$/),
  arm: stringMatching(/^[a-z0-9_-]{1,40}$/),
})

describe('a tag', () => {
  it('is read as it was written', () => {
    assert(
      property(tags, (tag) => {
        expect(parseTag(`${tag.id}.${tag.stage}.${tag.stratum}.${tag.arm}`)).toEqual(tag)
      }),
    )
  })

  it.each([
    '',
    'r1',
    'r1.0.1',
    'r1.0.1.t.',
    'r1.0.1.t.x',
    '.0.1.t',
    'r1..1.t',
    'r1.-1.1.t',
    'r1.1e3.1.t',
    'r1.1000000.1.t',
    'r1.01.1.t',
    'r1.0.A.t',
    'r1.0.0123456789abc.t',
    'r1.0.1.T',
    ' r1.0.1.t',
    'r1.0.1.t\n',
    'ü.0.1.t',
    `${'x'.repeat(65)}.0.1.t`,
    `r1.0.1.${'t'.repeat(41)}`,
  ])('is none: %j', (text) => {
    expect(parseTag(text)).toBeUndefined()
  })
})

describe('a signed tag', () => {
  it('is read for the unit that it was signed for, by any tag, unit and instant', () => {
    assert(
      property(tags, string({ minLength: 1 }), integer({ min: 0, max: 2 ** 42 }), (tag, unit, now) => {
        const text = `${tag.id}.${tag.stage}.${tag.stratum}.${tag.arm}`
        expect(verifyTag(environment, signTag(environment, text, unit, now), unit, now)).toEqual(tag)
      }),
    )
  })

  it('shows the tag, and is the same for all of an epoch', () => {
    const signed = signTag(environment, 'r1.3.2k.t', 'ada', NOW)
    expect(signed).toMatch(/^r1\.3\.2k\.t\.82000\.[A-Za-z0-9_-]{22}$/)
    expect(signTag(environment, 'r1.3.2k.t', 'ada', NOW + 1_000)).toBe(signed)
    expect(signTag(environment, 'r1.3.2k.t', 'ada', NOW + EPOCH_MS)).not.toBe(signed)
  })

  it('has the first 128 bits of an HMAC under a key that signs nothing but tags', () => {
    const hmac = createHmac('sha256', 'tag:secret').update(
      '["production","targetingKey","ada","r1.3.2k.t.82000"]',
    )
    const signature = hmac.digest('base64url').slice(0, 22)
    expect(signTag(environment, 'r1.3.2k.t', 'ada', NOW)).toBe(`r1.3.2k.t.82000.${signature}`)
  })

  it.each([
    ['at once', 0, R1],
    ['at the end of the next epoch', 2 * EPOCH_MS - 1, R1],
    ['after that', 2 * EPOCH_MS, undefined],
    ['before its epoch', -1, undefined],
  ])('%s', (_, elapsed, expected) => {
    const start = 82_000 * EPOCH_MS
    const signed = signTag(environment, 'r1.3.2k.t', 'ada', start)
    expect(verifyTag(environment, signed, 'ada', start + elapsed)).toEqual(expected)
  })

  it.each<[name: string, other: EnvironmentSnapshot, unit: string]>([
    ['another unit', environment, 'bob'],
    ['a unit whose name is longer', environment, 'ada '],
    ['another environment', makeEnvironment({ key: 'staging' }), 'ada'],
    ['an environment with another secret', makeEnvironment({ signingSecret: 'secret2' }), 'ada'],
    ['a unit of another kind', makeEnvironment({ by: 'company.id' }), 'ada'],
  ])('is none for %s', (_, other, unit) => {
    const signed = signTag(environment, 'r1.3.2k.t', 'ada', NOW)
    expect(verifyTag(other, signed, unit, NOW)).toBeUndefined()
  })

  it('is none with any other character anywhere', () => {
    const signed = signTag(environment, 'r1.3.2k.t', 'ada', NOW)
    for (let index = 0; index < signed.length; index++) {
      for (const character of ['', '0', '1', 'a', 'b', 'A', 'B', '.', '-', '_', '=', ' ', 'ü']) {
        const mutated = signed.slice(0, index) + character + signed.slice(index + 1)
        if (mutated === signed) continue
        expect([mutated, verifyTag(environment, mutated, 'ada', NOW)]).toEqual([mutated, undefined])
      }
    }
  })

  it('is none where anything was made up', () => {
    const parts = [constantFrom('r1.3.2k.t', 'r1.3.2k.c'), integer({ min: 81_998, max: 82_001 })] as const
    assert(
      property(...parts, stringMatching(/^[A-Za-z0-9_-]{22}$/), (tag, epoch, signature) => {
        expect(verifyTag(environment, `${tag}.${epoch}.${signature}`, 'ada', NOW)).toBeUndefined()
      }),
    )
    for (const text of ['', 'r1.3.2k.t', 'r1.3.2k.t.82000', 'r1.3.2k.t.82000.', `..${'.'.repeat(30)}`]) {
      expect(verifyTag(environment, text, 'ada', NOW)).toBeUndefined()
    }
  })
})
