// What any two lists or values of the catalog differ in. Pure.
import { nameSome, quote, type ReadonlyJson } from './wording.ts'

/** One thing in which two documents differ. */
export type Difference = {
  /**
   * The place, as one would write it in code, an entry of a list by what it is known by: `rules["beta"].serve`; empty
   * for the document itself.
   */
  readonly path: string
  readonly kind: 'added' | 'removed' | 'changed' | 'moved'
  /**
   * What stood there: of a set the entries that were removed, of what has moved its position, from 1. Left out where
   * nothing stood there, and of sets of more than 1,000.
   */
  readonly before?: ReadonlyJson
  /** What stands there now: of a set the entries that were added, of what has moved its position. */
  readonly after?: ReadonlyJson
  /** The difference as a sentence, for whoever owns the release. */
  readonly text: string
}

/** A change can be stored in a row of 2 MB beside what it is about; larger sets are only counted. */
const MAX_REPEATED = 1_000

function sortFields(_key: string, value: ReadonlyJson): ReadonlyJson {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A value's JSON with the fields of objects in order, so that equal values have the same. */
export function canonicalJson(value: ReadonlyJson): string {
  return JSON.stringify(value, sortFields)
}

/** Whether two values are the same JSON, in whatever order the fields of objects stand. */
export function isEqual(before: ReadonlyJson, after: ReadonlyJson): boolean {
  return before === after || canonicalJson(before) === canonicalJson(after)
}

/** The path of an entry of a list or a field of a map: `rules["beta"]`. */
export function entryPath(list: string, name: string): string {
  return `${list}[${JSON.stringify(name)}]`
}

/** An entry in another order among those that stayed. */
type Moved<T> = {
  readonly entry: T
  /** Positions, from 1. */
  readonly before: number
  readonly after: number
  /** What it stands right behind now; undefined when it is the first. */
  readonly behind: T | undefined
}

type Pairing<T> = {
  readonly removed: readonly T[]
  readonly added: readonly T[]
  readonly kept: readonly { readonly before: T; readonly after: T }[]
  /** As few as explain the new order. */
  readonly moved: readonly Moved<T>[]
}

type Placed<T> = { readonly entry: T; readonly position: number }

function placeById<T>(entries: readonly T[], idOf: (entry: T) => string): Map<string, Placed<T>> {
  const placed = new Map<string, Placed<T>>()
  const seen = new Map<string, number>()
  for (const [index, entry] of entries.entries()) {
    const id = idOf(entry)
    const earlier = seen.get(id) ?? 0
    seen.set(id, earlier + 1)
    placed.set(JSON.stringify([id, earlier]), { entry, position: index + 1 })
  }
  return placed
}

/** The indices of a longest run that rises, by patience sorting. */
function longestRise(values: readonly number[]): ReadonlySet<number> {
  const ends: number[] = []
  const previous: (number | undefined)[] = []
  for (const [index, value] of values.entries()) {
    const found = ends.findIndex((end) => (values[end] ?? 0) > value)
    const length = found < 0 ? ends.length : found
    previous[index] = ends[length - 1]
    ends[length] = index
  }
  const rise = new Set<number>()
  for (let index = ends.at(-1); index !== undefined; index = previous[index]) rise.add(index)
  return rise
}

/** Pairs the entries of two lists by what they are known by; those that share it, by which comes first. */
export function pairEntries<T>(
  before: readonly T[],
  after: readonly T[],
  idOf: (entry: T) => string,
): Pairing<T> {
  const old = placeById(before, idOf)
  const now = placeById(after, idOf)
  const stayed = [...now].flatMap(([id, is]) => {
    const was = old.get(id)
    return was ? [{ was, is }] : []
  })
  const inOrder = longestRise(stayed.map(({ was }) => was.position))
  const outOfOrder = stayed.filter((_, index) => !inOrder.has(index))
  return {
    removed: [...old].flatMap(([id, { entry }]) => (now.has(id) ? [] : [entry])),
    added: [...now].flatMap(([id, { entry }]) => (old.has(id) ? [] : [entry])),
    kept: stayed.map(({ was, is }) => ({ before: was.entry, after: is.entry })),
    moved: outOfOrder.map(({ was, is: { entry, position } }) => ({
      entry,
      before: was.position,
      after: position,
      behind: after[position - 2],
    })),
  }
}

/** How a list of entries with names is spoken of. */
export type EntryWords<T> = {
  /** The field that holds the list. */
  readonly list: string
  /** What one of them is called. */
  readonly thing: string
  readonly nameOf: (entry: T) => string
  /** What is said of one that is new, and of one that is gone; `subject` is how to call it: `rule "beta"`. */
  readonly added: (subject: string, entry: T) => string
  readonly removed?: (subject: string, entry: T) => string
  /** What two entries of the same name differ in. */
  readonly diff: (path: string, subject: string, before: T, after: T) => readonly Difference[]
}

/** The differences of two lists whose entries have names: what was added, changed in itself, moved, removed. */
export function diffEntries<T extends ReadonlyJson>(
  before: readonly T[],
  after: readonly T[],
  words: EntryWords<T>,
): Difference[] {
  const { list, thing, nameOf, removed = (subject) => `${subject} removed` } = words
  const pairing = pairEntries(before, after, nameOf)
  const pathOf = (entry: T) => entryPath(list, nameOf(entry))
  const subjectOf = (entry: T) => `${thing} ${quote(nameOf(entry))}`
  return [
    ...pairing.added.map((entry): Difference => {
      const text = words.added(subjectOf(entry), entry)
      return { path: pathOf(entry), kind: 'added', after: entry, text }
    }),
    ...pairing.kept.flatMap((pair) =>
      words.diff(pathOf(pair.after), subjectOf(pair.after), pair.before, pair.after),
    ),
    ...pairing.moved.map(({ entry, behind, ...positions }): Difference => {
      const place = behind === undefined ? 'first' : `right after ${quote(nameOf(behind))}`
      const text = `${subjectOf(entry)} now comes ${place}`
      return { path: pathOf(entry), kind: 'moved', ...positions, text }
    }),
    ...pairing.removed.map((entry): Difference => {
      const text = removed(subjectOf(entry), entry)
      return { path: pathOf(entry), kind: 'removed', before: entry, text }
    }),
  ]
}

/**
 * The differences of two sets of texts: one for all that were added, one for all that were removed.
 * @param say the sentence, from how many there are and the names of some
 */
export function diffSets(
  path: string,
  before: readonly string[],
  after: readonly string[],
  say: (kind: 'added' | 'removed', number: number, names: string) => string,
): Difference[] {
  const old = new Set(before)
  const now = new Set(after)
  const difference = (kind: 'added' | 'removed', entries: readonly string[]): Difference[] => {
    if (entries.length === 0) return []
    const text = say(kind, entries.length, nameSome(entries))
    if (entries.length > MAX_REPEATED) return [{ path, kind, text }]
    return [kind === 'added' ? { path, kind, after: entries, text } : { path, kind, before: entries, text }]
  }
  return [
    ...difference(
      'added',
      [...now].filter((entry) => !old.has(entry)),
    ),
    ...difference(
      'removed',
      [...old].filter((entry) => !now.has(entry)),
    ),
  ]
}
