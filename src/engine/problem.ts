/** What is wrong with a document, where, and which rule it breaks. */
export type Problem = {
  /** The place, as one would write it in code: `rules[2].when.all[0].values`; empty for the document itself. */
  readonly path: string
  readonly rule: ProblemRule
  readonly message: string
}

export type ProblemRule =
  | 'type'
  | 'limit'
  | 'duplicate'
  | 'operand'
  | 'unknown_variant'
  | 'unknown_segment'
  | 'unknown_flag'
  | 'unknown_metric'
  | 'unknown_rollout'
  | 'other_unit'
  | 'order'
  | 'cycle'
  | 'seed_changed'
  | 'type_changed'
  | 'unknown_field'

/** Collects the problems of one document while it is read. */
export class Problems {
  readonly found: Problem[] = []

  add(path: string, rule: ProblemRule, message: string): void {
    this.found.push({ path, rule, message })
  }
}

/** The path of a field below another path. */
export function below(path: string, field: string | number): string {
  if (typeof field === 'number') return `${path}[${field}]`
  return path === '' ? field : `${path}.${field}`
}
