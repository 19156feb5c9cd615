// What the tests of changes share: short ways to say what is asked and what came of it.
import type { Bindings } from '../../src/bindings.ts'
import { type Answer, api, from, makeRequest, read, serve } from './worker.ts'

/** The status of an answer, and the code of its error where it has one. */
export { refusalOf as status } from './actors.ts'

export const OK = [200, undefined]

/** What a change is answered with that brought a flag or the like to a revision, and one environment to a version. */
export function changed(revision: number, environment: string, version: number, published = true) {
  return { revision, environments: { [environment]: { version, published } } }
}

/** Calls the management API as the administrator, with bindings of the test's own. */
export async function apiWith(
  bindings: Bindings,
  method: string,
  path: string,
  json?: unknown,
  headers: { readonly [name: string]: string } = {},
): Promise<Answer> {
  const request = makeRequest(`/api/v1${path}`, {
    method,
    headers: { authorization: 'Bearer test-admin', ...headers },
    ...(json === undefined ? {} : { json }),
  })
  return read((await serve(request, bindings)).response)
}

export function deleteFlag(flag: string, revision: number): Promise<Answer> {
  return api('DELETE', `/flags/${flag}`, undefined, from(revision))
}

export function deleteSegment(environment: string, segment: string, revision: number): Promise<Answer> {
  return api('DELETE', `/environments/${environment}/segments/${segment}`, undefined, from(revision))
}

export function deleteEnvironment(environment: string, revision = 1): Promise<Answer> {
  return api('DELETE', `/environments/${environment}`, undefined, from(revision))
}

/** Takes a flag from every edge, or brings it back. */
export function archive(flag: string, revision: number, deed = 'archive'): Promise<Answer> {
  return api('POST', `/flags/${flag}/${deed}`, {}, from(revision))
}

/** A configuration that needs another flag to be on. */
export const needing = (flag: string, variant = 'on') => ({ prerequisites: [{ flag, variants: [variant] }] })
/** A segment of those who are in another. */
export const within = (segment: string) => ({ condition: { segment } })
/** A configuration that asks for a segment. */
export const serving = (segment: string) => ({
  rules: [{ id: 'in', when: { any: [{ not: { segment } }] }, serve: { variant: 'on' } }],
})
/** A configuration that splits units by weights of on and off. */
export const splitting = (on: number, off: number, seed?: string) => ({
  fallthrough: {
    split: {
      weights: [
        { variant: 'on', weight: on },
        { variant: 'off', weight: off },
      ],
      ...(seed === undefined ? {} : { seed }),
    },
  },
})
