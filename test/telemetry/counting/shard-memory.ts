// A shard as counting sees it: what is written only at some points, and all that is left after it was killed.
import {
  Counting,
  type Input,
  type PackedCounting,
  type PackedHour,
  type PackedMinute,
  type SpanSource,
} from '../../../src/telemetry/counting/counting.ts'
import type { Unit, UnitSource } from '../../../src/telemetry/counting/unit.ts'
import { packUnit, unpackUnit } from '../../../src/telemetry/counting/unit-codec.ts'
import { createUnit } from '../../../src/telemetry/counting/unit-memory.ts'
import type { UnitId } from '../../../src/telemetry/events/event.ts'

/** Hands out a copy of what was written, over and over, until that copy is touched. */
class ForgetfulUnits implements UnitSource {
  private written: ReadonlyMap<UnitId, string>
  private changed = new Map<UnitId, Unit | null>()

  constructor(written: ReadonlyMap<UnitId, string>) {
    this.written = written
  }

  get(id: UnitId): Unit | undefined {
    const changed = this.changed.get(id)
    if (changed !== undefined) return changed ?? undefined
    const text = this.written.get(id)
    return text === undefined ? undefined : unpackUnit(JSON.parse(text))
  }

  create(id: UnitId, kind: string): Unit {
    const unit = createUnit(id, kind)
    this.changed.set(id, unit)
    return unit
  }

  touch(unit: Unit): void {
    this.changed.set(unit.id, unit)
  }

  remove(id: UnitId): void {
    this.changed.set(id, null)
  }

  write(): ReadonlyMap<UnitId, string> {
    const written = new Map(this.written)
    for (const [id, unit] of this.changed) {
      if (unit) written.set(id, JSON.stringify(packUnit(unit)))
      else written.delete(id)
    }
    this.written = written
    this.changed = new Map()
    return written
  }
}

class WrittenSpans implements SpanSource {
  readonly minutes: Map<number, string>
  readonly hours: Map<number, string>

  constructor(minutes: ReadonlyMap<number, string>, hours: ReadonlyMap<number, string>) {
    this.minutes = new Map(minutes)
    this.hours = new Map(hours)
  }

  minute(start: number): PackedMinute | undefined {
    const text = this.minutes.get(start)
    return text === undefined ? undefined : JSON.parse(text)
  }

  hour(start: number): PackedHour | undefined {
    const text = this.hours.get(start)
    return text === undefined ? undefined : JSON.parse(text)
  }
}

export type Step = { readonly at: number; readonly input: Input }

/** What is on disk: all of the state, as it was written at one point, and what was recorded since. */
type Disk = {
  state: string | undefined
  units: ReadonlyMap<UnitId, string>
  minutes: ReadonlyMap<number, string>
  hours: ReadonlyMap<number, string>
  steps: Step[]
}

export class ShardMemory {
  counting: Counting
  private units: ForgetfulUnits
  private spans: WrittenSpans
  private readonly index: number
  private readonly disk: Disk = {
    state: undefined,
    units: new Map(),
    minutes: new Map(),
    hours: new Map(),
    steps: [],
  }

  constructor(index = 0) {
    this.index = index
    this.units = new ForgetfulUnits(this.disk.units)
    this.spans = new WrittenSpans(new Map(), new Map())
    this.counting = new Counting({ index }, this.units, this.spans, undefined)
  }

  apply(step: Step): void {
    this.disk.steps.push(step)
    this.counting.apply(step.input, step.at)
  }

  /** Writes everything down. */
  fold(): void {
    const { minutes, hours } = this.counting.takeChangedSpans()
    for (const [start, minute] of minutes) this.spans.minutes.set(start, JSON.stringify(minute))
    for (const [start, hour] of hours) this.spans.hours.set(start, JSON.stringify(hour))
    this.disk.state = JSON.stringify(this.counting.save())
    this.disk.units = this.units.write()
    this.disk.minutes = new Map(this.spans.minutes)
    this.disk.hours = new Map(this.spans.hours)
    this.disk.steps = []
  }

  /** Loses everything but what is written, and applies again what was recorded since. */
  restart(): void {
    const { state, units, minutes, hours, steps } = this.disk
    const saved: PackedCounting | undefined = state === undefined ? undefined : JSON.parse(state)
    this.units = new ForgetfulUnits(units)
    this.spans = new WrittenSpans(minutes, hours)
    this.counting = new Counting({ index: this.index }, this.units, this.spans, saved)
    for (const { input, at } of steps) this.counting.apply(input, at)
  }

  unit(id: UnitId): Unit | undefined {
    return this.units.get(id)
  }
}
