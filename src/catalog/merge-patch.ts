import { isJsonObject } from '../engine/json.ts'
import type { ReadonlyJson } from './wording.ts'

/**
 * Changes a document by a merge patch (RFC 7396): objects are merged field by field, null takes a field away, anything
 * else replaces what was there. Neither argument is changed; a field named `__proto__` is a field like any other.
 */
export function mergePatch(target: ReadonlyJson, patch: ReadonlyJson): ReadonlyJson {
  if (!isObject(patch)) return patch
  const merged = new Map(isObject(target) ? Object.entries(target) : [])
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) merged.delete(field)
    else merged.set(field, mergePatch(merged.get(field) ?? null, value))
  }
  // `fromEntries` defines fields; an assignment to `__proto__` would set the prototype.
  return Object.fromEntries(merged)
}

function isObject(value: ReadonlyJson): value is { readonly [key: string]: ReadonlyJson } {
  return isJsonObject(value)
}
