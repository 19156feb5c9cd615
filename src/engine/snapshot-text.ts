// The text form of a snapshot: one JSON document, written one entity a line, so that a reader can find every entity
// without parsing any. A cold start then costs the search for line ends, and each flag is parsed when it is asked.
//
//   {"format":1,"environment":"production","version":42,
//   "flags":{
//   "checkout":{…},
//   "theme":{…}
//   },
//   "segments":{
//   }}
import { isJsonObject } from './json.ts'
import { err, ok, type Result } from './result.ts'

/** Entities of one kind: key → the entity's own JSON text, on one line. */
export type Section = ReadonlyMap<string, string>

/** A snapshot found its way through, its entities not yet parsed. */
export type SnapshotText = {
  readonly environment: string
  readonly version: number
  readonly sections: { readonly [kind: string]: Section }
}

export const SNAPSHOT_FORMAT = 1

/** Compares keys by code unit, so that every copy of a snapshot has the same order. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Writes the text form; keys are sorted, so the same entities always make the same text. */
export function writeSnapshotText({ environment, version, sections }: SnapshotText): string {
  const header = JSON.stringify({ format: SNAPSHOT_FORMAT, environment, version })
  const parts = Object.entries(sections).map(([kind, section]) => {
    const entities = [...section].sort(([a], [b]) => compareKeys(a, b))
    const lines = entities.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',\n')
    return `${JSON.stringify(kind)}:{\n${lines}${lines === '' ? '' : '\n'}}`
  })
  return `${header.slice(0, -1)},\n${parts.join(',\n')}}`
}

/** Splits `"key":{…}` where the key ends; undefined when the line is not of that form. */
function splitLine(line: string): readonly [key: string, text: string] | undefined {
  let end = line.indexOf('":', 1)
  while (end > 0 && endsEscaped(line, end)) end = line.indexOf('":', end + 1)
  if (line[0] !== '"' || end < 0) return undefined
  const raw = line.slice(1, end)
  const key = raw.includes('\\') ? unescapeKey(raw) : raw
  return key === undefined ? undefined : [key, line.slice(end + 2)]
}

/** Whether the quote at `index` is escaped: an odd number of backslashes stands before it. */
function endsEscaped(line: string, index: number): boolean {
  let backslashes = 0
  while (line[index - 1 - backslashes] === '\\') backslashes++
  return backslashes % 2 === 1
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unescapeKey(raw: string): string | undefined {
  const key = parseJson(`"${raw}"`)
  return typeof key === 'string' ? key : undefined
}

type Header = { readonly environment: string; readonly version: number }

function parseHeader(line: string): Result<Header, string> {
  const header = line.endsWith(',') ? parseJson(`${line.slice(0, -1)}}`) : undefined
  if (!isJsonObject(header)) return err('the first line is no snapshot header')
  const { format, environment, version } = header
  if (format !== SNAPSHOT_FORMAT) return err(`format ${String(format)} is not known here`)
  if (typeof environment !== 'string' || typeof version !== 'number' || !Number.isInteger(version)) {
    return err('the header names no environment or no version')
  }
  return ok({ environment, version })
}

/**
 * Finds the entities in a snapshot's text without parsing them.
 * @returns the sections, or why the text is no whole snapshot of a known format
 */
export function readSnapshotText(text: string): Result<SnapshotText, string> {
  let position = text.indexOf('\n') + 1
  const header = parseHeader(text.slice(0, Math.max(0, position - 1)))
  if (!header.ok) return header
  const sections: { [kind: string]: Section } = {}
  let section: Map<string, string> | undefined
  while (position < text.length) {
    const newline = text.indexOf('\n', position)
    const end = newline < 0 ? text.length : newline
    const first = text.charCodeAt(position)
    if (first === 0x7d) {
      const closing = text.slice(position, end)
      if (!section || (closing !== '},' && closing !== '}}')) return err(`unexpected "${closing}"`)
      if (closing === '}}')
        return end === text.length ? ok({ ...header.value, sections }) : err('text after the end')
      section = undefined
    } else if (section) {
      const comma = text.charCodeAt(end - 1) === 0x2c
      const entry = splitLine(text.slice(position, comma ? end - 1 : end))
      if (!entry) return err('an entity has no key')
      section.set(entry[0], entry[1])
    } else {
      const entry = splitLine(text.slice(position, end))
      if (entry?.[1] !== '{') return err('a section does not begin where one is due')
      section = new Map()
      sections[entry[0]] = section
    }
    position = end + 1
  }
  return err('the text ends in the middle')
}
