import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Env } from 'hono'

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'Makes the request repeatable: sent again within a day, it is answered as it was the first time. 16 to 200 characters; a UUID does.',
  schema: { type: 'string', minLength: 16, maxLength: 200 },
  example: '0197f3c2-6b1e-7c3a-9f52-2f6f5f6f1a10',
} as const

const CHANGING = ['post', 'put', 'patch', 'delete'] as const

/** What a route that is no GET says when nothing changes by it, so that it need not be made repeatable. */
export const CHANGES_NOTHING = { 'x-changes-nothing': true } as const

const TAGS = {
  Access: 'Who may: members and the tokens that act for them.',
  Environments: 'Where flags are answered: each has configurations, segments and keys of its own.',
  Flags: 'What a flag is everywhere, and in one environment.',
  Segments: 'Named audiences of an environment.',
  Metrics: 'What is counted, in every environment.',
  Keys: 'What applications ask for flags with.',
  History: 'What was before, why an answer is what it is, and the way back.',
  Rollouts: 'Changes that ramp, are watched, and take themselves back.',
  'Change requests': 'Changes that wait for a second person or for their time.',
  Audit: 'Who did what, in a chain that shows when it was tampered with.',
  Usage: 'How often flags are evaluated, and with which answers.',
  Counting: 'What happened: series, sums by arm, journeys, and whether events arrive at all.',
  Incidents: 'What went wrong, what was done about it, and what came of that.',
  Notifications: 'Where people are told what happens, and what became of it.',
  'Export and import': 'A whole deployment as one document.',
}

type Router<E extends Env> = OpenAPIHono<E>

/** The OpenAPI document of everything that is mounted. */
function documentOf<E extends Env>(app: Router<E>) {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Rampart management API',
      version: '1',
      description:
        'Change anything safely, know who changed what, undo it. Changes to what has a revision say what they were made from (`If-Match`), and are refused when that has moved. Errors all have one shape, with a stable code.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { access: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
  })
  for (const path of Object.values(document.paths ?? {})) {
    for (const method of CHANGING) {
      const operation = path[method]
      if (!operation || 'x-changes-nothing' in operation) continue
      operation.parameters = [...(operation.parameters ?? []), IDEMPOTENCY_KEY]
    }
  }
  return document
}

/** Serves the OpenAPI document under /openapi.json, to anyone: it holds no data. */
export function describeApi<E extends Env>(app: Router<E>): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'A management token, the JWT of an OpenID Connect issuer, or the bootstrap secret.',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'access', {
    type: 'apiKey',
    in: 'header',
    name: 'Cf-Access-Jwt-Assertion',
    description:
      'What Cloudflare Access puts before a request; a bearer token counts alone where there is one.',
  })
  let written: string | undefined
  app.get('/openapi.json', (c) => {
    written ??= JSON.stringify(documentOf(app))
    return c.body(written, 200, { 'content-type': 'application/json; charset=utf-8' })
  })
}
