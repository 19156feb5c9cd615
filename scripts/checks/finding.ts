/** What a check found: the lines that say what is wrong, none when all is well, and figures worth printing. */
export type Finding = {
  readonly problems: readonly string[]
  readonly figures?: string
}
