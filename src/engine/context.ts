import { isJsonObject } from './json.ts'

/** What the caller knows about the subject of an evaluation: OpenFeature's evaluation context. */
export type EvaluationContext = { readonly [attribute: string]: unknown }

/** Reads one attribute; undefined when the context does not have it. */
export type AttributeReader = (context: EvaluationContext) => unknown

// Plain property access is the fastest there is and safe on parsed JSON for every name that Object.prototype
// does not have; the few that it has are asked for with care.
function readOwn(object: { readonly [key: string]: unknown }, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/**
 * Compiles an attribute path such as `company.plan` into a reader. Steps go through objects only, never into
 * arrays or prototypes; where no step leads on, an attribute whose own name is the whole path is taken.
 */
export function createAttributeReader(path: string): AttributeReader {
  const steps = path.split('.')
  const read = steps.some((step) => step in Object.prototype)
    ? readOwn
    : (object: { readonly [key: string]: unknown }, key: string) => object[key]
  if (steps.length === 1) return (context) => read(context, path)
  return (context) => {
    let value: unknown = context
    for (const step of steps) {
      if (!isJsonObject(value)) return context[path]
      value = read(value, step)
    }
    return value === undefined ? context[path] : value
  }
}

/** The unit that a value stands for: a text that is not empty, or a finite number; else there is none. */
export function toUnit(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : undefined
}
