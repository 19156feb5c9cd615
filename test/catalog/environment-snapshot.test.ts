import { describe, expect, it } from 'vitest'
import { isExpired, type KeyRecord, keyText, SETTINGS_KEY, settingsText } from '../../src/catalog/entities.ts'
import { type Delta, openEnvironment, patchEnvironment } from '../../src/catalog/environment-snapshot.ts'
import { type Measurement, measurementText, metricText } from '../../src/catalog/measurement.ts'
import { writeSnapshotText } from '../../src/engine/snapshot-text.ts'

const SETTINGS = { refreshSeconds: 30, signingSecret: 'ab' }
const KEY: KeyRecord = { id: 'k', kind: 'server', hash: 'cd' }

/** The environment as it is opened, and as a delta leaves it: both must read alike. */
function read(texts: { readonly settings?: string; readonly key?: string }) {
  const { settings = settingsText(SETTINGS), key = keyText(KEY) } = texts
  const write = (own: string, of: string) =>
    writeSnapshotText({
      environment: 'production',
      version: 1,
      sections: { keys: new Map([['k', of]]), settings: new Map([[SETTINGS_KEY, own]]) },
    })
  const before = openEnvironment('production', write(settingsText(SETTINGS), keyText(KEY)))
  if (!before.ok) throw new Error(before.error)
  return {
    opened: openEnvironment('production', write(settings, key)),
    patched: patchEnvironment(before.value, {
      from: 1,
      to: 2,
      changes: [
        { kind: 'settings', key: SETTINGS_KEY, text: settings },
        { kind: 'keys', key: 'k', text: key },
      ],
    }),
  }
}

/** What a result holds of what is read here. */
function told(result: ReturnType<typeof openEnvironment>) {
  return result.ok ? { settings: result.value.settings, key: result.value.keys.get('k') } : result.error
}

describe('settings', () => {
  const contextKeys = [{ kty: 'EC', kid: 'one' }, { kty: 'OKP' }]
  const layouts = [
    { since: 0, shards: 2 },
    { since: 9, shards: 4 },
  ]

  it.each([
    ['without context keys', SETTINGS, '{"refreshSeconds":30,"signingSecret":"ab"}', SETTINGS],
    [
      'with an empty list of them, which is none',
      { ...SETTINGS, contextKeys: [] },
      '{"refreshSeconds":30,"signingSecret":"ab"}',
      SETTINGS,
    ],
    [
      'with context keys',
      { ...SETTINGS, contextKeys },
      '{"refreshSeconds":30,"signingSecret":"ab","contextKeys":[{"kty":"EC","kid":"one"},{"kty":"OKP"}]}',
      { ...SETTINGS, contextKeys },
    ],
    [
      'with layouts',
      { ...SETTINGS, layouts },
      '{"refreshSeconds":30,"signingSecret":"ab","layouts":[{"since":0,"shards":2},{"since":9,"shards":4}]}',
      { ...SETTINGS, layouts },
    ],
    [
      'with an empty list of them, which is none',
      { ...SETTINGS, layouts: [] },
      '{"refreshSeconds":30,"signingSecret":"ab"}',
      SETTINGS,
    ],
  ])('are written and read: %s', (_, settings, text, expected) => {
    expect(settingsText(settings)).toBe(text)
    const { opened, patched } = read({ settings: text })
    expect([told(opened), told(patched)]).toEqual([
      { settings: expected, key: KEY },
      { settings: expected, key: KEY },
    ])
  })

  it.each(['null', '{}', '"x"', '[1]', '[null]', '[[]]', '[{"kty":"EC"},"x"]'])(
    'are refused whole when their context keys cannot be read: %s',
    (contextKeys) => {
      const settings = `{"refreshSeconds":30,"signingSecret":"ab","contextKeys":${contextKeys}}`
      const { opened, patched } = read({ settings })
      expect([told(opened), told(patched)]).toEqual([
        'the settings cannot be read',
        'the settings cannot be read',
      ])
    },
  )

  it.each([
    'null',
    '{}',
    '2',
    '[2]',
    '[null]',
    '[{"since":0}]',
    '[{"since":"0","shards":2}]',
    '[{"since":0,"shards":2.5}]',
  ])('are refused whole when their layouts cannot be read: %s', (layouts) => {
    const settings = `{"refreshSeconds":30,"signingSecret":"ab","layouts":${layouts}}`
    const { opened, patched } = read({ settings })
    expect([told(opened), told(patched)]).toEqual([
      'the settings cannot be read',
      'the settings cannot be read',
    ])
  })
})

describe('metrics and measurements', () => {
  const metric = { event: 'e', kind: 'count', denominator: null, unit: 'user', goodDirection: 'up' } as const
  const counted = { ...metric, cap: null, preExposure: false }
  const measurement: Omit<Measurement, 'id'> = {
    flag: 'a',
    kind: 'rollout',
    by: 'targetingKey',
    stage: 0,
    shards: 2,
    windowMs: 1,
    exposure: 'use',
    metrics: [{ metric: 'm', bounds: [] }],
    slices: [],
  }
  const sections = (text: string) => ({
    settings: new Map([[SETTINGS_KEY, settingsText(SETTINGS)]]),
    metrics: new Map([['m', text]]),
    measurements: new Map([['r', measurementText({ id: 'r', ...measurement })]]),
  })
  const openWith = (text: string) =>
    openEnvironment(
      'production',
      writeSnapshotText({ environment: 'production', version: 1, sections: sections(text) }),
    )
  const open = () => {
    const opened = openWith(metricText({ key: 'm', ...counted }))
    return opened.ok ? opened.value : expect.fail()
  }
  const patch = (changes: Delta['changes']) => patchEnvironment(open(), { from: 1, to: 2, changes })

  it('are opened', () => {
    expect([...open().metrics]).toEqual([['m', { key: 'm', ...counted }]])
    expect([...open().measurements]).toEqual([['r', { id: 'r', ...measurement }]])
  })

  it('come and go, each kind in a new map, where it has changed', () => {
    const before = open()
    const patched = patchEnvironment(before, {
      from: 1,
      to: 2,
      changes: [
        { kind: 'metrics', key: 'm', text: null },
        { kind: 'metrics', key: 'n', text: metricText({ key: 'n', ...counted, cap: 2 }) },
      ],
    })
    if (!patched.ok) throw new Error(patched.error)
    expect([...patched.value.metrics]).toEqual([['n', { key: 'n', ...counted, cap: 2 }]])
    expect(patched.value.measurements).toBe(before.measurements)
    expect([...before.metrics.keys()]).toEqual(['m'])
    const ended = patch([{ kind: 'measurements', key: 'r', text: null }])
    expect(ended.ok && [...ended.value.measurements]).toEqual([])
  })

  it('that cannot be read are refused, and nothing moves', () => {
    expect(openWith('{"kind":"median"}')).toEqual({ ok: false, error: 'metric "m" cannot be read' })
    expect(patch([{ kind: 'metrics', key: 'm', text: '{}' }])).toEqual({
      ok: false,
      error: 'metric "m" cannot be read',
    })
    expect(patch([{ kind: 'measurements', key: 'r', text: '{}' }])).toEqual({
      ok: false,
      error: 'measurement "r" cannot be read',
    })
  })
})

describe('a key', () => {
  it.each<[string, KeyRecord, string]>([
    ['that does not end', KEY, '{"kind":"server","hash":"cd"}'],
    ['that ends', { ...KEY, expiresAt: 1_000 }, '{"kind":"server","hash":"cd","expiresAt":1000}'],
    ['that ended long ago', { ...KEY, expiresAt: 0 }, '{"kind":"server","hash":"cd","expiresAt":0}'],
  ])('is written and read: %s', (_, key, text) => {
    expect(keyText(key)).toBe(text)
    const { opened, patched } = read({ key: text })
    expect([told(opened), told(patched)]).toEqual([
      { settings: SETTINGS, key },
      { settings: SETTINGS, key },
    ])
  })

  it.each(['null', '"1000"', 'true', '[]', '{}', '"2026-01-01"'])(
    'cannot be read when it ends at %s',
    (expiresAt) => {
      const { opened, patched } = read({ key: `{"kind":"server","hash":"cd","expiresAt":${expiresAt}}` })
      expect([told(opened), told(patched)]).toEqual(['key "k" cannot be read', 'key "k" cannot be read'])
    },
  )

  it.each([
    [999, false],
    [1_000, true],
    [1_001, true],
  ])('that ends at 1,000 has ended at %i: %s', (now, expected) => {
    expect(isExpired({ ...KEY, expiresAt: 1_000 }, now)).toBe(expected)
    expect(isExpired(KEY, now)).toBe(false)
  })
})
