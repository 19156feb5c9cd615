// Who acts, and what they may. Pure.

/**
 * What people and tokens may do, least first; each includes those before it, but for `signaller`: it may signal to
 * rollouts and nothing else, not even read, and a viewer, who only reads, does not include it.
 */
export const ROLES = ['signaller', 'viewer', 'developer', 'releaser', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** What somebody may do, and where. */
export type Grant = {
  readonly role: Role
  /** null: everywhere, and in what belongs to no environment. */
  readonly environments: readonly string[] | null
}

/** Who acts through the management API. */
export type Actor = Grant & {
  /** The person: an e-mail, a service's name, `admin` for the bootstrap secret; a token acts for its owner. */
  readonly id: string
  /** What they were recognised by: `admin`, `jwt`, or `token:<id>`. */
  readonly via: string
  /** Who issued the token that they act with, where it is one. */
  readonly issuedBy?: string
}

/** Tells whether a role includes another. */
export function includesRole(role: Role, needed: Role): boolean {
  if (role === 'viewer' && needed === 'signaller') return false
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}

/** Tells whether a grant reaches an environment. */
export function reaches({ environments }: Grant, environment: string): boolean {
  return environments === null || environments.includes(environment)
}
