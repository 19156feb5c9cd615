import { OpenAPIHono } from '@hono/zod-openapi'
import type { Env } from 'hono'
import { refuse } from './problem.ts'

/** Makes a group of management routes, which refuses what its schemas do not take. */
export function createRouter<E extends Env>() {
  return new OpenAPIHono<E>({
    defaultHook: (result, c) => {
      if (result.success) return undefined
      const details = result.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
      return refuse(c, { status: 400, code: 'malformed', message: 'the request is not understood', details })
    },
  })
}
