import { env, exports } from 'cloudflare:workers'
import { FlagshipServerProvider } from '@cloudflare/flagship/server'
import { OpenFeature } from '@openfeature/server-sdk'
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import type { Flags } from '../../src/index.ts'
import {
  configure,
  createEnvironment,
  createFlag,
  createSegment,
  HUB_DOWN,
  KV_DOWN,
  makeFlags,
  silenceLogs,
  uniqueName,
  warm,
  withHub,
  withKv,
} from '../support/worker.ts'

const THEME = { colors: ['red', null], depth: { on: false } }

let environment = ''

/** What another Worker declares its binding to be. */
type Binding = Flagship & Pick<Flags, 'getAll'>

/** The entrypoint as another Worker has it: over RPC, with the environment in the binding's properties. */
function bound(props: { readonly environment?: string } = { environment }): Binding {
  // The type of a stub loses what is generic in the class behind it.
  return exports.Flags({ props }) as unknown as Binding
}

beforeAll(async () => {
  await createFlag('bool')
  await createFlag('text', { type: 'string', variants: [{ name: 'warm', value: 'hello' }] })
  await createFlag('number', { type: 'number', variants: [{ name: 'zero', value: 0 }] })
  await createFlag('object', { type: 'object', variants: [{ name: 'theme', value: THEME }] })
  await createFlag('targeted')
  await createFlag('split')
  await createFlag('off-with')
  await createFlag('off-without')
  environment = await createEnvironment()
  await createSegment(environment, 'staff', {
    condition: { attribute: 'email', op: 'ends-with', values: ['@rampart.test'] },
  })
  await configure(environment, 'bool')
  await configure(environment, 'text', { fallthrough: { variant: 'warm' } })
  await configure(environment, 'number', { fallthrough: { variant: 'zero' } })
  await configure(environment, 'object', { fallthrough: { variant: 'theme' } })
  await configure(environment, 'targeted', {
    rules: [{ id: 'staff', when: { segment: 'staff' }, serve: { variant: 'on' } }],
    fallthrough: { variant: 'off' },
  })
  await configure(environment, 'split', {
    fallthrough: { split: { weights: [{ variant: 'on', weight: 1 }], seed: 'seed', by: 'company.id' } },
  })
  await configure(environment, 'off-with', { enabled: false, offVariant: 'off' })
  await configure(environment, 'off-without', { enabled: false })
  await warm(environment)
})

silenceLogs()

const STAFF = { targetingKey: 'ada', email: 'ada@rampart.test', company: { id: 7 } }

describe('a service binding', () => {
  it("has the type of the platform's own Flagship binding", () => {
    expectTypeOf<Flags>().toExtend<Flagship>()
  })

  it('answers every kind of value', async () => {
    const flags = bound()
    expect([
      await flags.getBooleanValue('bool', false),
      await flags.getStringValue('text', 'default'),
      await flags.getNumberValue('number', 1),
      await flags.getObjectValue('object', {}),
      await flags.getValue('bool', false),
      await flags.getValue('text', 'default'),
      await flags.getValue('number', 1),
      await flags.getValue('object', {}),
      await flags.get('object'),
    ]).toEqual([true, 'hello', 0, THEME, true, 'hello', 0, THEME, THEME])
  })

  it('answers every kind of value with its details', async () => {
    const flags = bound()
    const bool = { flagKey: 'bool', value: true, variant: 'on', reason: 'STATIC' }
    const text = { flagKey: 'text', value: 'hello', variant: 'warm', reason: 'STATIC' }
    const number = { flagKey: 'number', value: 0, variant: 'zero', reason: 'STATIC' }
    const object = { flagKey: 'object', value: THEME, variant: 'theme', reason: 'STATIC' }
    expect([
      await flags.getBooleanDetails('bool', false),
      await flags.getStringDetails('text', 'default'),
      await flags.getNumberDetails('number', 1),
      await flags.getObjectDetails('object', {}),
      await flags.getDetails('bool', false),
      await flags.getDetails('text', 'default'),
      await flags.getDetails('number', 1),
      await flags.getDetails('object', {}),
    ]).toEqual([bool, text, number, object, bool, text, number, object])
  })

  it.each([
    ['a rule that matches', 'targeted', STAFF, { value: true, variant: 'on', reason: 'TARGETING_MATCH' }],
    [
      'no rule that matches',
      'targeted',
      { email: 'ada@else.test' },
      { value: false, variant: 'off', reason: 'DEFAULT' },
    ],
    ['no context', 'targeted', undefined, { value: false, variant: 'off', reason: 'DEFAULT' }],
    ['a split', 'split', STAFF, { value: true, variant: 'on', reason: 'SPLIT' }],
    ['a disabled flag', 'off-with', STAFF, { value: false, variant: 'off', reason: 'DISABLED' }],
    ['a disabled flag without a value', 'off-without', STAFF, { value: true, reason: 'DISABLED' }],
    [
      'a split without its unit',
      'split',
      { targetingKey: 'ada' },
      {
        value: true,
        reason: 'ERROR',
        errorCode: 'TARGETING_KEY_MISSING',
        errorMessage: 'the flag is split by an attribute that the context lacks',
      },
    ],
    [
      'a flag that does not exist',
      'missing',
      STAFF,
      {
        value: true,
        reason: 'ERROR',
        errorCode: 'FLAG_NOT_FOUND',
        errorMessage: 'there is no flag of that key',
      },
    ],
  ])('tells why, for %s', async (_, flag, context, expected) => {
    expect(await bound().getBooleanDetails(flag, true, context)).toEqual({ flagKey: flag, ...expected })
  })

  const mismatch = (value: unknown, type: string) => ({
    value,
    reason: 'ERROR',
    errorCode: 'TYPE_MISMATCH',
    errorMessage: `the flag's value is not of the default's type, ${type}`,
  })

  it('answers the default when the flag is of another type, and says so', async () => {
    const flags = bound()
    expect([
      await flags.getBooleanDetails('text', true),
      await flags.getStringDetails('number', 'default'),
      await flags.getNumberDetails('bool', 7),
      await flags.getObjectDetails('text', { a: 1 }),
      await flags.getDetails('object', 'default'),
      await flags.getDetails('bool', ['default']),
    ]).toEqual([
      { flagKey: 'text', ...mismatch(true, 'boolean') },
      { flagKey: 'number', ...mismatch('default', 'string') },
      { flagKey: 'bool', ...mismatch(7, 'number') },
      { flagKey: 'text', ...mismatch({ a: 1 }, 'object') },
      { flagKey: 'object', ...mismatch('default', 'string') },
      { flagKey: 'bool', ...mismatch(['default'], 'object') },
    ])
    expect([
      await flags.getBooleanValue('text', true),
      await flags.getStringValue('number', 'default'),
      await flags.getNumberValue('bool', 7),
      await flags.getObjectValue('text', { a: 1 }),
      await flags.getValue('object', 'default'),
    ]).toEqual([true, 'default', 7, { a: 1 }, 'default'])
  })

  it('answers without checking the type where none is asked for', async () => {
    const flags = bound()
    expect([
      await flags.get('number', 'default'),
      await flags.get('missing', 'default'),
      await flags.get('missing'),
      await flags.get('off-without', 'default'),
    ]).toEqual([0, 'default', undefined, 'default'])
  })

  it('answers all flags at once', async () => {
    expect(await bound().getAll(STAFF)).toEqual({
      bool: { flagKey: 'bool', value: true, variant: 'on', reason: 'STATIC' },
      number: { flagKey: 'number', value: 0, variant: 'zero', reason: 'STATIC' },
      object: { flagKey: 'object', value: THEME, variant: 'theme', reason: 'STATIC' },
      'off-with': { flagKey: 'off-with', value: false, variant: 'off', reason: 'DISABLED' },
      'off-without': { flagKey: 'off-without', value: undefined, reason: 'DISABLED' },
      split: { flagKey: 'split', value: true, variant: 'on', reason: 'SPLIT' },
      targeted: { flagKey: 'targeted', value: true, variant: 'on', reason: 'TARGETING_MATCH' },
      text: { flagKey: 'text', value: 'hello', variant: 'warm', reason: 'STATIC' },
    })
    expect((await bound().getAll()).split).toEqual({
      flagKey: 'split',
      value: undefined,
      reason: 'ERROR',
      errorCode: 'TARGETING_KEY_MISSING',
      errorMessage: 'the flag is split by an attribute that the context lacks',
    })
  })

  const notReady = {
    flagKey: 'bool',
    value: true,
    reason: 'ERROR',
    errorCode: 'PROVIDER_NOT_READY',
    errorMessage: 'no snapshot can be reached for the environment that the binding names',
  }

  it.each([
    ['an environment that does not exist', { environment: 'nowhere' }],
    ['something that is no environment', { environment: '../production' }],
    ['no environment', {}],
  ])('answers the default and says why when it names %s', async (_, props) => {
    const flags = bound(props)
    expect([
      await flags.getBooleanDetails('bool', true),
      await flags.getBooleanValue('bool', true),
      await flags.getAll(),
    ]).toEqual([notReady, true, {}])
  })

  it('answers the default and says why when nothing can be reached', async () => {
    const cold = await createEnvironment()
    const { flags } = makeFlags(cold, withHub(withKv(env, KV_DOWN), HUB_DOWN))
    expect([await flags.getBooleanDetails('bool', true), await flags.getAll()]).toEqual([notReady, {}])
  })
})

describe('the published Flagship provider', () => {
  const domain = uniqueName('domain')
  const client = OpenFeature.getClient(domain)

  beforeAll(() => OpenFeature.setProviderAndWait(domain, new FlagshipServerProvider({ binding: bound() })))
  afterAll(() => OpenFeature.clearProviders())

  it('gets every kind of value', async () => {
    expect([
      await client.getBooleanDetails('bool', false),
      await client.getStringDetails('text', 'default'),
      await client.getNumberDetails('number', 1),
      await client.getObjectDetails('object', {}),
    ]).toEqual([
      { flagKey: 'bool', value: true, variant: 'on', reason: 'STATIC', flagMetadata: {} },
      { flagKey: 'text', value: 'hello', variant: 'warm', reason: 'STATIC', flagMetadata: {} },
      { flagKey: 'number', value: 0, variant: 'zero', reason: 'STATIC', flagMetadata: {} },
      { flagKey: 'object', value: THEME, variant: 'theme', reason: 'STATIC', flagMetadata: {} },
    ])
  })

  it('gets what the context is targeted with', async () => {
    const context = { targetingKey: 'ada', email: 'ada@rampart.test' }
    expect(await client.getBooleanDetails('targeted', false, context)).toEqual({
      flagKey: 'targeted',
      value: true,
      variant: 'on',
      reason: 'TARGETING_MATCH',
      flagMetadata: {},
    })
  })

  it.each([
    ['a flag that does not exist', 'missing', 'FLAG_NOT_FOUND', 'there is no flag of that key'],
    [
      'a flag of another type',
      'text',
      'TYPE_MISMATCH',
      "the flag's value is not of the default's type, boolean",
    ],
  ])('gets the default and the reason for %s', async (_, flagKey, errorCode, errorMessage) => {
    expect(await client.getBooleanDetails(flagKey, true)).toEqual({
      flagKey,
      value: true,
      reason: 'ERROR',
      errorCode,
      errorMessage,
      flagMetadata: {},
    })
  })

  it('gets the default for a disabled flag', async () => {
    expect(await client.getBooleanDetails('off-without', true)).toEqual({
      flagKey: 'off-without',
      value: true,
      reason: 'DISABLED',
      flagMetadata: {},
    })
  })
})
