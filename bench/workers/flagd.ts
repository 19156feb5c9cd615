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
import { toFlagdConfiguration } from '../support/flagd-configuration.ts'
import { makeFlagSet } from '../support/flags.ts'

const core = new FlagdCore(undefined, undefined, { disableDynamicCodeGeneration: true })
core.setConfigurations(toFlagdConfiguration(makeFlagSet(FLAG_COUNT), { owner: 'checkout' }))

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
