import { asObject, readList, readText } from './fields.ts'
import type { Condition } from './flag.ts'
import type { Json, JsonObject } from './json.ts'
import { compileOperator, isOperator } from './operators.ts'
import { below, type Problems } from './problem.ts'

/** How deep conditions may nest. */
export const MAX_CONDITION_DEPTH = 16

const NEVER: Condition = { any: [] }

function isJson(value: unknown): value is Json {
  return value !== undefined
}

function parseList(
  from: JsonObject,
  field: 'all' | 'any',
  path: string,
  problems: Problems,
  depth: number,
): Condition[] {
  return readList(from, field, path, problems, 1_000).map((child, index) =>
    parseCondition(child, below(below(path, field), index), problems, depth + 1),
  )
}

function parseAttributeCondition(from: JsonObject, path: string, problems: Problems): Condition {
  const attribute = readText(from, 'attribute', path, problems, 500)
  const { op } = from
  if (!isOperator(op)) {
    problems.add(below(path, 'op'), 'type', 'must be an operator')
    return NEVER
  }
  const values = readList(from, 'values', path, problems).filter(isJson)
  const compiled = compileOperator(op, values)
  if (!compiled.ok) problems.add(below(path, 'values'), 'operand', `"${op}" needs ${compiled.error}`)
  return { attribute, op, values }
}

/** Reads a condition; whatever is wrong is added to `problems`, and the answer is then not to be used. */
export function parseCondition(value: unknown, path: string, problems: Problems, depth = 1): Condition {
  if (depth > MAX_CONDITION_DEPTH) {
    problems.add(path, 'limit', `conditions may nest ${MAX_CONDITION_DEPTH} deep`)
    return NEVER
  }
  const from = asObject(value, path, problems)
  const forms = ['all', 'any', 'not', 'segment', 'attribute'].filter((form) => Object.hasOwn(from, form))
  if (forms.length !== 1) {
    problems.add(path, 'type', 'must have exactly one of all, any, not, segment, attribute')
    return NEVER
  }
  switch (forms[0]) {
    case 'all':
      return { all: parseList(from, 'all', path, problems, depth) }
    case 'any':
      return { any: parseList(from, 'any', path, problems, depth) }
    case 'not':
      return { not: parseCondition(from.not, below(path, 'not'), problems, depth + 1) }
    case 'segment':
      return { segment: readText(from, 'segment', path, problems, 200) }
    default:
      return parseAttributeCondition(from, path, problems)
  }
}
