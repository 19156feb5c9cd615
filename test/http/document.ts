// The OpenAPI document as the Worker serves it: which routes there are, and whether answers are what it says.
import { exports } from 'cloudflare:workers'
import { z } from 'zod'
import { ORIGIN } from '../support/worker.ts'

type Schema = { readonly [keyword: string]: unknown }

type Response = {
  readonly description: string
  readonly content?: { readonly [type: string]: { readonly schema: Schema } }
}

type Described = {
  readonly operationId: string
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: object
  readonly responses: { readonly [status: string]: Response }
}

type Document = {
  readonly paths: { readonly [path: string]: { readonly [method: string]: Described } }
  readonly components: { readonly schemas: { readonly [name: string]: Schema } }
}

/** A route as the document describes it. */
export type Operation = Described & {
  /** Such as `GET /api/v1/flags`. */
  readonly route: string
  readonly method: string
  readonly path: string
}

// Whoever reads the document takes it at its word, too.
const document = (await (await exports.default.fetch(`${ORIGIN}/openapi.json`)).json()) as Document

/** All routes, in the document's order. */
export const OPERATIONS: readonly Operation[] = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([name, described]) => {
    const method = name.toUpperCase()
    return { ...described, route: `${method} ${path}`, method, path }
  }),
)

/** The names of an operation's parameters in its path, its query or its headers. */
export function parametersOf({ parameters = [] }: Operation, place: 'path' | 'query' | 'header'): string[] {
  return parameters.filter((parameter) => parameter.in === place).map(({ name }) => name)
}

/** The codes with which an operation may refuse under a status. */
export function codesOf({ responses }: Operation, status: number): string[] {
  const named = responses[status]?.description.matchAll(/`(\w+)`/g) ?? []
  return [...named].map(([, code = '']) => code)
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function resolved(schema: Schema): Schema {
  const name = String(schema.$ref ?? '').replace('#/components/schemas/', '')
  return document.components.schemas[name] ?? schema
}

/** A schema whose objects hold nothing but what it names; those that `allOf` joins are made one. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (!isSchema(schema)) return schema
  if (typeof schema.$ref === 'string') return { $ref: schema.$ref.replace('components/schemas', '$defs') }
  const { allOf, example: _, examples: __, default: ___, description: ____, ...own } = schema
  const parts = Array.isArray(allOf) ? allOf.filter(isSchema).map(resolved) : []
  const [sole] = parts
  if (sole && parts.length === 1) return closed({ ...sole, ...own })
  const joined: Schema =
    parts.length === 0
      ? own
      : {
          type: 'object',
          properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
          required: parts.flatMap(({ required }) => required ?? []),
        }
  const { properties, ...others } = joined
  const inner = Object.entries(others).map(([keyword, value]) => [keyword, closed(value)] as const)
  if (!isSchema(properties)) return Object.fromEntries(inner)
  return {
    additionalProperties: false,
    ...Object.fromEntries(inner),
    properties: Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, closed(part)])),
  }
}

const definitions = Object.fromEntries(
  Object.entries(document.components.schemas).map(([name, schema]) => [name, closed(schema)]),
)

const known = new Map<string, z.ZodType>()

function schemaOf({ route, responses }: Operation, status: number, type: string): z.ZodType | undefined {
  const described = responses[status]?.content?.[type]?.schema
  if (!described) return undefined
  const name = `${route} ${status}`
  const schema = known.get(name) ?? z.fromJSONSchema({ ...Object(closed(described)), $defs: definitions })
  known.set(name, schema)
  return schema
}

/** What is wrong with an answer by the document: a field that is missing, one that is not named, a type. */
export function faultsOf(
  operation: Operation,
  status: number,
  type: string,
  body: unknown,
): readonly string[] {
  const schema = schemaOf(operation, status, type)
  if (!schema) return [`${status} with ${type} is not described`]
  const { error } = schema.safeParse(body)
  return error ? error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) : []
}
