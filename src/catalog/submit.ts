// The one way in for changes: who may, what it would do, and then at once, or when somebody else or the clock says so.
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { type Actor, includesRole, reaches } from '../access/actor.ts'
import { environmentRefusal, roleRefusal } from '../access/management.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Refusal } from '../http/problem.ts'
import type { Author } from '../ledger/author.ts'
import type { Guard } from '../ledger/commit.ts'
import { type Authority, authorityFor, neededRole, type TouchedEnvironment } from './authority.ts'
import { type Change, type Committed, commitChange, concernedBy } from './change.ts'
import type { ChangeRequest } from './change-request-store.ts'
import { createChangeRequest } from './change-requests.ts'
import { draftConfiguration, previewConfiguration } from './configurations.ts'
import type { Operation } from './operation.ts'
import { planOperation, type Workbench } from './plan.ts'
import type { Preview } from './preview.ts'
import { toRefusal } from './refusals.ts'
import { environments } from './tables.ts'

/** What came of a change: it is done, or it waits. */
export type Outcome =
  | { readonly state: 'committed'; readonly committed: Committed }
  | { readonly state: 'waiting'; readonly changeRequest: ChangeRequest }

function refusalOf(authority: Exclude<Authority, string>): Refusal {
  return authority.refused === 'role'
    ? roleRefusal(authority.needed)
    : environmentRefusal(authority.environment)
}

function namedEnvironment(operation: Operation): string | undefined {
  return 'environment' in operation ? operation.environment : undefined
}

async function loadProtection(database: D1Database): Promise<ReadonlyMap<string, boolean>> {
  const rows = await drizzle(database)
    .select({ key: environments.key, protected: environments.protected })
    .from(environments)
  return new Map(rows.map((row) => [row.key, row.protected]))
}

function touchedBy(change: Change, protection: ReadonlyMap<string, boolean>): TouchedEnvironment[] {
  // An environment that is only being made protects nothing yet.
  return concernedBy(change).map((key) => ({ key, protected: protection.get(key) ?? false }))
}

/** A guard: the environments are as protected as they were when it was decided who may. */
function areStillAsProtected(touched: readonly TouchedEnvironment[]): Guard {
  const rows = JSON.stringify(touched.map((environment) => [environment.key, Number(environment.protected)]))
  return {
    column: 'fresh',
    holds: sql`NOT EXISTS (SELECT 1 FROM json_each(${rows}) JOIN ${environments} ON environments.key = value ->> 0
      WHERE environments.protected <> value ->> 1)`,
  }
}

async function previewOf(
  { database, contexts }: Workbench,
  operation: Operation,
  now: number,
): Promise<Preview | null> {
  if (operation.kind !== 'configuration.save') return null
  const { flag, environment, draft } = operation
  const drafted = await draftConfiguration(database, flag, environment, draft)
  if (!drafted.ok) return null
  return previewConfiguration(database, environment, drafted.value, await contexts(environment), now)
}

/**
 * Takes an operation: does it, or lets it wait.
 * @param applyAt when it is to be done, in milliseconds since 1970; null: as soon as it may be
 */
export async function submit(
  workbench: Workbench,
  actor: Actor,
  operation: Operation,
  applyAt: number | null,
  author: Author,
): Promise<Result<Outcome, Refusal>> {
  const { database } = workbench
  const needed = neededRole(operation)
  if (!includesRole(actor.role, needed)) return err(roleRefusal(needed))
  const environment = namedEnvironment(operation)
  if (environment !== undefined && !reaches(actor, environment)) return err(environmentRefusal(environment))
  const [planned, all] = await Promise.all([
    planOperation(workbench, operation, author),
    // A configuration is read with its environment: one query less for what is changed most.
    operation.kind === 'configuration.save' ? undefined : loadProtection(database),
  ])
  const isMade = operation.kind === 'environment.save'
  if (all && environment !== undefined && !isMade && !all.has(environment)) {
    return err(toRefusal({ reason: 'not_found', what: `environment "${environment}"` }))
  }
  if (!planned.ok) return err(toRefusal(planned.error))
  const protection = all ?? planned.value.protection ?? (await loadProtection(database))
  const touched = touchedBy(planned.value, protection)
  const authority = authorityFor(actor, operation, touched)
  if (typeof authority === 'object') return err(refusalOf(authority))
  if (authority === 'allowed' && applyAt === null) {
    const guards = [areStillAsProtected(touched)]
    const committed = await commitChange(database, planned.value, author, { guards })
    return committed.ok
      ? ok({ state: 'committed', committed: committed.value })
      : err(toRefusal(committed.error))
  }
  const draft = {
    operation,
    environments: touched.map(({ key }) => key),
    needsApproval: authority === 'approval',
    applyAt,
    preview: await previewOf(workbench, operation, author.now),
  }
  const created = await createChangeRequest(database, actor, draft, author)
  return created.ok ? ok({ state: 'waiting', changeRequest: created.value }) : err(toRefusal(created.error))
}

/** Whether what a scheduled change needs is still there: its author's right, and an approval where one is needed now. */
export async function isStillAuthorised(
  database: D1Database,
  author: Actor,
  { operation, environments: keys, decidedBy }: ChangeRequest,
): Promise<boolean> {
  const rows = await drizzle(database)
    .select({ key: environments.key, protected: environments.protected })
    .from(environments)
    .where(sql`${environments.key} IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`)
  const authority = authorityFor(author, operation, rows)
  return authority === 'allowed' || (authority === 'approval' && decidedBy !== null)
}
