/** What a function of this room that can fail in an expected way answers: the same shape as the engine's `Result`. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E }
