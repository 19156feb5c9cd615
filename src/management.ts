// The management API: each group of routes in one line. Loaded at its first use, so that isolates that only evaluate
// carry none of it.
import { bodyLimit } from 'hono/body-limit'
import { letIn } from './access/let-in.ts'
import type { Management } from './access/management.ts'
import { createAuditRoutes } from './access/routes/audit.ts'
import { createMeRoutes } from './access/routes/me.ts'
import { createMemberRoutes } from './access/routes/members.ts'
import { createTokenRoutes } from './access/routes/tokens.ts'
import { versionOf } from './catalog/environments.ts'
import { repeatable } from './catalog/replay.ts'
import type { Observations } from './catalog/routes/answer.ts'
import { createChangeRequestRoutes } from './catalog/routes/change-requests.ts'
import { createConfigurationRoutes } from './catalog/routes/configurations.ts'
import { createEnvironmentRoutes } from './catalog/routes/environments.ts'
import { createExplainRoutes } from './catalog/routes/explain.ts'
import { createFlagRoutes } from './catalog/routes/flags.ts'
import { createHistoryRoutes } from './catalog/routes/history.ts'
import { createKeyRoutes } from './catalog/routes/keys.ts'
import { createMetricRoutes } from './catalog/routes/metrics.ts'
import { createSegmentRoutes } from './catalog/routes/segments.ts'
import { createTransferRoutes } from './catalog/routes/transfer.ts'
import { describeApi } from './http/openapi.ts'
import { refuse, refuseThrown, refuseUnknown } from './http/problem.ts'
import { createRouter } from './http/router.ts'
import { deliverAfter } from './notifications/deliver-after.ts'
import { createChannelRoutes } from './notifications/routes/channels.ts'
import { createDeliveryRoutes } from './notifications/routes/deliveries.ts'
import { rolloutAttachments } from './rollouts/attachments.ts'
import { clearEnvironment } from './rollouts/clear-environment.ts'
import { createIncidentRoutes } from './rollouts/incidents/routes.ts'
import { createAgainRoutes } from './rollouts/routes/again.ts'
import { createDeedRoutes } from './rollouts/routes/deeds.ts'
import { createDrillRoutes } from './rollouts/routes/drills.ts'
import { createMatrixRoutes } from './rollouts/routes/matrix.ts'
import { onlySignals } from './rollouts/routes/only-signals.ts'
import { createRolloutRoutes } from './rollouts/routes/rollouts.ts'
import { createSignalRoutes } from './rollouts/routes/signals.ts'
import { createStopRoutes } from './rollouts/routes/stop.ts'
import { createTemplateRoutes } from './rollouts/routes/templates.ts'
import { createWatchingRoutes } from './rollouts/routes/watching.ts'
import { createArrivalRoutes } from './telemetry/reading/arrival-routes.ts'
import { createErasureRoutes } from './telemetry/reading/erasure-routes.ts'
import { createMeasurementRoutes } from './telemetry/reading/measurement-routes.ts'
import { createSeriesRoutes } from './telemetry/reading/series-routes.ts'
import { loadContexts } from './telemetry/reading/usage.ts'
import { createUsageRoutes } from './telemetry/reading/usage-routes.ts'

const MAX_BODY_BYTES = 4 * 1024 * 1024
const MAX_IMPORT_BYTES = 64 * 1024 * 1024

/** Whose changes people are told of. */
const TELLING = [
  '/api/v1/rollouts/*',
  '/api/v1/incidents/*',
  '/api/v1/channels/*',
  '/api/v1/flags/:flag/environments/:environment/stop',
]

const observations: Observations = {
  contexts: loadContexts,
  clear: clearEnvironment,
  attached: rolloutAttachments,
}

const limitBody = (maxSize: number) =>
  bodyLimit({
    maxSize,
    onError: (c) =>
      refuse(c, { status: 413, code: 'too_large', message: `the body is larger than ${maxSize} bytes` }),
  })

/** Builds the management routes. */
export function createManagement() {
  const app = createRouter<Management>()
  app.onError(refuseThrown)
  app.notFound(refuseUnknown)
  app.use('/api/v1/*', letIn)
  app.use('/api/v1/*', onlySignals)
  app.use('/api/v1/import', limitBody(MAX_IMPORT_BYTES))
  app.use('/api/v1/*', (c, next) =>
    c.req.path === '/api/v1/import' ? next() : limitBody(MAX_BODY_BYTES)(c, next),
  )
  app.use('/api/v1/*', repeatable)
  for (const telling of TELLING) app.use(telling, deliverAfter)
  const routes = app
    .route('/', createMeRoutes())
    .route('/', createTokenRoutes())
    .route('/', createMemberRoutes())
    .route('/', createAuditRoutes())
    .route('/', createEnvironmentRoutes(observations))
    .route('/', createFlagRoutes(observations))
    .route('/', createConfigurationRoutes(observations))
    .route('/', createHistoryRoutes(observations))
    .route('/', createSegmentRoutes(observations))
    .route('/', createMetricRoutes(observations))
    .route('/', createKeyRoutes())
    .route('/', createRolloutRoutes())
    .route('/', createDeedRoutes())
    .route('/', createAgainRoutes())
    .route('/', createSignalRoutes())
    .route('/', createWatchingRoutes())
    .route('/', createTemplateRoutes())
    .route('/', createDrillRoutes())
    .route('/', createMatrixRoutes())
    .route('/', createStopRoutes())
    .route('/', createExplainRoutes())
    .route('/', createChangeRequestRoutes(observations))
    .route('/', createTransferRoutes())
    .route('/', createUsageRoutes())
    .route('/', createSeriesRoutes())
    .route('/', createMeasurementRoutes())
    .route('/', createArrivalRoutes())
    .route('/', createErasureRoutes())
    .route('/', createChannelRoutes({ versionOf }))
    .route('/', createDeliveryRoutes({ versionOf }))
    .route('/', createIncidentRoutes())
  describeApi(app)
  return routes
}
