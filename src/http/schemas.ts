// What all management routes take and answer alike: the source of their types and of the OpenAPI document.
import { z } from '@hono/zod-openapi'
import { isInstant } from './instant.ts'
import { MAX_PAGE_ROWS, PAGE_ROWS, parseCursor } from './paging.ts'
import type { RefusalStatus } from './problem.ts'

export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

export const body = <T extends z.ZodType>(schema: T) => ({
  content: { 'application/json': { schema } },
  required: true,
})

export const instant = z.number().int().openapi({
  description: 'Milliseconds since 1970.',
  example: 1_795_000_000_000,
})

export const problem = z
  .object({
    error: z.object({
      code: z.string().openapi({ description: 'Stable: programs may depend on it.', example: 'forbidden' }),
      message: z.string().openapi({ example: 'this needs the role releaser' }),
      requestId: z.string().openapi({ example: '8f3c2a4d5e6f7a8b' }),
      details: z
        .unknown()
        .optional()
        .openapi({ description: 'What a program may want to know of it.', example: { needed: 'releaser' } }),
    }),
  })
  .openapi('Problem')

/** The codes that a route can be refused with, by status. */
export type RefusalCodes = { readonly [status in RefusalStatus]?: readonly string[] }

const MEANINGS: { readonly [status in RefusalStatus]: string } = {
  400: 'The request is not understood',
  401: 'Nobody is recognised',
  403: 'This actor may not',
  404: 'There is no such thing',
  409: 'Something stands in the way',
  412: 'It has changed since',
  413: 'It is too large',
  415: 'The body must be JSON',
  422: 'It is understood, and not valid',
  428: 'The request does not say what it was made from',
  429: 'Too many failed attempts',
  500: 'A defect, of which the log knows more',
  503: 'The identity provider, or what was counted, cannot be reached',
}

/** What any route can be refused with. */
const ALWAYS: RefusalCodes = {
  401: ['unauthorized', 'expired'],
  // Whoever may only signal is refused everything else.
  403: ['no_member', 'forbidden'],
  429: ['limited'],
  500: ['internal'],
  503: ['unavailable'],
}

/** What any change can be refused with before it is looked at. */
const CHANGE: RefusalCodes = {
  400: ['malformed'],
  403: ['wrong_environment', 'cross_site'],
  409: ['repeated'],
  413: ['too_large'],
  415: ['malformed'],
  422: ['idempotency_key_reused'],
}

type Refusals = { readonly [status in RefusalStatus]: ReturnType<typeof json<typeof problem>> }

/**
 * The answers of a route that refuses with these codes, and with what all routes refuse. Its type names every status,
 * because one function answers them all.
 */
export function refusedWith(...lists: readonly RefusalCodes[]): Refusals {
  const codes = new Map<string, Set<string>>()
  for (const list of [ALWAYS, ...lists]) {
    for (const [status, more] of Object.entries(list)) {
      codes.set(status, new Set([...(codes.get(status) ?? []), ...more]))
    }
  }
  const meanings: { readonly [status: string]: string } = MEANINGS
  const answers = [...codes].map(([status, some]) => {
    const named = [...some].map((code) => `\`${code}\``).join(', ')
    return [status, json(problem, `${meanings[status]}: ${named}.`)] as const
  })
  return Object.fromEntries(answers) as Refusals
}

/** What any question can be refused with, by code. */
export const READ: RefusalCodes = { 400: ['malformed'], 403: ['wrong_environment'], 404: ['not_found'] }

/** What a question can be refused with. */
export const refusals = refusedWith(READ)

/** What a change can be refused with, and these codes of its own. */
export function changeRefusedWith(...lists: readonly RefusalCodes[]): Refusals {
  return refusedWith(CHANGE, ...lists)
}

/** What a change of something that exists, and has no revision, can be refused with. */
export const changeRefusals = changeRefusedWith({ 404: ['not_found'], 412: ['stale'] })

export const comment = z
  .string()
  .max(2_000)
  .default('')
  .openapi({ description: 'Why: kept in history and audit.', example: 'Everybody may have it now' })

export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE_ROWS).default(PAGE_ROWS).openapi({ example: 50 }),
  cursor: z
    .string()
    .refine((cursor) => parseCursor(cursor) !== undefined, 'is none of ours')
    .optional()
    .openapi({ description: 'The `nextCursor` of the page before.', example: 'WyJuZXctY2hlY2tvdXQiXQ' }),
})

export const nextCursor = z
  .string()
  .nullable()
  .openapi({ description: 'Where the next page begins; null on the last.', example: null })

export const revisionHeaders = z.object({
  'if-match': z
    .string()
    .optional()
    .openapi({ description: 'The revision that the change was made from.', example: '"7"' }),
  'if-none-match': z.string().optional().openapi({ description: '`*`: it is new.', example: '*' }),
})

export const instantText = z
  .string()
  .refine(isInstant, 'must be an instant as RFC 3339 writes it')
  .openapi({ description: 'An instant as RFC 3339 writes it.', example: '2026-12-01T09:00:00Z' })

export const flagOf = z.stringbool().openapi({ type: 'boolean', example: true })
