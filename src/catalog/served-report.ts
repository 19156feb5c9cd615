// What isolates tell their hub of what they have answered.

/** The most entries that a report may have. */
export const MAX_REPORT_ENTRIES = 8

/** Some evaluations that an isolate answered at one version. */
export type ReportEntry = {
  /** Rises by one with each entry of an isolate: an entry that is sent again keeps it, and counts once. */
  readonly sequence: number
  readonly version: number
  readonly evaluations: number
  /** How long before the report was sent the last of them was answered, in milliseconds. */
  readonly endedMsAgo: number
  /** How long before that the first of them was answered, in milliseconds. */
  readonly lastedMs: number
}

/** What an isolate has answered and not been confirmed that the hub has counted. */
export type ServedReport = {
  /** A random id that the isolate made for itself. */
  readonly isolate: string
  /** By rising sequence; at most eight. */
  readonly entries: readonly ReportEntry[]
  /** How long the isolate has been answering what the report has no room for, in milliseconds; 0: it holds all. */
  readonly withheldMs: number
}
