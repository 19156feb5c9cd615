// The same people as in population.ts, one by one: every visit an exposure in each block, every failure an event that is
// sent twice, all of it counted by the product's own counting. What comes out must have the same law.
import type { Measurement, Metric } from '../../src/catalog/measurement.ts'
import { BLOCK_MS } from '../../src/telemetry/counting/blocks.ts'
import { Counting } from '../../src/telemetry/counting/counting.ts'
import { UnitMemory } from '../../src/telemetry/counting/unit-memory.ts'
import type { CountingPlan } from '../../src/telemetry/counting-plan.ts'
import type { ShardEvent, Tag } from '../../src/telemetry/events/event.ts'
import { drawLag, type Habits, LEAVE_BLOCKS, Population } from './population.ts'
import type { Random } from './random.ts'
import { edgesOf, type Ramp, Schedule } from './world.ts'

export type SmallWorld = {
  readonly habits: Habits
  /** Visits that begin in a block, in the mean. */
  readonly visits: number
  readonly ramp: Ramp
  readonly blocks: number
  /** The chance that a visit goes bad, and how many times as high that of the treated is. */
  readonly base: number
  readonly ratio: number
}

/** Sums over the blocks of one arm in one epoch, and its risk sets at the end. */
export type EpochCounts = {
  x: number
  /** Σn over blocks: the time at risk of those not hit, and of all. */
  atRisk: number
  present: number
  entered: number
  firsts: number
}

/** By epoch and arm: `0 t`. */
export type SmallWorldCounts = ReadonlyMap<string, EpochCounts>

const START = 1_795_000_000_000
const FAILED = 'failed'
const NEVER_SENT = 'never-sent'

function countsIn(sums: Map<string, EpochCounts>, epoch: number, arm: string): EpochCounts {
  const key = `${epoch} ${arm}`
  const known = sums.get(key)
  if (known) return known
  const counts = { x: 0, atRisk: 0, present: 0, entered: 0, firsts: 0 }
  sums.set(key, counts)
  return counts
}

/** Plays by counts. */
export function playByCounts(random: Random, world: SmallWorld): SmallWorldCounts {
  const { habits, visits, ramp, blocks, base, ratio } = world
  const edges = edgesOf(ramp)
  const population = new Population(random, { habits, visits, edges, metrics: 2 })
  const schedule = new Schedule(ramp)
  const sums = new Map<string, EpochCounts>()
  let epoch = -1
  for (let block = 0; block < blocks; block++) {
    const isNewEpoch = schedule.advance(block)
    if (isNewEpoch) epoch++
    const isTreated = (edge: number) => edge <= schedule.share
    // Nobody is ever hit in the second metric: its risk set is everyone who is present.
    const chances = edges.flatMap((edge) => [isTreated(edge) ? base * ratio : base, 0])
    population.play(block, chances, 1, isNewEpoch)
    for (const [segment, edge] of edges.entries()) {
      const counts = countsIn(sums, epoch, isTreated(edge) ? 't' : 'c')
      counts.x += population.x[2 * segment] ?? 0
      counts.atRisk += population.n[2 * segment] ?? 0
      counts.present += population.n[2 * segment + 1] ?? 0
      counts.entered += population.entered[segment] ?? 0
      counts.firsts += population.firsts[segment] ?? 0
    }
  }
  return sums
}

type Unit = {
  readonly id: string
  readonly bucket: number
  /** When the hit arrives that is on its way; -1: none is. */
  hitAt: number
}

function planAt(stage: number, fingerprint: string): CountingPlan {
  const metric = (key: string): Metric => ({
    key,
    event: key,
    kind: 'error',
    denominator: null,
    unit: 'user',
    goodDirection: 'down',
    cap: null,
    preExposure: false,
  })
  const measurement: Measurement = {
    id: 'r1',
    flag: 'checkout',
    kind: 'rollout',
    by: 'targetingKey',
    stage,
    shards: 1,
    windowMs: (LEAVE_BLOCKS - 1) * BLOCK_MS,
    exposure: 'use',
    metrics: [FAILED, NEVER_SENT].map((key) => ({ metric: key, bounds: [] })),
    slices: [],
  }
  const metrics = [metric(FAILED), metric(NEVER_SENT)]
  return { version: stage, fingerprint, metrics, measurements: [measurement] }
}

function toEvent(unit: Unit, tag: Tag, at: number, kind: 'exposure' | 'measure'): ShardEvent {
  const isExposure = kind === 'exposure'
  return {
    kind,
    name: isExposure ? '' : FAILED,
    flag: isExposure ? 'checkout' : '',
    variant: isExposure ? (tag.arm === 't' ? 'on' : 'off') : '',
    unitKind: 'user',
    unit: unit.id,
    tag,
    trusted: true,
    automatic: false,
    primary: true,
    home: true,
    value: Number.NaN,
    at,
    slices: null,
  }
}

/** The people of a small world, one by one, by the blocks in which something is due. */
class Crowd {
  readonly active = new Set<Unit>()
  private readonly coming = new Map<number, Unit[]>()
  private readonly failing = new Map<number, { readonly unit: Unit; readonly tag: Tag }[]>()
  private readonly random: Random
  private readonly habits: Habits
  private made = 0

  constructor(random: Random, habits: Habits) {
    this.random = random
    this.habits = habits
  }

  make(): Unit {
    const id = `u${(this.made++).toString(36)}`.padEnd(16, '-')
    return { id, bucket: this.random.next(), hitAt: -1 }
  }

  comesAt(unit: Unit, block: number): void {
    const others = this.coming.get(block)
    if (others) others.push(unit)
    else this.coming.set(block, [unit])
  }

  takeComing(block: number): readonly Unit[] {
    const coming = this.coming.get(block) ?? []
    this.coming.delete(block)
    return coming
  }

  failsAt(unit: Unit, tag: Tag, block: number): void {
    unit.hitAt = block
    const others = this.failing.get(block)
    if (others) others.push({ unit, tag })
    else this.failing.set(block, [{ unit, tag }])
  }

  takeFailing(block: number) {
    const failing = this.failing.get(block) ?? []
    this.failing.delete(block)
    return failing
  }

  /** After an exposure: it may have been the last one of the visit. */
  mayLeave(unit: Unit, block: number): void {
    const { random, habits } = this
    if (random.next() >= habits.leaving) return
    this.active.delete(unit)
    if (random.next() < habits.returning) {
      this.comesAt(unit, block + LEAVE_BLOCKS + random.geometric(habits.back))
    }
  }
}

function settle(crowd: Crowd, random: Random, { habits, visits }: SmallWorld): void {
  const active = random.poisson((visits * (1 - habits.leaving)) / habits.leaving)
  const away = random.poisson((visits * habits.returning) / habits.back)
  for (let index = 0; index < active; index++) crowd.active.add(crowd.make())
  for (let index = 0; index < away; index++) crowd.comesAt(crowd.make(), random.geometric(habits.back))
}

/** Sums up the blocks as they closed; where one is left out, the risk sets were as the one before left them. */
function sumUp(counting: Counting, epochs: readonly number[], blocks: number): SmallWorldCounts {
  const sums = new Map<string, EpochCounts>()
  const closed = []
  for (let from = START; from < START + blocks * BLOCK_MS; from += 3_600_000) {
    closed.push(...counting.blocks({ from }).blocks)
  }
  const byPlace = new Map(closed.map((block) => [`${block.start} ${block.stage} ${block.arm}`, block]))
  for (const arm of ['t', 'c']) {
    let [atRisk, present, last] = [0, 0, -1]
    for (let index = 0; index < blocks; index++) {
      const epoch = epochs[index] ?? 0
      if (epoch !== last) [atRisk, present, last] = [0, 0, epoch]
      const counts = countsIn(sums, epoch, arm)
      const block = byPlace.get(`${START + index * BLOCK_MS} ${epoch + 1} ${arm}`)
      const failed = block?.metrics.find(({ metric }) => metric === FAILED)
      const everyone = block?.metrics.find(({ metric }) => metric === NEVER_SENT)
      counts.x += failed?.x ?? 0
      counts.entered += block?.entered ?? 0
      counts.firsts += block?.firsts ?? 0
      counts.atRisk += failed?.n ?? atRisk
      counts.present += everyone?.n ?? present
      atRisk = failed ? failed.n - failed.x : atRisk
      present = everyone?.n ?? present
    }
  }
  return sums
}

/** Plays unit by unit, through the product's counting. */
export function playByUnits(random: Random, world: SmallWorld): SmallWorldCounts {
  const { habits, visits, ramp, blocks, base, ratio } = world
  const crowd = new Crowd(random, habits)
  settle(crowd, random, world)
  const schedule = new Schedule(ramp)
  const counting = new Counting(
    { index: 0 },
    new UnitMemory(),
    { minute: () => undefined, hour: () => undefined },
    undefined,
  )
  const epochs: number[] = []
  let epoch = -1
  for (let block = 0; block < blocks; block++) {
    const start = START + block * BLOCK_MS
    if (schedule.advance(block)) {
      epoch++
      counting.apply({ kind: 'plan', plan: planAt(epoch + 1, `${epoch}`) }, start)
    }
    epochs.push(epoch)
    const tagOf = ({ bucket }: Unit): Tag => {
      return { id: 'r1', stage: epoch + 1, stratum: '1', arm: bucket < schedule.share ? 't' : 'c' }
    }
    const failures = crowd.takeFailing(block)
    // Whoever fails tries again two seconds later, and fails again.
    for (const [delay, isOver] of [
      [1, false],
      [2001, true],
    ] as const) {
      const events = failures.map(({ unit, tag }) => toEvent(unit, tag, start + delay, 'measure'))
      if (events.length > 0) counting.apply({ kind: 'events', events }, start + delay)
      if (isOver) for (const { unit } of failures) unit.hitAt = -1
    }
    const fresh = random.poisson(visits * (1 - habits.returning))
    const coming = [...crowd.takeComing(block), ...Array.from({ length: fresh }, () => crowd.make())]
    for (const unit of coming) {
      crowd.active.add(unit)
      const tag = tagOf(unit)
      const chance = tag.arm === 't' ? base * ratio : base
      if (unit.hitAt < 0 && random.next() < chance) crowd.failsAt(unit, tag, block + drawLag(random))
    }
    const at = start + 5000
    const events = Array.from(crowd.active, (unit) => toEvent(unit, tagOf(unit), at, 'exposure'))
    counting.apply({ kind: 'events', events }, at)
    for (const unit of [...crowd.active]) crowd.mayLeave(unit, block)
  }
  counting.advance(START + blocks * BLOCK_MS)
  return sumUp(counting, epochs, blocks)
}
