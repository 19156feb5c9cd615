// The Worker: wiring only.
import { app } from './app.ts'
import type { Bindings } from './bindings.ts'
import { publishDue } from './catalog/publish.ts'

export { EnvironmentHub } from './catalog/hub.ts'
export { Flags } from './delivery/flags-entrypoint.ts'

export default {
  fetch: app.fetch,
  async scheduled(_controller, bindings) {
    await publishDue(bindings)
  },
} satisfies ExportedHandler<Bindings>
