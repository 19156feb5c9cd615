/** Any value that JSON can say. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** A JSON object as it comes out of `JSON.parse`, not yet checked. */
export type JsonObject = { readonly [key: string]: unknown }

/** Tells whether a value is a JSON object: not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
