import { isJsonObject } from '../engine/json.ts'
import { below, type Problem } from '../engine/problem.ts'

/**
 * Finds what a draft says and its parser did not read: a field that is misspelt would otherwise be dropped in silence.
 * The edge reads on over such fields, so that it can be older than what it reads.
 * @param parsed what the parser made of the draft
 */
export function unknownFields(draft: unknown, parsed: unknown, path = ''): Problem[] {
  if (Array.isArray(draft)) {
    const read: readonly unknown[] = Array.isArray(parsed) ? parsed : []
    return draft.flatMap((entry: unknown, index) => unknownFields(entry, read[index], below(path, index)))
  }
  if (!isJsonObject(draft) || !isJsonObject(parsed)) return []
  return Object.entries(draft).flatMap(([field, value]): Problem[] => {
    const place = below(path, field)
    if (Object.hasOwn(parsed, field)) return unknownFields(value, parsed[field], place)
    return [{ path: place, rule: 'unknown_field', message: 'is no field that is known here' }]
  })
}
