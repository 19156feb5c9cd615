// How values and lists are put into sentences: short enough to be read, whatever their size.
import type { Json } from '../engine/json.ts'

/** JSON that nobody changes. */
export type ReadonlyJson =
  | string
  | number
  | boolean
  | null
  | readonly ReadonlyJson[]
  | { readonly [key: string]: ReadonlyJson }

/** How many entries of a list a sentence names. */
export const MAX_NAMED = 10

const MAX_CHARACTERS = 100

function shorten(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text
  // The cut may go through a surrogate pair.
  return `${text.slice(0, MAX_CHARACTERS - 1).toWellFormed()}…`
}

/** A value as JSON, cut where it is longer than 100 characters; texts stand in quotes. */
export function quote(value: ReadonlyJson | Json): string {
  return shorten(JSON.stringify(value))
}

/** The first ten entries, and how many more there are: `u1, u2 and 3 more`. */
export function nameSome(entries: readonly string[]): string {
  const more = entries.length - MAX_NAMED
  return entries.slice(0, MAX_NAMED).map(shorten).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** A number of things: `1 unit`, `3 units`. */
export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}

/** What something is now and was before: `now "on" (was "off")`; or, where both read alike, that they differ. */
export function nowAndBefore(after: string, before: string): string {
  return after === before ? 'changed in a part too long to show' : `now ${after} (was ${before})`
}
