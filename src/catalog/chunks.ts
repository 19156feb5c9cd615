/** A bound text ends at 2 MB, and quoting may double a part of it. */
const CHUNK_CHARACTERS = 400_000

/** Cuts rows into JSON arrays that each fit into one bound value, for `json_each`. */
export function toChunks(rows: readonly (readonly unknown[])[]): string[] {
  const chunks: string[] = []
  let current: string[] = []
  let length = 0
  const finish = () => {
    if (current.length > 0) chunks.push(`[${current.join(',')}]`)
    current = []
    length = 0
  }
  for (const row of rows) {
    const text = JSON.stringify(row)
    if (length + text.length > CHUNK_CHARACTERS) finish()
    current.push(text)
    length += text.length
  }
  finish()
  return chunks
}
