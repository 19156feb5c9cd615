// Ranges of time, as routes take them.
import { z } from '@hono/zod-openapi'
import { err, ok, type Result } from '../../engine/result.ts'
import type { Refusal } from '../../http/problem.ts'
import { instantText } from '../../http/schemas.ts'
import type { SeriesStep } from '../counting/series.ts'
import { type SeriesRange, STEP_MS } from './series.ts'

/** The query of a route that answers a range in steps. */
export const rangeQuery = z.object({
  step: z.enum(['minute', 'hour', 'day']).default('hour').openapi({
    description: 'Minutes are kept for three days, hours for two weeks, days (of UTC) for 400.',
  }),
  from: instantText.optional(),
  to: instantText.optional(),
})

/** The codes that a range is refused with. */
export const RANGE_REFUSALS = { 422: ['empty_range', 'range_too_long'] } as const

type Steps = { readonly [step in SeriesStep]: number }

const DEFAULT_STEPS: Steps = { minute: 60, hour: 24, day: 30 }
const MAX_STEPS: Steps = { minute: 1_440, hour: 336, day: 400 }

/** The range that a query asks for: without an end until now, and without a beginning an hour, a day or 30 days. */
export function parseRange(
  { step, from, to }: z.output<typeof rangeQuery>,
  now: number,
): Result<SeriesRange, Refusal<422>> {
  const end = to === undefined ? now : Date.parse(to)
  const begin = from === undefined ? end - DEFAULT_STEPS[step] * STEP_MS[step] : Date.parse(from)
  if (begin >= end) {
    return err({ status: 422, code: 'empty_range', message: 'from must lie before to' })
  }
  if (end - begin > MAX_STEPS[step] * STEP_MS[step]) {
    const message = `at most ${MAX_STEPS[step]} ${step}s are answered at once`
    return err({ status: 422, code: 'range_too_long', message, details: { limit: MAX_STEPS[step] } })
  }
  return ok({ step, from: begin, to: end })
}
