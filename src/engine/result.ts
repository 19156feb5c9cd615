/** What a function that can fail in an expected way answers. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E }

/** A result that succeeded. */
export function ok<T>(value: T): Result<T, never> {
  return { ok: true, value }
}

/** A result that failed in an expected way. */
export function err<E>(error: E): Result<never, E> {
  return { ok: false, error }
}
