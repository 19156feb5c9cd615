// Exposures that an isolate has noticed by itself and not sent yet. Pure: time is passed in.
import type { Measurement } from '../../catalog/measurement.ts'
import { createAttributeReader, type EvaluationContext } from '../../engine/context.ts'
import type { Assignment, Evaluation } from '../../engine/evaluation.ts'
import { toSlice } from '../events/slice.ts'

const MINUTE_MS = 60_000
/** The most units that are remembered for having been noticed in the minute; beyond, some are noticed twice. */
export const MAX_REMEMBERED = 20_000
/** Units with longer names are none: events about them would be refused too. */
const MAX_UNIT_LENGTH = 512

/** A unit that met a variant of a measured flag. */
export type Exposure = {
  readonly flag: string
  readonly variant: string
  readonly assignment: Assignment
  /** The values of the measurement's slices, in their order; null where there are none. */
  readonly slices: readonly (string | null)[] | null
  /** Milliseconds since 1970. */
  readonly at: number
}

/** Evaluations that may be exposures. */
export type Answered = {
  readonly evaluations: readonly Evaluation[]
  readonly context: EvaluationContext
  /** Whether the application asked for the one flag that it is about to use, and can be believed. */
  readonly isUse: boolean
}

function slicesOf({ slices }: Measurement, context: EvaluationContext): Exposure['slices'] {
  if (slices.length === 0) return null
  return slices.map((path) => toSlice(createAttributeReader(path)(context)))
}

/** Notices exposures of one environment: of a unit in one place, one in a minute. */
export class ExposureBuffer {
  private exposures: Exposure[] = []
  private minute = Number.NaN
  /** By tag, which names the flag too: the units of the minute. */
  private units = new Map<string, Set<string>>()
  private remembered = 0

  get size(): number {
    return this.exposures.length
  }

  /** When the first of what is here was noticed, in milliseconds since 1970; undefined when there is nothing. */
  get oldestAt(): number | undefined {
    return this.exposures[0]?.at
  }

  /**
   * Notices which evaluations were exposures: the use of a measured flag, or any evaluation of one where assigning it
   * is said to be one. Up to `room` are kept here, the oldest: whatever the arm, so that none loses more than another.
   * @returns whether all were kept
   */
  note(
    { evaluations, context, isUse }: Answered,
    measurements: ReadonlyMap<string, Measurement>,
    now: number,
    room: number,
  ): boolean {
    let isWhole = true
    for (const evaluation of evaluations) {
      if (evaluation.reason === 'ERROR' || !evaluation.assignment) continue
      const { flagKey: flag, variant = '', assignment } = evaluation
      const { tag, unit } = assignment
      const measurement = measurements.get(tag.slice(0, tag.indexOf('.')))
      if (!measurement || unit.length > MAX_UNIT_LENGTH) continue
      if ((!isUse && measurement.exposure === 'use') || this.knows(tag, unit, now)) continue
      if (this.exposures.length >= room) {
        isWhole = false
        continue
      }
      this.remember(tag, unit)
      this.exposures.push({ flag, variant, assignment, slices: slicesOf(measurement, context), at: now })
    }
    return isWhole
  }

  /** Hands out what was noticed and starts anew; who was noticed in the minute stays known. */
  take(): readonly Exposure[] {
    const { exposures } = this
    this.exposures = []
    return exposures
  }

  private knows(tag: string, unit: string, now: number): boolean {
    const minute = now - (now % MINUTE_MS)
    if (minute !== this.minute) {
      this.minute = minute
      this.forget()
    }
    return this.units.get(tag)?.has(unit) === true
  }

  private remember(tag: string, unit: string): void {
    if (this.remembered >= MAX_REMEMBERED) this.forget()
    const units = this.units.get(tag)
    if (units) units.add(unit)
    else this.units.set(tag, new Set([unit]))
    this.remembered++
  }

  private forget(): void {
    this.units = new Map()
    this.remembered = 0
  }
}
