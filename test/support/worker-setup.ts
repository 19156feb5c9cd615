import { applyD1Migrations } from 'cloudflare:test'
import { env } from 'cloudflare:workers'

await applyD1Migrations(env.DB, env.MIGRATIONS)

/** Longer than any test waits for what it is about. */
const LONG_MS = 10_000

// What is held back that long after an answer, as tallies are, goes at once instead.
const wait = scheduler.wait.bind(scheduler)
scheduler.wait = (delay, options) => wait(delay < LONG_MS ? delay : 0, options)
