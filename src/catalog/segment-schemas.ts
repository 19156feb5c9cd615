// Segments, as the routes take and answer them.
import { z } from '@hono/zod-openapi'
import type { Condition } from '../engine/flag.ts'
import type { Json } from '../engine/json.ts'
import { instant } from '../http/schemas.ts'
import { change, conditionReference, NULL, revision, segmentKey, shown, sketched, units } from './schemas.ts'

const audience = z.string().max(10_000).openapi({ example: 'People who asked to try things' })

const whoOrNobody = {
  description: 'Who is in it beside the units that are named; null: nobody.',
  oneOf: [conditionReference, NULL],
  example: { attribute: 'beta', op: 'equals', values: [true] },
}

export const segmentDraft = z
  .strictObject({
    description: audience.default(''),
    condition: sketched<Json>().nullable().default(null).openapi(whoOrNobody),
    included: units.default([]),
    excluded: units.default([]),
    ...change,
  })
  .openapi('SegmentDraft')

export const segment = z
  .object({
    key: segmentKey,
    description: audience,
    condition: shown<Condition | null>().openapi(whoOrNobody),
    included: units,
    excluded: units,
    revision,
    updatedAt: instant,
  })
  .openapi('Segment')
