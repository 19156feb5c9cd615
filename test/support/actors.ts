// People other than the administrator. Their tokens are rows, so that tests need none of the routes that make tokens.
import { env } from 'cloudflare:workers'
import { drizzle } from 'drizzle-orm/d1'
import type { Grant } from '../../src/access/actor.ts'
import { hashKey } from '../../src/access/key.ts'
import { tokens } from '../../src/access/tables.ts'
import { createToken } from '../../src/access/tokens.ts'
import { type Answer, api, field, uniqueName } from './worker.ts'

type ActorDraft = Partial<Grant> & {
  /** The person's id; left out, one that no other actor of the file has. */
  readonly owner?: string
  /** Who made the token. */
  readonly issuedBy?: string
}

/** Makes somebody who acts, a developer everywhere unless said; their bearer token. */
export async function createActor(draft: ActorDraft = {}): Promise<string> {
  const { role = 'developer', environments = null, issuedBy = 'issuer@example.com' } = draft
  const { owner = `${uniqueName('person')}@example.com` } = draft
  const { id, text } = createToken()
  await drizzle(env.DB)
    .insert(tokens)
    .values({
      id,
      name: 'test',
      hash: await hashKey(text),
      owner,
      role,
      environments,
      createdBy: issuedBy,
      createdAt: Date.now(),
    })
  return text
}

/** Calls the management API as the bearer of a token. */
export function apiAs(
  token: string,
  method: string,
  path: string,
  json?: unknown,
  headers: { readonly [name: string]: string } = {},
): Promise<Answer> {
  return api(method, path, json, { ...headers, authorization: `Bearer ${token}` })
}

/** What a refusal is told by: its status and its code. */
export function refusalOf({ status, body }: Answer): readonly [status: number, code: unknown] {
  return [status, field(field(body, 'error'), 'code')]
}
