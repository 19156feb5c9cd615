// What counting must come to, worked out the long way: everything is kept in lists, and every figure is made by going
// through them. Nothing is taken from the code under test but its types.
import { type Measurement, type Metric, unitKindOf } from '../../../src/catalog/measurement.ts'
import type { GuardBlock } from '../../../src/telemetry/counting/blocks.ts'
import type { Input } from '../../../src/telemetry/counting/counting.ts'
import type { SeriesCell } from '../../../src/telemetry/counting/series.ts'
import type { ArmTotals, Moments } from '../../../src/telemetry/counting/totals.ts'
import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import type { ShardEvent, Tag } from '../../../src/telemetry/events/event.ts'
import { shardIndexOf } from '../../../src/telemetry/events/unit.ts'
import type { SeenName } from '../../../src/telemetry/shard-protocol.ts'
import {
  blockOf,
  type CellPart,
  cellsOf,
  type Joined,
  momentsOf,
  type Observation,
  type Row,
  sum,
} from './reference-figures.ts'

const SECOND = 1_000
const BLOCK = 10 * SECOND
const MINUTE = 60 * SECOND
const DAY = 24 * 60 * MINUTE

/** A unit in one stage of a measurement. */
type Stay = { stage: number; stratum: string; arm: string; variant: string; joined: Joined[] }

type Member = {
  unit: string
  measurement: string
  firstAt: number
  stays: Stay[]
  mixed: boolean
  isOut: boolean
  /** Blocks of exposures since the current stage began, and since it was in it. */
  exposed: number[]
  /** When it was seen. */
  seenAt: number[]
  liveBlocks: number[]
  hit: Set<string>
  before: Map<string, number>
}

type Waiting = { event: ShardEvent; arrivedAt: number }

const now = (member: Member): Stay => member.stays[member.stays.length - 1] as Stay
const placeOf = ({ stage, stratum, arm }: Pick<Tag, 'stage' | 'stratum' | 'arm'>) =>
  `${stage} ${stratum} ${arm}`
const NOWHERE = { measurement: '', stage: 0, stratum: '', arm: '' }

export class Reference {
  private plan: CountingPlan | undefined
  private block = -1
  private members: Member[] = []
  private rows: Row[] = []
  private readonly closed: GuardBlock[] = []
  private readonly parts: CellPart[] = []
  private readonly seen: { name: string; at: number }[] = []
  private days: { unit: string; metric: string; day: number; value: number }[] = []
  private waiting: Waiting[] = []
  /** Metrics as measurements first watched them. */
  private readonly frozen = new Map<string, Metric>()
  private readonly windows = new Map<string, number>()
  private observations: Observation[] = []
  private readonly armBounds = new Map<string, readonly number[]>()
  /** Whether a unit was mixed when it left a stage. */
  private readonly mixedThen = new Map<Stay, boolean>()
  private erased = 0
  private at = 0
  private readonly index: number

  constructor(index: number) {
    this.index = index
  }

  apply(input: Input, at: number): void {
    this.advance(at)
    this.at = at
    if (input.kind === 'plan') this.follow(input.plan)
    else if (input.kind === 'erase') this.erase(input.unit)
    else for (const event of input.events) this.count(event)
  }

  advance(to: number): void {
    const open = Math.floor(to / BLOCK)
    if (this.block < 0) this.block = open
    while (this.block < open) {
      this.close()
      this.block++
      // Whoever's window ended with the last block leaves with this one.
      for (const member of this.members) {
        if (this.isPresent(member, this.block - 1) && !this.isPresent(member, this.block)) this.row(member)
      }
    }
  }

  get blocks(): GuardBlock[] {
    return this.closed
  }

  totals(id: string): ArmTotals[] {
    const members = this.members.filter(({ measurement }) => measurement === id)
    const stays = members.flatMap((member) => member.stays.map((stay) => ({ member, stay })))
    const places = new Map(stays.map(({ stay }) => [placeOf(stay), stay]))
    return [...places.values()].map((place) => {
      const own = stays.filter(({ stay }) => placeOf(stay) === placeOf(place))
      const keys = new Set(
        own.flatMap(({ member, stay }) => [
          ...stay.joined.map(({ metric }) => metric.key),
          ...member.before.keys(),
        ]),
      )
      return {
        stage: place.stage,
        stratum: place.stratum,
        arm: place.arm,
        units: own.length,
        firsts: own.filter(({ member, stay }) => member.stays[0] === stay).length,
        mixed: own.filter(({ member, stay }) => this.isMixed(member, stay)).length,
        metrics: new Map([...keys].map((key) => [key, this.moments(id, key, placeOf(place), own)])),
      }
    })
  }

  cells(width: number): SeriesCell[] {
    return cellsOf(this.parts, width)
  }

  /** The days since its first exposure on which a unit was seen; undefined: it is no member. */
  daysSeen(id: string, unit: string): number[] | undefined {
    const member = this.members.find((one) => one.measurement === id && one.unit === unit)
    const days = member?.seenAt.map((at) => Math.floor((at - member.firstAt) / DAY))
    return days && [...new Set(days)].filter((day) => day >= 0 && day < 90).sort((a, b) => a - b)
  }

  names(): SeenName[] {
    return [...new Set(this.seen.map(({ name }) => name))].map((name) => {
      const times = this.seen.filter((one) => one.name === name).map(({ at }) => at)
      return { name, count: times.length, firstAt: Math.min(...times), lastAt: Math.max(...times) }
    })
  }

  private isMixed(member: Member, stay: Stay): boolean {
    return this.mixedThen.get(stay) ?? member.mixed
  }

  private moments(id: string, key: string, place: string, own: { member: Member; stay: Stay }[]): Moments {
    const arm = `${id} ${place}`
    return momentsOf(
      this.frozen.get(`${id} ${key}`) as Metric,
      own.map(({ member, stay }) => ({ joined: stay.joined, before: member.before.get(key) ?? 0 })),
      this.observations.filter((one) => one.arm === arm && one.metric === key),
      this.armBounds.get(`${arm} ${key}`) ?? [],
    )
  }

  private measurement(id: string): Measurement | undefined {
    return this.plan?.measurements.find((one) => one.id === id)
  }

  private isCurrent(member: Member): boolean {
    return now(member).stage === this.measurement(member.measurement)?.stage
  }

  /** Whether a unit is in the risk sets, but for those in which it was hit. */
  private isPresent(member: Member, block: number): boolean {
    const last = member.exposed[member.exposed.length - 1]
    if (last === undefined || member.isOut || !this.isCurrent(member)) return false
    return block <= last + (this.windows.get(member.measurement) ?? 0)
  }

  private rowAt(measurement: string, { stage, stratum, arm }: Pick<Tag, 'stage' | 'stratum' | 'arm'>): Row {
    const known = this.rows.find(
      (row) => row.measurement === measurement && placeOf(row) === placeOf({ stage, stratum, arm }),
    )
    if (known) return known
    const counts = { firsts: 0, entered: 0, live: 0, firstLive: 0, ignored: 0 }
    const row: Row = { measurement, stage, stratum, arm, counts, hits: [], shown: new Set(), observed: [] }
    this.rows.push(row)
    return row
  }

  private row(member: Member): Row {
    return this.rowAt(member.measurement, now(member))
  }

  private sizeOf(row: Row, metric: string): number {
    return this.members.filter(
      (member) =>
        member.measurement === row.measurement &&
        placeOf(now(member)) === placeOf(row) &&
        this.isPresent(member, this.block) &&
        !member.hit.has(metric),
    ).length
  }

  private closeRow(row: Row): void {
    const plan = this.measurement(row.measurement)
    const watched = plan?.stage === row.stage ? plan.metrics.map(({ metric }) => metric) : []
    this.closed.push(blockOf(row, this.block * BLOCK, watched, (metric) => this.sizeOf(row, metric)))
  }

  private close(): void {
    for (const row of this.rows) this.closeRow(row)
    this.rows = []
  }

  private follow(plan: CountingPlan): void {
    for (const old of this.plan?.measurements ?? []) {
      const next = plan.measurements.find(({ id }) => id === old.id)
      const members = this.members.filter(({ measurement }) => measurement === old.id)
      const present = members.filter((member) => this.isPresent(member, this.block))
      if (next?.stage === old.stage) {
        const keysOf = (one: Measurement) => JSON.stringify(one.metrics.map(({ metric }) => metric))
        if (keysOf(next) !== keysOf(old)) for (const member of present) this.row(member)
        continue
      }
      // The risk sets of the stage that was are empty from this instant on.
      for (const member of present) this.row(member)
      for (const row of this.rows.filter((row) => row.measurement === old.id && row.stage === old.stage)) {
        for (const { metric } of old.metrics) row.shown.add(metric)
      }
      for (const member of members) member.exposed = []
      if (next) {
        this.windows.delete(old.id)
        continue
      }
      this.members = this.members.filter(({ measurement }) => measurement !== old.id)
      this.plan = {
        ...(this.plan as CountingPlan),
        measurements: (this.plan as CountingPlan).measurements.filter(({ id }) => id !== old.id),
      }
      for (const row of this.rows.filter((row) => row.measurement === old.id)) this.closeRow(row)
      this.rows = this.rows.filter((row) => row.measurement !== old.id)
      this.windows.delete(old.id)
      this.observations = this.observations.filter(({ arm }) => !arm.startsWith(`${old.id} `))
      for (const key of this.armBounds.keys()) if (key.startsWith(`${old.id} `)) this.armBounds.delete(key)
      for (const key of this.frozen.keys()) if (key.startsWith(`${old.id} `)) this.frozen.delete(key)
    }
    this.plan = plan
    for (const { id, windowMs, metrics } of plan.measurements) {
      if (!this.windows.has(id)) this.windows.set(id, Math.max(1, Math.ceil(windowMs / BLOCK)))
      for (const { metric: key } of metrics) {
        const metric = plan.metrics.find((one) => one.key === key)
        if (metric && !this.frozen.has(`${id} ${key}`)) this.frozen.set(`${id} ${key}`, metric)
      }
    }
  }

  private erase(unit: string): void {
    this.waiting = this.waiting.filter(({ event }) => event.unit !== unit)
    this.days = this.days.filter((one) => one.unit !== unit)
    for (const member of this.members.filter((one) => one.unit === unit)) {
      if (this.isPresent(member, this.block)) this.row(member)
      const arm = `${member.measurement} ${placeOf(now(member))}`
      const nobody = `erased ${this.erased++}`
      this.observations = this.observations
        .filter((one) => one.unit !== unit || one.arm !== arm)
        .map((one) => {
          const isOwn = one.unit === unit && one.arm.startsWith(`${member.measurement} `)
          return isOwn ? { ...one, unit: nobody } : one
        })
      member.unit = ''
      member.exposed = []
      // What it did in stages that it has left stays in their sums.
      member.stays.pop()
      if (member.stays.length === 0) this.members = this.members.filter((one) => one !== member)
    }
  }

  private isHere({ by, shards }: Measurement, event: ShardEvent): boolean {
    return (
      event.unit !== null &&
      unitKindOf(by) === event.unitKind &&
      shardIndexOf(event.unit, shards) === this.index
    )
  }

  private membersOf(event: ShardEvent): Member[] {
    return this.members.filter(({ unit }) => unit !== '' && unit === event.unit)
  }

  /** The metrics that an event is of. */
  private usesOf(name: string): { metric: Metric; isDenominator: boolean }[] {
    return (this.plan?.metrics ?? []).flatMap((metric) => [
      ...(metric.event === name ? [{ metric, isDenominator: false }] : []),
      ...(metric.denominator === name ? [{ metric, isDenominator: true }] : []),
    ])
  }

  private count(event: ShardEvent): void {
    if (event.kind === 'exposure') this.expose(event)
    else this.track(event)
  }

  private expose(event: ShardEvent): void {
    const { tag, flag, variant } = event
    const found = event.trusted && tag ? this.measurement(tag.id) : undefined
    const measurement = found?.flag === flag ? found : undefined
    let isNewUnit = false
    if (event.trusted && tag && event.unit !== null) {
      const member = this.membersOf(event).find((one) => one.measurement === measurement?.id)
      if (member && measurement && this.isHere(measurement, event)) this.meet(measurement, member, event, tag)
      isNewUnit = !member && measurement !== undefined && this.isHere(measurement, event)
      if (measurement && isNewUnit) this.join(measurement, event, tag)
      for (const one of this.membersOf(event)) this.see(one, event)
      if (measurement && isNewUnit) this.applyWaiting(measurement, event)
    }
    if (!event.primary && !isNewUnit) return
    const place =
      tag && measurement
        ? { measurement: tag.id, stage: tag.stage, stratum: tag.stratum, arm: tag.arm }
        : NOWHERE
    this.parts.push({
      metric: null,
      flag,
      variant,
      ...place,
      minute: Math.floor(event.at / MINUTE) * MINUTE,
      events: event.primary ? 1 : 0,
      value: Number.NaN,
      isDenominator: false,
      isNewUnit,
      kind: 'conversion',
    })
  }

  private join(measurement: Measurement, event: ShardEvent, tag: Tag): void {
    const { stage, stratum, arm } = tag
    const before = new Map<string, number>()
    for (const { metric: key } of measurement.metrics) {
      const metric = this.frozen.get(`${measurement.id} ${key}`)
      if (!this.plan?.metrics.find((one) => one.key === key)?.preExposure || !metric) continue
      const first = Math.floor(event.at / DAY)
      const own = this.days.filter(
        ({ unit, metric, day }) => unit === event.unit && metric === key && day < first && day >= first - 14,
      )
      const values = sum(own.map(({ value }) => (Number.isNaN(value) ? 0 : value)))
      const isShare = metric.kind === 'conversion' || metric.kind === 'error'
      const total = metric.kind === 'count' ? own.length : values
      const x = isShare ? Math.min(1, own.length) : Math.min(total, metric.cap ?? Number.POSITIVE_INFINITY)
      if (x !== 0) before.set(key, x)
    }
    const member: Member = {
      unit: event.unit as string,
      measurement: measurement.id,
      firstAt: event.at,
      stays: [{ stage, stratum, arm, variant: event.variant, joined: [] }],
      mixed: false,
      isOut: false,
      exposed: [],
      seenAt: [],
      liveBlocks: [],
      hit: new Set(),
      before,
    }
    this.members.push(member)
    this.row(member).counts.firsts++
    this.refresh(measurement, member)
  }

  private refresh(measurement: Measurement, member: Member): void {
    if (now(member).stage !== measurement.stage || member.isOut) return
    if (member.exposed.length === 0) this.row(member).counts.entered++
    else if (!this.isPresent(member, this.block)) this.row(member)
    member.exposed.push(this.block)
  }

  private meet(measurement: Measurement, member: Member, event: ShardEvent, tag: Tag): void {
    const stay = now(member)
    if (tag.stage < stay.stage) return
    if (tag.stage > stay.stage && measurement.kind === 'rollout') {
      if (this.isPresent(member, this.block)) this.row(member)
      this.mixedThen.set(stay, member.mixed)
      const { stage, stratum, arm } = tag
      member.stays.push({ stage, stratum, arm, variant: event.variant, joined: [] })
      member.exposed = []
      member.liveBlocks = []
      member.isOut = false
      this.refresh(measurement, member)
      return
    }
    if (event.variant !== stay.variant) member.mixed = true
    if (tag.stage > stay.stage) return
    if (tag.stratum === stay.stratum && tag.arm === stay.arm) {
      this.refresh(measurement, member)
      return
    }
    if (this.isPresent(member, this.block)) this.row(member)
    member.isOut = true
  }

  private isTagCurrent(member: Member, tag: Tag | null): boolean {
    return tag === null || tag.id !== member.measurement || placeOf(tag) === placeOf(now(member))
  }

  private see(member: Member, event: ShardEvent): void {
    member.seenAt.push(event.at)
    if (event.automatic || !this.isCurrent(member) || !this.isTagCurrent(member, event.tag)) return
    if (member.liveBlocks.includes(this.block)) return
    const { counts } = this.row(member)
    counts.live++
    if (member.liveBlocks.length === 0) counts.firstLive++
    member.liveBlocks.push(this.block)
  }

  private track(event: ShardEvent): void {
    if (event.primary) this.seen.push({ name: event.name, at: this.at })
    const uses = this.usesOf(event.name)
    const joined: string[] = []
    if (event.trusted && event.unit !== null) {
      for (const { metric, isDenominator } of uses) {
        const isKept = event.home && metric.preExposure && !isDenominator && metric.unit === event.unitKind
        if (isKept && this.isCounted(metric, isDenominator, event.value)) {
          const day = Math.floor(event.at / DAY)
          this.days.push({ unit: event.unit, metric: metric.key, day, value: event.value })
        }
      }
      for (const member of this.membersOf(event)) {
        this.see(member, event)
        joined.push(...this.joinTo(member, event))
      }
      this.wait(event)
    }
    if (!event.primary) return
    for (const { metric, isDenominator } of uses) {
      if (!this.isCounted(metric, isDenominator, event.value)) continue
      const overall = {
        metric: metric.key,
        flag: '',
        variant: '',
        ...NOWHERE,
        minute: Math.floor(event.at / MINUTE) * MINUTE,
        events: 1,
        value: event.value,
        isDenominator,
        isNewUnit: false,
        kind: metric.kind,
      }
      this.parts.push(overall)
      // What has a tag of the flag is counted with that, whether its exposure has come or is still to come.
      const isTagged = event.trusted && event.unit !== null && event.tag !== null
      const tagged = isTagged ? this.measurement(event.tag?.id ?? '') : undefined
      const isElsewhere = tagged?.flag === event.flag || joined.includes(`${event.flag} ${metric.key}`)
      if (event.flag === '' || event.variant === '' || isElsewhere) continue
      this.parts.push({ ...overall, flag: event.flag, variant: event.variant })
    }
  }

  private isCounted({ kind }: Metric, isDenominator: boolean, value: number): boolean {
    return isDenominator || ['conversion', 'count', 'error'].includes(kind) || !Number.isNaN(value)
  }

  private wait(event: ShardEvent): void {
    const names = new Set(this.usesOf(event.name).map(({ metric }) => metric.key))
    const isAwaited = this.plan?.measurements.some(
      (measurement) =>
        this.isHere(measurement, event) &&
        measurement.metrics.some(({ metric }) => names.has(metric)) &&
        !this.membersOf(event).some((member) => member.measurement === measurement.id),
    )
    if (!isAwaited) return
    this.waiting = this.waiting.filter(({ arrivedAt }) => this.at - arrivedAt <= MINUTE)
    const own = this.waiting.filter((one) => one.event.unit === event.unit)
    if (own.length >= 16) this.waiting = this.waiting.filter((one) => one !== own[0])
    this.waiting.push({ event, arrivedAt: this.at })
  }

  private applyWaiting(measurement: Measurement, { unit }: ShardEvent): void {
    const member = this.members.find(
      (one) => one.unit === unit && one.measurement === measurement.id,
    ) as Member
    for (const { event, arrivedAt } of this.waiting) {
      if (event.unit !== unit || this.at - arrivedAt > MINUTE) continue
      this.see(member, event)
      this.joinTo(member, event)
    }
  }

  /** Joins an event to a unit's exposure; in which metrics, each behind the flag. */
  private joinTo(member: Member, event: ShardEvent): string[] {
    const measurement = this.measurement(member.measurement) as Measurement
    if (event.at < member.firstAt - MINUTE) return []
    const uses = this.usesOf(event.name).filter(({ metric }) =>
      measurement.metrics.some((one) => one.metric === metric.key),
    )
    for (const { metric: defined, isDenominator } of uses) {
      const metric = this.frozen.get(`${measurement.id} ${defined.key}`) as Metric
      if (this.isCounted(metric, isDenominator, event.value))
        this.joinMetric(measurement, member, event, metric, isDenominator)
    }
    return uses.map(({ metric }) => `${measurement.flag} ${metric.key}`)
  }

  private joinMetric(
    measurement: Measurement,
    member: Member,
    event: ShardEvent,
    metric: Metric,
    isDenominator: boolean,
  ): void {
    const stay = now(member)
    const { stage, stratum, arm, variant } = stay
    const { tag, value } = event
    const had = member.stays.some(({ joined }) =>
      joined.some((one) => one.metric.key === metric.key && !one.isDenominator),
    )
    stay.joined.push({ metric, isDenominator, value })
    this.parts.push({
      metric: metric.key,
      flag: measurement.flag,
      variant,
      measurement: measurement.id,
      stage,
      stratum,
      arm,
      minute: Math.floor(event.at / MINUTE) * MINUTE,
      events: 1,
      value,
      isDenominator,
      isNewUnit: !had && !isDenominator,
      kind: metric.kind,
    })
    if (isDenominator) return
    const isPresent = this.isTagCurrent(member, tag) && this.isPresent(member, this.block)
    if (['conversion', 'count', 'error'].includes(metric.kind)) {
      if (member.hit.has(metric.key)) return
      if (tag?.id === measurement.id && tag.stage !== measurement.stage) this.row(member).counts.ignored++
      else if (isPresent) {
        member.hit.add(metric.key)
        this.row(member).hits.push(metric.key)
      }
      return
    }
    if (metric.kind !== 'ratio') this.observe(measurement, member, metric.key, value, isPresent)
  }

  private observe(
    measurement: Measurement,
    member: Member,
    metric: string,
    value: number,
    isPresent: boolean,
  ): void {
    const bounds = measurement.metrics.find((one) => one.metric === metric)?.bounds ?? []
    if (bounds.length === 0) return
    const arm = `${measurement.id} ${placeOf(now(member))}`
    const compared = this.armBounds.get(`${arm} ${metric}`)
    if (JSON.stringify(compared) !== JSON.stringify(bounds)) {
      if (compared && !this.isCurrent(member)) return
      this.armBounds.set(`${arm} ${metric}`, bounds)
      this.observations = this.observations.filter((one) => one.arm !== arm || one.metric !== metric)
    }
    const { unit } = member
    const isFirst = !this.observations.some(
      (one) => one.arm === arm && one.metric === metric && one.unit === unit,
    )
    this.observations.push({ arm, metric, unit, value })
    if (!isPresent) return
    for (const bound of bounds)
      this.row(member).observed.push({ metric, bound, isAbove: value > bound, isFirst })
  }
}
