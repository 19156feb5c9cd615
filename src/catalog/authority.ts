// Who may do what to the configuration. Pure: the matrix in docs/security.md is made from what stands here.
import { type Actor, includesRole, type Role, reaches } from '../access/actor.ts'
import type { Operation } from './operation.ts'

/** An environment that a change touches. */
export type TouchedEnvironment = { readonly key: string; readonly protected: boolean }

/** What an actor's change comes to. */
export type Authority =
  | 'allowed'
  /** A second person must approve it. */
  | 'approval'
  | { readonly refused: 'role'; readonly needed: Role }
  | { readonly refused: 'environment'; readonly environment: string }

/** The least role that may propose an operation. */
export function neededRole(operation: Operation): Role {
  switch (operation.kind) {
    case 'environment.save':
    case 'environment.delete':
      return 'admin'
    case 'configuration.save':
    case 'flag.save':
    case 'flag.delete':
    case 'flag.archive':
    case 'flag.unarchive':
    case 'segment.save':
    case 'segment.delete':
    case 'metric.save':
    case 'metric.delete':
      return 'developer'
  }
}

/** Whether an operation cannot change anything that somebody relies on: a new flag is off, a new metric watches nothing. */
function isHarmless({ kind, revision }: Operation): boolean {
  return revision === 0 && (kind === 'flag.save' || kind === 'metric.save')
}

/** The environment that an operation copies from, which its author then sees. */
function sourceOf(operation: Operation): string | undefined {
  return operation.kind === 'environment.save' ? operation.copyFrom : undefined
}

/**
 * Decides what an actor's operation comes to.
 * @param touched the environments that it changes something of
 */
export function authorityFor(
  actor: Actor,
  operation: Operation,
  touched: readonly TouchedEnvironment[],
): Authority {
  const isEmergency = operation.kind === 'configuration.save' && operation.emergency === true
  const isProtected = touched.some((environment) => environment.protected)
  const needed = isEmergency && isProtected ? 'releaser' : neededRole(operation)
  if (!includesRole(actor.role, needed)) return { refused: 'role', needed }
  const source = sourceOf(operation)
  const named = [...touched.map(({ key }) => key), ...(source === undefined ? [] : [source])]
  const beyond = named.find((key) => !reaches(actor, key))
  if (beyond !== undefined) return { refused: 'environment', environment: beyond }
  if (!isProtected || isEmergency || isHarmless(operation)) return 'allowed'
  return 'approval'
}

/**
 * Whether an actor may let somebody's change of these environments happen: never their own, and none in which one of
 * the two acts through a token that the other has issued.
 */
export function mayApprove(
  actor: Actor,
  author: Actor,
  environments: readonly string[],
): 'yes' | 'role' | 'environment' | 'own' {
  if (actor.id === author.id || actor.issuedBy === author.id || author.issuedBy === actor.id) return 'own'
  if (!includesRole(actor.role, 'releaser')) return 'role'
  return environments.every((environment) => reaches(actor, environment)) ? 'yes' : 'environment'
}
