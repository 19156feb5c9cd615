// An isolate that reports what it answers, with a clock of its own.
import { env } from 'cloudflare:workers'
import { vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import type { EnvironmentSettings } from '../../src/catalog/entities.ts'
import type { EnvironmentSnapshot } from '../../src/catalog/environment-snapshot.ts'
import type { Measurement } from '../../src/catalog/measurement.ts'
import type { Evaluation } from '../../src/engine/evaluation.ts'
import { Snapshot } from '../../src/engine/snapshot.ts'
import { Reporter } from '../../src/telemetry/isolate/reporter.ts'

const MINUTE_MS = 60_000

/** What an isolate answers with: once the flag `a`, in an environment where nothing is measured. */
export type Answering = {
  readonly evaluations?: readonly Evaluation[]
  readonly settings?: Partial<EnvironmentSettings>
  readonly measurements?: readonly Measurement[]
  readonly context?: { readonly [attribute: string]: unknown }
  readonly of?: string
}

/** An answer of a flag that is not measured. */
export const on: Evaluation = {
  flagKey: 'a',
  reason: 'STATIC',
  variant: 'on',
  value: true,
  metadata: {},
  assignment: undefined,
}

function toSnapshot(environment: string, { settings, measurements = [] }: Answering): EnvironmentSnapshot {
  return {
    flags: new Snapshot({ environment, version: 1, sections: {} }),
    version: 1,
    keys: new Map(),
    settings: { refreshSeconds: 30, signingSecret: 'secret', ...settings },
    metrics: new Map(),
    measurements: new Map(measurements.map((measurement) => [measurement.id, measurement])),
  }
}

/** Makes an isolate that answers for an environment; its clock begins with a minute. */
export function makeIsolate(environment: string) {
  let now = Date.now() - (Date.now() % MINUTE_MS)
  let pending: Promise<unknown>[] = []
  const reporter = new Reporter(() => now)
  const waits = vi.spyOn(scheduler, 'wait')
  waits.mockClear()
  return {
    /** Answers; whether it sees to the sending, and then how long it waits for that. */
    answer(bindings: Bindings, answering: Answering = {}): number | undefined {
      const { evaluations = [on], context = {}, of = environment } = answering
      waits.mockClear()
      const answered = { evaluations, context, isUse: true }
      reporter.settle(bindings, toSnapshot(of, answering), answered, (work) => void pending.push(work))
      return waits.mock.calls[0]?.[0]
    },
    handOutSnapshot(settings: Partial<EnvironmentSettings>) {
      reporter.settleUncounted(env, toSnapshot(environment, { settings }), (work) => void pending.push(work))
    },
    now: () => now,
    move(milliseconds: number) {
      now += milliseconds
    },
    async settled() {
      const works = pending
      pending = []
      await Promise.all(works)
    },
    /** Lets what goes on after the answers never begin, as when a request is cut off. */
    cutOff() {
      pending = []
    },
  }
}
