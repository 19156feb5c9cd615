// How the fields of a document are compared. Pure.
import { type Difference, isEqual } from './difference.ts'
import { nowAndBefore, quote, type ReadonlyJson } from './wording.ts'

/** Compares one field of two documents; undefined where a document does not have it, which is as good as empty. */
export type DiffField<T> = (before: T | undefined, after: T | undefined) => readonly Difference[]

/** How each field of a document is compared, in the order in which the differences are told. */
export type Fields<D> = { readonly [field in keyof D]-?: DiffField<D[field]> }

/** Compares two values; null and undefined stand for none. */
export function diffValue<T extends ReadonlyJson>(
  path: string,
  subject: string,
  before: T | null | undefined,
  after: T | null | undefined,
  describe: (value: T) => string = quote,
): Difference[] {
  if (before == null) {
    return after == null ? [] : [{ path, kind: 'added', after, text: `${subject} is now ${describe(after)}` }]
  }
  if (after == null) {
    return [{ path, kind: 'removed', before, text: `${subject} removed (was ${describe(before)})` }]
  }
  if (isEqual(before, after)) return []
  const text = `${subject} is ${nowAndBefore(describe(after), describe(before))}`
  return [{ path, kind: 'changed', before, after, text }]
}

/** Compares two texts; the empty one stands for none. */
export function diffText(path: string, subject: string, before = '', after = ''): Difference[] {
  return diffValue(path, subject, before === '' ? null : before, after === '' ? null : after)
}

/** Compares a field that is on or off. */
export function diffSwitch(path: string, on: string, off: string): DiffField<boolean> {
  return (before = false, after = false) =>
    before === after ? [] : [{ path, kind: 'changed', before, after, text: after ? on : off }]
}
