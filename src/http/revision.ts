import type { Refusal } from './problem.ts'

/** The revision that a change was made from: 0 for what is new; undefined when the request does not say. */
export function revisionOf(headers: {
  'if-match'?: string | undefined
  'if-none-match'?: string | undefined
}): number | undefined {
  if (headers['if-none-match']?.trim() === '*') return 0
  const match = /^(?:W\/)?"?(\d{1,15})"?$/.exec(headers['if-match']?.trim() ?? '')
  return match ? Number(match[1]) : undefined
}

/** The answer to a change that does not say. */
export const REVISION_REQUIRED: Refusal<428> = {
  status: 428,
  code: 'revision_required',
  message:
    'say what the change was made from: If-Match with the revision, or If-None-Match: * for something new',
}
