import { createScheduledController } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import worker from '../../src/index.ts'

/** Lets the cron's minute come, by the Worker's own handler; `bindings` are the test's own where a fault is wanted. */
export async function runTick(bindings: Bindings = env, scheduledTime = Date.now()): Promise<void> {
  const controller = createScheduledController({ scheduledTime: new Date(scheduledTime), cron: '* * * * *' })
  // Each tick tells the log where the audit's chain ends.
  vi.spyOn(console, 'log').mockImplementation(() => {})
  await worker.scheduled(controller, bindings)
}
