// What a hub reads from the database, which is the truth.
import { parseFlag, parseSegment } from '../engine/parse-flag.ts'
import { type EntityRow, isEntityKind } from './hub-store.ts'

/** Rows of one query. Bodies of all of an environment's newest versions come to 20 MiB at most. */
const PAGE_ROWS = 500

/** What the database has of an environment. */
export type Standing = {
  /** null when there is no such environment. */
  readonly version: number | null
  /** The newest version in the history, which outlives the environment; null when it has none. */
  readonly lastVersion: number | null
  /** When that was committed, in milliseconds since 1970. */
  readonly committedAt: number | null
}

/** What the database has of an environment, and what of it came after a version. */
export type News = Standing & {
  /** The newest row of each entity, without those that could not be read at the edge. */
  readonly rows: readonly EntityRow[]
}

type HistoryRow = { version: number; kind: string; key: string; body: string | null }

const NOTHING: Standing = { version: null, lastVersion: null, committedAt: null }

const STANDING = `SELECT (SELECT version FROM environments WHERE key = ?1) AS version,
  (SELECT version FROM history WHERE environment = ?1 ORDER BY version DESC LIMIT 1) AS lastVersion,
  (SELECT at FROM history WHERE environment = ?1 ORDER BY version DESC LIMIT 1) AS committedAt`

/** Up to a version or, where none is given, the environment's own. Which rows are the newest is found in an index alone. */
const PAGE = `SELECT kind, key, version, (SELECT body FROM history WHERE environment = ?1
    AND version = newest.version AND kind = newest.kind AND key = newest.key) AS body
  FROM (SELECT kind, key, max(version) AS version FROM history
    WHERE environment = ?1 AND version > ?2
      AND version <= coalesce(?3, (SELECT version FROM environments WHERE key = ?1))
    GROUP BY kind, key ORDER BY kind, key LIMIT ?4 OFFSET ?5) AS newest`

/** Reads where an environment stands and what of it came after `from`: for most changes in one round trip. */
export async function readNews(
  database: D1DatabaseSession,
  environment: string,
  from: number,
): Promise<News> {
  const page = (to: number | null, offset: number) =>
    database.prepare(PAGE).bind(environment, from, to, PAGE_ROWS, offset)
  const [standings, first] = await database.batch([
    database.prepare(STANDING).bind(environment),
    page(null, 0),
  ])
  const standing = (standings as D1Result<Standing> | undefined)?.results[0] ?? NOTHING
  const { version } = standing
  const rows = [...((first as D1Result<HistoryRow> | undefined)?.results ?? [])]
  // The same version on every page, whatever is committed meanwhile.
  for (let offset = PAGE_ROWS; rows.length === offset; offset += PAGE_ROWS) {
    rows.push(...(await page(version, offset).all<HistoryRow>()).results)
  }
  return { ...standing, rows: rows.flatMap(toEntityRow).filter(isGood) }
}

function toEntityRow({ kind, key, version, body }: HistoryRow): EntityRow[] {
  return isEntityKind(kind) ? [{ kind, key, version, text: body }] : []
}

/** Tells whether a row may reach the edge; one that cannot be read there stays behind, and the log says why. */
function isGood({ kind, key, text, version }: EntityRow): boolean {
  if (text === null || (kind !== 'flags' && kind !== 'segments')) return true
  const value = parseText(text)
  const parsed = kind === 'flags' ? parseFlag(key, value, null) : parseSegment(key, value)
  if (!parsed.ok) console.error('entity not published', { kind, key, version, problems: parsed.error })
  return parsed.ok
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
