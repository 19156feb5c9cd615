// Reading one field of an unknown document: the value when it is what it must be, else a harmless stand-in and a
// problem that names the path. A document with problems is never used, so what the stand-in is does not matter.
import { isJsonObject, type JsonObject } from './json.ts'
import { below, type Problems } from './problem.ts'

export function readText(
  from: JsonObject,
  field: string,
  path: string,
  problems: Problems,
  maximum = 1_000,
): string {
  const value = from[field]
  if (typeof value !== 'string' || value === '') {
    problems.add(below(path, field), 'type', 'must be a text that is not empty')
    return ''
  }
  if (value.length > maximum)
    problems.add(below(path, field), 'limit', `must have at most ${maximum} characters`)
  return value
}

export function readBoolean(from: JsonObject, field: string, path: string, problems: Problems): boolean {
  const value = from[field]
  if (typeof value !== 'boolean') problems.add(below(path, field), 'type', 'must be true or false')
  return value === true
}

/** A list that may be left out, which is the empty list. */
export function readList(
  from: JsonObject,
  field: string,
  path: string,
  problems: Problems,
  maximum = 10_000,
): readonly unknown[] {
  const value = from[field]
  if (value === undefined) return []
  if (!Array.isArray(value)) {
    problems.add(below(path, field), 'type', 'must be a list')
    return []
  }
  if (value.length > maximum) {
    problems.add(below(path, field), 'limit', `must have at most ${maximum} entries`)
    return []
  }
  return value
}

export function readTexts(
  from: JsonObject,
  field: string,
  path: string,
  problems: Problems,
  maximum = 10_000,
): readonly string[] {
  const texts: string[] = []
  for (const [index, value] of readList(from, field, path, problems, maximum).entries()) {
    if (typeof value === 'string' && value !== '') texts.push(value)
    else problems.add(below(below(path, field), index), 'type', 'must be a text that is not empty')
  }
  return texts
}

/** The value as an object, or an empty one and a problem. */
export function asObject(value: unknown, path: string, problems: Problems): JsonObject {
  if (isJsonObject(value)) return value
  problems.add(path, 'type', 'must be an object')
  return {}
}
