import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { openEnvironment } from '../../../src/catalog/environment-snapshot.ts'
import { hubOf } from '../../../src/catalog/hub-protocol.ts'
import { createUnitHasher } from '../../../src/telemetry/events/unit.ts'
import { listening } from '../../support/events.ts'
import { measure } from '../../support/measurements.ts'
import {
  createEnvironment,
  createFlag,
  makeFlags,
  stopClock,
  unreachable,
  warm,
} from '../../support/worker.ts'

let environment = ''

/** What was logged. */
let logged: unknown[][] = []

beforeEach(() => {
  logged = []
  for (const level of ['warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((...line) => void logged.push(line))
  }
})
beforeAll(async () => {
  stopClock()
  await createFlag('checkout')
  environment = await createEnvironment()
  await measure(environment, { flag: 'checkout', by: 'company.id', metrics: [{ key: 'purchase' }] })
  await warm(environment)
})

async function hasher() {
  const opened = openEnvironment(environment, (await hubOf(env, environment).whole()) ?? '')
  if (!opened.ok) throw new Error(opened.error)
  return createUnitHasher(opened.value.settings.signingSecret)
}

describe('an event that another Worker tracks', () => {
  it('is of whom the context is about, and believed', async () => {
    const { bindings, told } = listening()
    const { flags } = makeFlags(environment, bindings)
    const at = Date.now() - 60_000
    const context = { targetingKey: 'ada', company: { id: 7, name: 'Acme' } }
    expect(await flags.track('purchase', context, { value: 9.5, at, currency: 'EUR' })).toBeUndefined()
    const hash = await hasher()
    const sent = { kind: 'track', name: 'purchase', value: 9.5, at, trusted: true, tag: null }
    const copies = told.flatMap(({ events }) => events)
    expect(copies).toHaveLength(2)
    expect(copies).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ ...sent, unitKind: 'user', unit: hash('user', 'ada'), primary: true }),
        expect.objectContaining({
          ...sent,
          unitKind: 'company',
          unit: hash('company', '7'),
          primary: false,
        }),
      ]),
    )
    expect(new Set(told.map(({ message }) => String(message.id))).size).toBe(1)
  })

  it('happened now where nothing else is said', async () => {
    const { bindings, told } = listening()
    await makeFlags(environment, bindings).flags.track('visit', { targetingKey: 'ada' })
    expect(told.flatMap(({ events }) => events)).toMatchObject([{ name: 'visit', at: Date.now() }])
  })

  it.each([
    ['without whom', {}, {}, 'the unit must be'],
    ['with a value that is none', { targetingKey: 'ada' }, { value: 1e308 }, 'the value must be'],
    ['of days ago', { targetingKey: 'ada' }, { at: '2020-01-01T00:00:00Z' }, 'the event happened'],
  ])('is in the log when it cannot be counted: %s', async (_, context, details, fault) => {
    const { bindings, told } = listening()
    await makeFlags(environment, bindings).flags.track('visit', context, details)
    expect(told).toEqual([])
    expect(logged).toEqual([
      ['event not counted', { name: 'visit', fault: expect.stringMatching(`^${fault}`) }],
    ])
  })

  it.each([
    ['a shard fails', () => listening(unreachable).bindings],
    ['no binding is there', () => ({ ...env, EVENTS: undefined as never })],
  ])('never throws: %s', async (_, bindings) => {
    await makeFlags(environment, bindings()).flags.track('visit', { targetingKey: 'ada' })
    expect(logged.at(-1)).toEqual(['event not counted', { name: 'visit', fault: 'unavailable' }])
  })

  it.each([
    ['an environment that is not named', undefined, 'visit', {}, {}],
    ['an environment that nobody knows', 'nowhere', 'visit', {}, {}],
    ['nothing for a context', '', 'visit', null, {}],
    ['nothing for details', '', 'visit', { targetingKey: 'ada' }, null],
    ['no name', '', undefined, { targetingKey: 'ada' }, {}],
  ])('never throws: %s', async (_, named, name, context, details) => {
    const { flags } = makeFlags(named === '' ? environment : named, listening().bindings)
    await Reflect.apply(flags.track, flags, [name, context, details])
    expect(logged.at(-1)?.[0]).toBe('event not counted')
  })
})
