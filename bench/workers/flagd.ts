// Rampart's bulk answer with flagd's evaluator inside: the same key check, the same reading of the request, headers and
// an ETag over the result; nothing is counted.
import type { EvaluationContext } from '@openfeature/core'
import { FlagdCore } from '@openfeature/flagd-core'
import { Hono } from 'hono'
import { hashKey } from '../../src/access/key.ts'
import type { KeyRecord } from '../../src/catalog/entities.ts'
import { keyOf } from '../../src/delivery/authenticate.ts'
import { readContext } from '../../src/delivery/evaluation-request.ts'
import { KeyCheck } from '../../src/delivery/key-check.ts'
import { matchesEtag } from '../../src/delivery/ofrep.ts'
import { murmur3 } from '../../src/engine/bucket.ts'
import { FLAG_COUNT } from '../http/flag-count.ts'
import { SERVER_KEY } from '../http/server-key.ts'
import { makeFlagSet, RULES_VARIANTS, type RulesFlag, SEGMENT, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES } from '../support/users.ts'

const METADATA = { owner: 'checkout' }

const HALF = {
  state: 'ENABLED',
  variants: { on: true, off: false },
  defaultVariant: 'off',
  metadata: METADATA,
  targeting: {
    fractional: [
      ['on', 50],
      ['off', 50],
    ],
  },
}

function toRules({ customers, seatsAbove, versionFrom, emailPrefix }: RulesFlag) {
  return {
    state: 'ENABLED',
    variants: Object.fromEntries(RULES_VARIANTS.map((name) => [name, name])),
    defaultVariant: 'none',
    metadata: METADATA,
    targeting: {
      if: [
        { in: [{ var: 'customer' }, customers] },
        'rule-1',
        { '>': [{ var: 'seats' }, seatsAbove] },
        'rule-2',
        { sem_ver: [{ var: 'appVersion' }, '>=', versionFrom] },
        'rule-3',
        { starts_with: [{ var: 'email' }, emailPrefix] },
        'rule-4',
        { $ref: SEGMENT },
        { fractional: SPLIT_VARIANTS.map((variant) => [variant, 25]) },
        'none',
      ],
    },
  }
}

const { halves, rules } = makeFlagSet(FLAG_COUNT)
const core = new FlagdCore(undefined, undefined, { disableDynamicCodeGeneration: true })
core.setConfigurations(
  JSON.stringify({
    flags: Object.fromEntries([
      ...halves.map(({ key }) => [key, HALF] as const),
      ...rules.map((flag) => [flag.key, toRules(flag)] as const),
    ]),
    $evaluators: { [SEGMENT]: { in: [{ var: 'country' }, COUNTRIES] } },
    metadata: { flagSetId: 'production', version: '1' },
  }),
)

const keys: ReadonlyMap<string, KeyRecord> = new Map([
  ['bench', { id: 'bench', kind: 'server', hash: await hashKey(SERVER_KEY) }],
])
const keyCheck = new KeyCheck()

export default new Hono().post('/ofrep/v1/evaluate/flags', async (c) => {
  const request = c.req.raw
  const key = keyOf(request.headers) ?? ''
  if (!(keyCheck.known(key, keys) ?? (await keyCheck.check(key, keys))))
    return new Response(null, { status: 401 })
  const context = await readContext(request)
  if (!context.ok) return new Response(null, { status: context.error.status })
  const flags = core
    .resolveAll(context.value as EvaluationContext)
    .map(({ flagKey, value, reason, variant, flagMetadata }) => ({
      key: flagKey,
      value,
      reason,
      variant,
      metadata: flagMetadata,
    }))
  const body = JSON.stringify({ flags, metadata: { flagSetId: 'production', version: '1' } })
  const etag = `"${murmur3(body, 1).toString(36)}${murmur3(body, 2).toString(36)}"`
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'ETag, Retry-After, X-Rampart-Version',
    'x-rampart-version': '1',
    etag,
  }
  if (matchesEtag(request.headers.get('if-none-match'), etag))
    return new Response(null, { status: 304, headers })
  return new Response(body, { headers })
})
