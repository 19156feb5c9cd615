// The OpenAPI document, linted. Examples are composed from those of a schema's parts, as viewers of such documents do,
// and put into a copy of it: so the linter holds each body's example against the body's schema.
import { createConfig, lintFromString } from '@redocly/openapi-core'
import type { Finding } from './finding.ts'

/** An object of the document; not a copy. */
type Parts = { [name: string]: unknown }

const CLOSED = { severity: 'error', allowAdditionalProperties: false } as const

const RULES = {
  'operation-tag-defined': 'error',
  'operation-singular-tag': 'error',
  'spec-strict-refs': 'error',
  'no-invalid-media-type-examples': CLOSED,
  'no-invalid-parameter-examples': CLOSED,
  'no-invalid-schema-examples': CLOSED,
} as const

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']

function isParts(value: unknown): value is Parts {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function partsOf(value: unknown): Parts {
  return isParts(value) ? value : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** Composes an example of a schema; `missing` is told where a part has none. */
function compose(document: Parts, schema: Parts, path: string, missing: (path: string) => void): unknown {
  const composed = (part: unknown, place = path) => compose(document, partsOf(part), place, missing)
  if ('example' in schema) return schema.example
  if ('default' in schema) return schema.default
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.replace('#/components/schemas/', '')
    return composed(partsOf(partsOf(document.components).schemas)[name], name)
  }
  if (Array.isArray(schema.enum)) return schema.enum[0]
  const [alternative] = [...listOf(schema.oneOf), ...listOf(schema.anyOf)]
  if (alternative !== undefined) return composed(alternative)
  if (Array.isArray(schema.allOf)) return Object.assign({}, ...schema.allOf.map((part) => composed(part)))
  const [type] = [schema.type].flat()
  if (type === 'boolean') return true
  if (type === 'array') return [composed(schema.items, `${path}[]`)]
  if (type === 'object' && 'properties' in schema) {
    const properties = Object.entries(partsOf(schema.properties))
    return Object.fromEntries(properties.map(([name, part]) => [name, composed(part, `${path}.${name}`)]))
  }
  missing(path)
  return undefined
}

/** A document's operations, by what they are called here. */
function operationsOf(document: Parts): (readonly [name: string, operation: Parts])[] {
  return Object.entries(partsOf(document.paths)).flatMap(([path, item]) =>
    Object.entries(partsOf(item))
      .filter(([method]) => METHODS.includes(method))
      .map(([method, operation]) => [`${method.toUpperCase()} ${path}`, partsOf(operation)] as const),
  )
}

/** What an operation takes and gives. */
function bodiesOf(name: string, operation: Parts): (readonly [name: string, content: Parts])[] {
  const answers = Object.entries(partsOf(operation.responses))
    .filter(([status]) => status.startsWith('2'))
    .map(([status, answer]) => [`${name}: ${status}`, partsOf(answer)] as const)
  return [[`${name}: body`, partsOf(operation.requestBody)] as const, ...answers].flatMap(([place, body]) => {
    return Object.values(partsOf(body.content)).map((content) => [place, partsOf(content)] as const)
  })
}

/** Finds parts of a document that have no example, and adds those that can be composed to the document. */
function addExamples(document: Parts): string[] {
  const faults = new Set<string>()
  const missing = (path: string) => faults.add(`${path} has no example`)
  for (const [name, operation] of operationsOf(document)) {
    for (const [place, content] of bodiesOf(name, operation)) {
      content.example = compose(document, partsOf(content.schema), place, missing)
    }
  }
  const schemas = Object.entries(partsOf(partsOf(document.components).schemas))
  for (const [name, schema] of schemas) compose(document, partsOf(schema), name, missing)
  return [...faults]
}

/** Finds refusals that do not say by which codes. */
function findUncoded(document: Parts): string[] {
  return operationsOf(document).flatMap(([name, operation]) =>
    Object.entries(partsOf(operation.responses))
      .filter(([status, answer]) => status >= '4' && !/`\w+`/.test(String(partsOf(answer).description)))
      .map(([status]) => `${name}: ${status} names no code`),
  )
}

/** Finds what is wrong with an OpenAPI document. */
export async function findDocumentFaults(text: string): Promise<string[]> {
  const document = partsOf(JSON.parse(text))
  const faults = [...addExamples(document), ...findUncoded(document)]
  const config = await createConfig({ extends: ['recommended-strict'], rules: RULES })
  const problems = await lintFromString({
    source: JSON.stringify(document),
    absoluteRef: '/openapi.json',
    config,
  })
  const found = problems.map(({ ruleId, message, location: [where] }) => {
    return `${where?.pointer ?? ''} ${message} (${ruleId})`
  })
  return [...faults, ...found]
}

/** Lints the document that the Worker serves. */
export async function checkOpenApi(): Promise<Finding> {
  const { createManagement } = await import('../../src/management.ts')
  const response = await createManagement().request('/openapi.json')
  const text = await response.text()
  const operations = operationsOf(JSON.parse(text)).length
  return { problems: await findDocumentFaults(text), figures: `${operations} operations` }
}
