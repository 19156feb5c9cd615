// A request that carries an Idempotency-Key and was committed before gets the answer that it got then.
import type { Context, MiddlewareHandler } from 'hono'
import type { Management } from '../access/management.ts'
import { type Refusal, refuse } from '../http/problem.ts'
import { createReceipt, isIdempotencyKey, loadAnswer, type Receipt } from '../ledger/idempotency.ts'
import { publishAll } from './publish.ts'

const MALFORMED_KEY: Refusal = {
  status: 400,
  code: 'malformed',
  message: 'an Idempotency-Key has 16 to 200 printable characters, as a UUID has',
}

const REUSED: Refusal = {
  status: 422,
  code: 'idempotency_key_reused',
  message: 'this Idempotency-Key was used for another request',
}

async function replay(c: Context<Management>, receipt: Receipt): Promise<Response | undefined> {
  const kept = await loadAnswer(c.env.DB, receipt.id)
  if (!kept) return undefined
  if (kept.fingerprint !== receipt.fingerprint) return refuse(c, REUSED)
  const { body, shows }: { body: object; shows: readonly string[] } = JSON.parse(
    await receipt.open(kept.answer),
  )
  const environments = await publishAll(c.env, new Map(Object.entries(kept.environments)))
  const answer = {
    ...body,
    ...(shows.includes('revision') ? { revision: kept.revision } : {}),
    ...(shows.includes('environments') ? { environments } : {}),
  }
  const isRevised = shows.includes('revision') && kept.revision > 0
  const headers = { 'idempotency-replayed': 'true', ...(isRevised ? { etag: `"${kept.revision}"` } : {}) }
  return Response.json(answer, { status: kept.status, headers })
}

/** Lets a request be repeated: see ledger/idempotency.ts. */
export const repeatable: MiddlewareHandler<Management> = async (c, next) => {
  const key = c.req.header('idempotency-key')
  if (key === undefined || c.req.method === 'GET') return next()
  if (!isIdempotencyKey(key)) return refuse(c, MALFORMED_KEY)
  const { pathname, search } = new URL(c.req.url)
  const asked = [
    c.req.method,
    pathname + search,
    c.req.header('if-match') ?? '',
    c.req.header('if-none-match') ?? '',
    await c.req.text(),
  ]
  const receipt = await createReceipt(c.var.actor.id, key, asked, Date.now())
  const known = await replay(c, receipt)
  if (known) return known
  c.set('receipt', receipt)
  await next()
  // Two of the same at once: the one that was late finds its ground moved, by the other. Or the database committed
  // and could not say so.
  if (c.res.status < 400) return undefined
  const answer = await replay(c, receipt)
  if (answer) c.res = answer
  return undefined
}
