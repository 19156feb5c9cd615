// How routes that change something answer: for their types and the OpenAPI document. Which code means what is in
// refusals.ts.
import { changeRefusedWith, json, type RefusalCodes, refusedWith } from '../http/schemas.ts'
import { waiting } from './change-request-schemas.ts'
import type { Operation } from './operation.ts'
import type { SaveError } from './save-error.ts'
import { changed } from './schemas.ts'

type SaveErrorCodes = { readonly [status in keyof RefusalCodes]: readonly SaveError['reason'][] }

const NAMED: SaveErrorCodes = { 404: ['not_found'] }
const POINTING = ['unknown_reference', 'reference_cycle', 'nested_too_deep'] as const

const CODES: { readonly [kind in Operation['kind']]: SaveErrorCodes } = {
  'environment.save': { ...NAMED, 413: ['environment_too_large'] },
  'environment.delete': { ...NAMED, 409: ['rollout_running', 'still_referenced'] },
  'flag.save': {
    ...NAMED,
    413: ['too_large', 'environment_too_large'],
    422: ['invalid', 'unknown_variant'],
  },
  'flag.delete': { ...NAMED, 409: ['rollout_running', 'still_referenced'] },
  'flag.archive': { ...NAMED, 409: ['archived', 'rollout_running', 'still_referenced'] },
  'flag.unarchive': { ...NAMED, 413: ['environment_too_large'], 422: [...POINTING, 'unknown_variant'] },
  'configuration.save': {
    ...NAMED,
    409: ['archived', 'moves_units'],
    413: ['too_large', 'environment_too_large'],
    422: ['invalid', ...POINTING, 'unknown_variant'],
  },
  'segment.save': { ...NAMED, 413: ['too_large', 'environment_too_large'], 422: ['invalid', ...POINTING] },
  'segment.delete': { ...NAMED, 409: ['still_referenced'] },
  'metric.save': {
    409: ['metric_in_use', 'still_referenced'],
    413: ['environment_too_large'],
    422: ['invalid', 'too_many'],
  },
  'metric.delete': { ...NAMED, 409: ['metric_in_use', 'rollout_running', 'still_referenced'] },
}

const SUBMITTED: RefusalCodes = { 412: ['stale'], 422: ['in_the_past'], 428: ['revision_required'] }

/** How a route answers that takes an operation of this kind; `more` are the route's own codes. */
export function changeAnswers(kind: Operation['kind'], more: RefusalCodes = {}) {
  return {
    200: json(changed, 'It is changed.'),
    202: json(waiting, 'It waits: for a second person, or for its time.'),
    ...changeRefusedWith(SUBMITTED, CODES[kind], more),
  }
}

/** What deciding about a change that waits can be refused with. */
export const decisionRefusals = changeRefusedWith({
  403: ['own_change'],
  404: ['not_found'],
  409: ['not_pending'],
})

/** The same where the change then happens: whatever stands in its way by now. */
export const approvalRefusals = changeRefusedWith(
  { 403: ['own_change'], 409: ['not_pending'], 412: ['stale'] },
  ...Object.values(CODES),
)

/** What a preview can be refused with. */
export const previewRefusals = refusedWith(
  { 400: ['malformed'], 403: ['wrong_environment', 'cross_site'], 413: ['too_large'], 415: ['malformed'] },
  { ...NAMED, 409: ['archived'], 422: ['invalid'] },
)
