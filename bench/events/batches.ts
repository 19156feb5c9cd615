// Batches of events, the same in every run but for their ids.
import { randomBytes } from 'node:crypto'
import { createRandom, type Random } from '../support/random.ts'

export const UNIT_COUNT = 100_000
export const FLAG_COUNT = 20
/** How many of the flags each unit meets. */
const FLAGS_MET = 3

/** What a batch is made of: `new` units have never been seen, all others were exposed before. */
export type Mix = 'mixed' | 'measures' | 'tracks' | 'new'

/** A batch but for its id, which is new each time that it is sent. */
export type Batch = { readonly rest: string }

type Event = { readonly [field: string]: string | number }

export const flagName = (flag: number) => `bench-${String(flag).padStart(2, '0')}`

/** Half of the units of each flag are treated. */
function tagOf(unit: number, flag: number): string {
  return `${flagName(flag)}.0.1.${(unit + flag) % 2 === 0 ? 't' : 'c'}`
}

const variantOf = (unit: number, flag: number) => ((unit + flag) % 2 === 0 ? 'on' : 'off')
const flagsOf = (unit: number) =>
  Array.from({ length: FLAGS_MET }, (_, index) => (unit + index * 7) % FLAG_COUNT)

function exposure(unit: number, name: string, flag: number): Event {
  return {
    kind: 'exposure',
    flag: flagName(flag),
    variant: variantOf(unit, flag),
    unit: name,
    tag: tagOf(unit, flag),
  }
}

const NAMES = ['checkout-completed', 'item-added', 'order-value']

function track(random: Random, name: string): Event {
  const event = random.pick(NAMES)
  return {
    kind: 'track',
    name: event,
    unit: name,
    ...(event === 'order-value' ? { value: random.below(20_000) / 100 } : {}),
  }
}

function measure(random: Random, name: string): Event {
  return random.below(50) === 0
    ? { kind: 'measure', name: 'checkout-error', value: 1, unit: name }
    : { kind: 'measure', name: 'checkout-latency', value: 80 + random.below(900), unit: name }
}

let newcomers = 0

function makeEvent(random: Random, mix: Mix): Event {
  if (mix === 'new') {
    newcomers++
    return exposure(newcomers, `newcomer-${newcomers}-${newcomers % 9973}`, newcomers % FLAG_COUNT)
  }
  const unit = random.below(UNIT_COUNT)
  const name = `customer-${unit}`
  if (mix === 'tracks') return track(random, name)
  if (mix === 'measures') return measure(random, name)
  const kind = random.next()
  if (kind < 0.25) return exposure(unit, name, random.pick(flagsOf(unit)))
  return kind < 0.7 ? track(random, name) : measure(random, name)
}

const toBatch = (events: readonly Event[]): Batch => ({ rest: `","events":${JSON.stringify(events)}}` })

/** Makes batches of a mix. */
export function makeBatches(mix: Mix, count: number, size: number, seed = 1): Batch[] {
  const random = createRandom(seed)
  return Array.from({ length: count }, () =>
    toBatch(Array.from({ length: size }, () => makeEvent(random, mix))),
  )
}

/** Batches in which every unit meets its flags. */
export function makeFirstExposures(size: number): Batch[] {
  const events = Array.from({ length: UNIT_COUNT }, (_, unit) =>
    flagsOf(unit).map((flag) => exposure(unit, `customer-${unit}`, flag)),
  ).flat()
  return Array.from({ length: Math.ceil(events.length / size) }, (_, index) =>
    toBatch(events.slice(index * size, (index + 1) * size)),
  )
}

let random = randomBytes(16_384)
let used = 0

/** A UUIDv7 of now. */
function createId(): string {
  if (used + 10 > random.length) {
    random = randomBytes(16_384)
    used = 0
  }
  const tail = random.subarray(used, used + 10).toString('hex')
  used += 10
  const time = Date.now().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(0, 3)}-a${tail.slice(3, 6)}-${tail.slice(6, 18)}`
}

/** The body of a batch under an id of its own. */
export function toBody({ rest }: Batch): string {
  return `{"id":"${createId()}${rest}`
}

/** The same batches, with events of the last so many hours. */
export function toPastBatches(batches: readonly Batch[], hours: number): Batch[] {
  const random = createRandom(hours)
  return batches.map(({ rest }) => ({
    rest: rest.replaceAll('"kind"', () => {
      const at = Date.now() - random.below(hours * 3_600_000 - 60_000)
      return `"at":${at},"kind"`
    }),
  }))
}
