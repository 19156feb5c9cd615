/** How many rows a page has unless the request says. */
export const PAGE_ROWS = 50
export const MAX_PAGE_ROWS = 200

/** A page of a list, and where the next one begins; null when there is none. */
export type Page<Row> = { readonly rows: readonly Row[]; readonly nextCursor: string | null }

/** Writes where a page ended: opaque to clients, and not a secret. */
export function toCursor(position: readonly (string | number)[]): string {
  return new TextEncoder()
    .encode(JSON.stringify(position))
    .toBase64({ alphabet: 'base64url', omitPadding: true })
}

/** Reads a cursor: as many texts and numbers as were written; undefined when it is none. */
export function parseCursor(cursor: string): readonly (string | number)[] | undefined {
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: 'base64url' })
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    const isPosition =
      Array.isArray(value) && value.every((part) => typeof part === 'string' || typeof part === 'number')
    return isPosition ? value : undefined
  } catch {
    return undefined
  }
}

/** Cuts off the row beyond a page, by which it is known that there is another page. */
export function toPage<Row>(
  rows: readonly Row[],
  limit: number,
  positionOf: (row: Row) => readonly (string | number)[],
): Page<Row> {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    rows: shown,
    nextCursor: rows.length > limit && last !== undefined ? toCursor(positionOf(last)) : null,
  }
}
