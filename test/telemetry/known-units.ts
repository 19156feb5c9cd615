// Ten thousand units whose every deed is known, and what counting them must come to: worked out here from the list of
// deeds alone, by going through it again for every question.

export const UNITS = 10_000
export const BLOCKS = 48
/** The block at whose beginning the second stage begins. */
export const STAGE_BLOCK = 24
/** In blocks. */
export const WINDOW = 12
export const BOUND_MS = 700
/** How long before its telling something happened that was before the unit's exposure; in milliseconds. */
const LONG_BEFORE = 3 * 3_600_000

export const METRICS = ['purchase', 'failure', 'duration', 'revenue'] as const
export type MetricName = (typeof METRICS)[number]

type Deed = {
  readonly block: number
  readonly unit: number
  readonly name: 'exposure' | MetricName
  readonly value?: number
  /** Of an exposure and of what carries a tag: the stage in it. */
  readonly stage?: number
  /** How long before its arrival it happened, in milliseconds. */
  readonly age?: number
}

/** Internal people are in both grants, so that they are a stratum of their own, served to all of them. */
export const isInternal = (unit: number) => unit % 20 === 7
export const stratumOf = (unit: number) => (isInternal(unit) ? '3' : '2')

/** A tenth of the public is treated in the first stage and half in the second. */
export function armOf(unit: number, stage: number): 't' | 'c' {
  if (isInternal(unit)) return 't'
  return (unit * 37) % 100 < (stage === 0 ? 10 : 50) ? 't' : 'c'
}

function deedsOf(unit: number): Deed[] {
  const deeds: Deed[] = []
  const first = unit % 20
  deeds.push({ block: first, unit, name: 'exposure', stage: 0 })
  // Some come back within the window, some after it.
  if (unit % 3 === 0) deeds.push({ block: first + 2 + (unit % 5), unit, name: 'exposure', stage: 0 })
  if (unit % 2 === 0 || unit % 3 === 0)
    deeds.push({ block: STAGE_BLOCK + (unit % 7), unit, name: 'exposure', stage: 1 })
  if (unit % 14 === 0) deeds.push({ block: STAGE_BLOCK + 16 + (unit % 3), unit, name: 'exposure', stage: 1 })
  // Failures lag behind, across the stages too; every other one comes twice, and a tenth of them carry no tag.
  if (unit % 23 === 0) {
    const block = first + 1 + (unit % 11)
    const tag = unit % 10 === 0 ? {} : { stage: 0 }
    deeds.push({ block, unit, name: 'failure', value: 1, ...tag })
    if (unit % 46 === 0) deeds.push({ block: block + 1, unit, name: 'failure', value: 1, ...tag })
  }
  if (unit % 29 === 0)
    deeds.push({ block: STAGE_BLOCK + 8 + (unit % 9), unit, name: 'failure', value: 1, stage: 1 })
  if (unit % 5 === 0) {
    deeds.push({ block: first + 3, unit, name: 'purchase' })
    deeds.push({ block: first + 3, unit, name: 'revenue', value: 5 + (unit % 95) })
  }
  // Bought again, and told late: how long ago is the reports' business, not the guards'.
  if (unit % 40 === 0) deeds.push({ block: first + 20, unit, name: 'revenue', value: 3, age: 60_000 })
  deeds.push({ block: first, unit, name: 'duration', value: 50 + ((unit * 7919) % 1000), stage: 0 })
  // From before the unit was exposed: of no arm.
  if (unit % 101 === 0) deeds.push({ block: first + 1, unit, name: 'purchase', age: LONG_BEFORE })
  return deeds
}

/** All deeds in the order in which they are told: block by block, exposures first. */
export const DEEDS: readonly Deed[] = Array.from({ length: UNITS }, (_, unit) => deedsOf(unit))
  .flat()
  .sort(
    (a, b) =>
      a.block - b.block || Number(b.name === 'exposure') - Number(a.name === 'exposure') || a.unit - b.unit,
  )

const stageAt = (block: number) => (block < STAGE_BLOCK ? 0 : 1)

const deedsByUnit: readonly (readonly Deed[])[] = Array.from({ length: UNITS }, (_, unit) =>
  DEEDS.filter((deed) => deed.unit === unit),
)

/** The exposures of a unit that count for guards up to a block: those under the tag of the stage that was on. */
function current(unit: number, block: number): readonly Deed[] {
  const stage = stageAt(block)
  return (deedsByUnit[unit] ?? []).filter(
    (deed) =>
      deed.name === 'exposure' &&
      deed.block <= block &&
      deed.stage === stage &&
      stageAt(deed.block) === stage,
  )
}

/** Whether a unit had been exposed in the stage that is on, within the window: a block leaves with its window's end. */
function isAtRisk(unit: number, block: number): boolean {
  return current(unit, block).some((exposure) => block - exposure.block <= WINDOW)
}

/** The block in which a unit is hit; undefined: never. */
function hitBlock(unit: number, metric: 'purchase' | 'failure'): number | undefined {
  const hit = (deedsByUnit[unit] ?? []).find(
    ({ name, block, stage, age = 0 }) =>
      name === metric &&
      age < LONG_BEFORE &&
      isAtRisk(unit, block) &&
      (stage === undefined || stage === stageAt(block)),
  )
  return hit?.block
}

/** One arm of one block, as guards see it. */
export type ExpectedBlock = {
  readonly firsts: number
  readonly entered: number
  readonly live: number
  readonly firstLive: number
  readonly purchase: { readonly x: number; readonly n: number }
  readonly failure: { readonly x: number; readonly n: number }
  readonly duration: { readonly n: number; readonly observations: number; readonly above: number }
}

const count = (units: readonly number[], holds: (unit: number) => boolean) => units.filter(holds).length

/** Whether anything came of a unit in a block that shows that the application is alive. */
function isLive(unit: number, block: number): boolean {
  if (current(unit, block).length === 0) return false
  return (deedsByUnit[unit] ?? []).some(
    (deed) => deed.block === block && (deed.stage === undefined || deed.stage === stageAt(block)),
  )
}

/** What the units of an arm come to in a block. */
export function expectBlock(units: readonly number[], block: number): ExpectedBlock {
  const begun = stageAt(block) === 0 ? 0 : STAGE_BLOCK
  const earlier = Array.from({ length: block - begun }, (_, index) => begun + index)
  const hits = (metric: 'purchase' | 'failure') => {
    const x = count(units, (unit) => hitBlock(unit, metric) === block)
    const left = count(units, (unit) => isAtRisk(unit, block) && (hitBlock(unit, metric) ?? BLOCKS) > block)
    return { x, n: left + x }
  }
  const observed = units.filter((unit) =>
    (deedsByUnit[unit] ?? []).some(
      (deed) => deed.name === 'duration' && deed.block === block && isAtRisk(unit, block),
    ),
  )
  return {
    firsts: count(
      units,
      (unit) => deedsByUnit[unit]?.find(({ name }) => name === 'exposure')?.block === block,
    ),
    entered: count(units, (unit) => current(unit, block)[0]?.block === block),
    live: count(units, (unit) => isLive(unit, block)),
    firstLive: count(units, (unit) => isLive(unit, block) && !earlier.some((one) => isLive(unit, one))),
    purchase: hits('purchase'),
    failure: hits('failure'),
    duration: {
      n: count(units, (unit) => isAtRisk(unit, block)),
      observations: observed.length,
      above: count(observed, (unit) => durationOf(unit) > BOUND_MS),
    },
  }
}

/** How long a unit's only request took. */
export function durationOf(unit: number): number {
  return deedsByUnit[unit]?.find(({ name }) => name === 'duration')?.value ?? Number.NaN
}

/** The block in which a unit moves to the second stage; undefined: never. */
function movesIn(unit: number): number | undefined {
  return deedsByUnit[unit]?.find(({ name, stage }) => name === 'exposure' && stage === 1)?.block
}

/** The units whose totals are in an arm of a stage. */
export function unitsOf(stage: number, stratum: string, arm: string): number[] {
  const all = Array.from({ length: UNITS }, (_, unit) => unit)
  return all.filter(
    (unit) =>
      stratumOf(unit) === stratum &&
      armOf(unit, stage) === arm &&
      (stage === 0 || movesIn(unit) !== undefined),
  )
}

/** A unit's events of a metric in a stage: what was told before it moved is the first's, all else the second's. */
export function eventsOf(unit: number, stage: number, metric: MetricName): readonly Deed[] {
  const moved = movesIn(unit) ?? BLOCKS
  return (deedsByUnit[unit] ?? []).filter(
    ({ name, block, age = 0 }) =>
      // What happened hours before the exposure is of no arm.
      name === metric && age < LONG_BEFORE && (block < moved ? 0 : 1) === stage,
  )
}

/** Hits told in a block under the tag of another stage: of units that had not been hit by then. */
export function expectIgnored(block: number): number {
  const late = DEEDS.filter(
    ({ name, block: told, stage }) =>
      name === 'failure' && told === block && stage !== undefined && stage !== stageAt(block),
  )
  return late.filter(({ unit }) => (hitBlock(unit, 'failure') ?? BLOCKS) > block).length
}
