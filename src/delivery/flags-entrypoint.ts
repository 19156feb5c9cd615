import { WorkerEntrypoint } from 'cloudflare:workers'
import type { Bindings } from '../bindings.ts'
import type { EvaluationContext } from '../engine/context.ts'
import { evaluate, evaluateAll } from '../engine/evaluate.ts'
import type { Evaluation } from '../engine/evaluation.ts'
import { type TrackingDetails, track } from '../telemetry/events/track.ts'
import type { Answered } from '../telemetry/isolate/exposures.ts'
import { reporter } from '../telemetry/isolate/reporter.ts'
import { snapshotCache, type View } from './snapshot-cache.ts'

/** What the service binding says of who binds it. */
type Properties = { readonly environment?: string }

/**
 * A flag's answer with why; `value` is the caller's default where there is none. The tag is of a measured flag, and not
 * signed, because whoever binds the entrypoint is a server.
 */
export type Details<T> = FlagshipEvaluationDetails<T> & { readonly tag?: string }

/** What a value must be to be answered in place of a default. */
type Check = (value: unknown) => boolean

const isObject: Check = (value) => typeof value === 'object' && value !== null

function checkFor(defaultValue: unknown): Check {
  return isObject(defaultValue) ? isObject : (value) => typeof value === typeof defaultValue
}

function toDetails<T>(evaluation: Evaluation, defaultValue: T, check: Check): Details<T> {
  const { flagKey, reason } = evaluation
  if (evaluation.reason === 'ERROR') {
    const { errorCode, errorMessage } = evaluation
    return { flagKey, value: defaultValue, reason, errorCode, errorMessage }
  }
  const { variant, value, assignment } = evaluation
  const tagged = assignment ? { tag: assignment.tag } : {}
  if (value === undefined) return { flagKey, value: defaultValue, reason, ...tagged }
  if (check(value)) return { flagKey, value: value as T, variant, reason, ...tagged }
  const errorMessage = `the flag's value is not of the default's type, ${typeof defaultValue}`
  return { flagKey, value: defaultValue, reason: 'ERROR', errorCode: 'TYPE_MISMATCH', errorMessage }
}

/**
 * Flags for other Workers, over a service binding that names the environment in its `props`. A drop-in for the
 * platform's own Flagship binding; never throws, and answers the default where it cannot do better.
 */
export class Flags extends WorkerEntrypoint<Bindings, Properties> implements Flagship {
  async get(flagKey: string, defaultValue?: unknown, context?: FlagshipEvaluationContext): Promise<unknown> {
    const details = await this.decide(flagKey, defaultValue, context, () => true)
    return details.value
  }

  async getValue<T extends boolean | string | number | Record<string, unknown> | unknown[]>(
    flagKey: string,
    defaultValue: T,
    context?: FlagshipEvaluationContext,
  ): Promise<FlagshipWidenedValue<T>> {
    return (await this.getDetails(flagKey, defaultValue, context)).value
  }

  async getDetails<T extends boolean | string | number | Record<string, unknown> | unknown[]>(
    flagKey: string,
    defaultValue: T,
    context?: FlagshipEvaluationContext,
  ): Promise<Details<FlagshipWidenedValue<T>>> {
    return this.decide(flagKey, defaultValue as FlagshipWidenedValue<T>, context, checkFor(defaultValue))
  }

  async getBooleanValue(flagKey: string, defaultValue: boolean, context?: FlagshipEvaluationContext) {
    return (await this.getBooleanDetails(flagKey, defaultValue, context)).value
  }

  async getStringValue(flagKey: string, defaultValue: string, context?: FlagshipEvaluationContext) {
    return (await this.getStringDetails(flagKey, defaultValue, context)).value
  }

  async getNumberValue(flagKey: string, defaultValue: number, context?: FlagshipEvaluationContext) {
    return (await this.getNumberDetails(flagKey, defaultValue, context)).value
  }

  async getObjectValue<T extends object>(
    flagKey: string,
    defaultValue: T,
    context?: FlagshipEvaluationContext,
  ): Promise<T> {
    return (await this.getObjectDetails(flagKey, defaultValue, context)).value
  }

  async getBooleanDetails(flagKey: string, defaultValue: boolean, context?: FlagshipEvaluationContext) {
    return this.decide(flagKey, defaultValue, context, (value) => typeof value === 'boolean')
  }

  async getStringDetails(flagKey: string, defaultValue: string, context?: FlagshipEvaluationContext) {
    return this.decide(flagKey, defaultValue, context, (value) => typeof value === 'string')
  }

  async getNumberDetails(flagKey: string, defaultValue: number, context?: FlagshipEvaluationContext) {
    return this.decide(flagKey, defaultValue, context, (value) => typeof value === 'number')
  }

  async getObjectDetails<T extends object>(
    flagKey: string,
    defaultValue: T,
    context?: FlagshipEvaluationContext,
  ): Promise<Details<T>> {
    return this.decide(flagKey, defaultValue, context, isObject)
  }

  /** Every flag of the environment for one context, with its details; empty when no snapshot can be reached. */
  async getAll(context: FlagshipEvaluationContext = {}): Promise<{ [flagKey: string]: Details<unknown> }> {
    const view = await this.view()
    if (!view) return {}
    const evaluations = evaluateAll(view.environment.flags, context, Date.now())
    this.settle(view, { evaluations, context, isUse: false })
    return Object.fromEntries(
      evaluations.map((evaluation) => [evaluation.flagKey, toDetails(evaluation, undefined, () => true)]),
    )
  }

  /** Counts an event of whom the context is about, as OpenFeature tracks it; what is not counted is in the log. */
  async track(
    name: string,
    context: FlagshipEvaluationContext = {},
    details: TrackingDetails = {},
  ): Promise<void> {
    try {
      const view = await this.view()
      const fault = view
        ? await track(this.env, view.environment, name, context, details, Date.now())
        : 'no snapshot can be reached'
      if (fault !== undefined) console.warn('event not counted', { name, fault })
    } catch (error) {
      console.error('event not counted', { name, error: String(error) })
    }
  }

  private async decide<T>(
    flagKey: string,
    defaultValue: T,
    given: EvaluationContext | undefined,
    check: Check,
  ): Promise<Details<T>> {
    const view = await this.view()
    if (!view) {
      const errorMessage = 'no snapshot can be reached for the environment that the binding names'
      return { flagKey, value: defaultValue, reason: 'ERROR', errorCode: 'PROVIDER_NOT_READY', errorMessage }
    }
    const context = given ?? {}
    const evaluation = evaluate(view.environment.flags, flagKey, context, Date.now())
    this.settle(view, { evaluations: [evaluation], context, isUse: true })
    return toDetails(evaluation, defaultValue, check)
  }

  private async view(): Promise<View | undefined> {
    const { environment } = this.ctx.props
    if (environment === undefined) return undefined
    const present = snapshotCache.view(environment)
    if (present) return present
    const acquired = await snapshotCache.acquire(this.env, environment, (work) => this.ctx.waitUntil(work))
    return acquired.ok ? acquired.value : undefined
  }

  private settle({ environment }: View, answered: Answered): void {
    const waitUntil = (work: Promise<unknown>) => this.ctx.waitUntil(work)
    snapshotCache.settle(this.env, environment.flags, answered.evaluations.length, waitUntil)
    reporter.settle(this.env, environment, answered, waitUntil)
  }
}
