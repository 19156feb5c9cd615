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

function readPlain(object: { readonly [key: string]: unknown }, key: string): unknown {
  return object[key]
}

const MAX_KNOWN_READERS = 1_000
const knownReaders = new Map<string, AttributeReader>()

/**
 * Compiles an attribute path such as `company.plan` into a reader. Steps go through objects only, never into
 * arrays or prototypes; where no step leads on, an attribute whose own name is the whole path is taken.
 */
export function createAttributeReader(path: string): AttributeReader {
  const known = knownReaders.get(path)
  if (known) return known
  const reader = compileReader(path)
  // Many conditions ask for few attributes; they share their readers.
  if (knownReaders.size < MAX_KNOWN_READERS) knownReaders.set(path, reader)
  return reader
}

function compileReader(path: string): AttributeReader {
  const steps = path.split('.')
  const read = steps.some((step) => step in Object.prototype) ? readOwn : readPlain
  if (steps.length > 1) return createPathReader(path, steps, read)
  return read === readPlain ? (context) => context[path] : (context) => readOwn(context, path)
}

function createPathReader(path: string, steps: readonly string[], read: typeof readOwn): AttributeReader {
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
