// From an operation to the change that it is: loads what it stands on, then decides. Nothing is done yet.
import type { EvaluationContext } from '../engine/context.ts'
import type { Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import type { Attachments } from './attachments.ts'
import type { Change } from './change.ts'
import { planConfigurationSave } from './configurations.ts'
import { planEnvironmentDelete, planEnvironmentSave } from './environments.ts'
import { planFlagArchive, planFlagDelete, planFlagSave, planFlagUnarchive } from './flags.ts'
import { planMetricDelete, planMetricSave } from './metrics.ts'
import type { Operation } from './operation.ts'
import type { SaveError } from './save-error.ts'
import { planSegmentDelete, planSegmentSave } from './segments.ts'

/** What plans are made on. */
export type Workbench = {
  readonly database: D1Database
  /** Contexts seen lately in an environment; empty where none are kept. */
  readonly contexts: (environment: string) => Promise<readonly EvaluationContext[]>
  readonly attached: Attachments
}

/** Decides what an operation changes, or why it cannot be done. */
export async function planOperation(
  { database, contexts, attached }: Workbench,
  operation: Operation,
  author: Author,
): Promise<Result<Change, SaveError>> {
  const { now } = author
  switch (operation.kind) {
    case 'environment.save':
      return planEnvironmentSave(database, operation, now)
    case 'environment.delete':
      return planEnvironmentDelete(database, operation, attached, author, now)
    case 'flag.save':
      return planFlagSave(database, operation.flag, operation.draft, operation.revision, now)
    case 'flag.delete':
      return planFlagDelete(database, operation.flag, operation.revision, attached)
    case 'flag.archive':
      return planFlagArchive(database, operation.flag, operation.revision, attached, now)
    case 'flag.unarchive':
      return planFlagUnarchive(database, operation.flag, operation.revision, now)
    case 'configuration.save':
      return planConfigurationSave(database, operation, contexts, now)
    case 'segment.save':
      return planSegmentSave(database, operation, now)
    case 'segment.delete':
      return planSegmentDelete(database, operation)
    case 'metric.save':
      return planMetricSave(database, operation, now)
    case 'metric.delete':
      return planMetricDelete(database, operation, attached)
  }
}
