// The Worker: wiring only.
import { app } from './app.ts'
import type { Bindings } from './bindings.ts'

export { EnvironmentHub } from './catalog/hub.ts'
export { Flags } from './delivery/flags-entrypoint.ts'
export { RolloutClock } from './rollouts/clock.ts'
export { EventShard } from './telemetry/shard/event-shard.ts'

export default {
  fetch: app.fetch,
  async scheduled({ scheduledTime }, bindings) {
    const { tick } = await import('./tick.ts')
    // A cron that comes late must not date what it changes before what people changed meanwhile.
    await tick(bindings, Math.max(scheduledTime, Date.now()))
  },
} satisfies ExportedHandler<Bindings>
