import type { Bindings } from '../bindings.ts'
import { equalsInConstantTime } from './constant-time.ts'

/** Who acts through the management API. */
export type Actor = { readonly id: string }

/** The actor that a request's bearer token stands for; undefined when it stands for nobody. */
export function actorOf(request: Request, bindings: Bindings): Actor | undefined {
  const token = /^Bearer\s+(\S+)\s*$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  const { ADMIN_TOKEN } = bindings
  if (!ADMIN_TOKEN || token === undefined || !equalsInConstantTime(token, ADMIN_TOKEN)) return undefined
  return { id: 'admin' }
}
