/** The largest configuration of one flag in one environment, in bytes of UTF-8. */
export const MAX_FLAG_BYTES = 256 * 1024
/** The largest segment, in bytes of UTF-8; a row of a Durable Object ends at 2 MB. */
export const MAX_SEGMENT_BYTES = 1024 * 1024
/** The largest segment once it is quoted: a value that is bound to a statement of D1 ends at 2 MB. */
export const MAX_QUOTED_BYTES = 1_900_000
/** The largest environment, in bytes of UTF-8; a value of KV ends at 25 MiB. */
export const MAX_ENVIRONMENT_BYTES = 20 * 1024 * 1024
/** The largest delta that a hub sends; beyond it isolates read the whole snapshot. */
export const MAX_DELTA_BYTES = 256 * 1024
/** How many flags and segments may lead one to the other in a row: evaluating doubles with each at worst. */
export const MAX_NESTING = 10
