/** The largest configuration of one flag in one environment, in bytes of UTF-8. */
export const MAX_FLAG_BYTES = 256 * 1024
/** The largest segment, in bytes of UTF-8; a row of a Durable Object ends at 2 MB. */
export const MAX_SEGMENT_BYTES = 1024 * 1024
/** The largest environment, in bytes of UTF-8; a value of KV ends at 25 MiB. */
export const MAX_ENVIRONMENT_BYTES = 20 * 1024 * 1024
/** The largest delta that a hub sends; beyond it isolates read the whole snapshot. */
export const MAX_DELTA_BYTES = 256 * 1024
