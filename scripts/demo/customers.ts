// A small shop's customers: who they are, and how a visit of theirs to the checkout goes.

export type Customer = {
  readonly targetingKey: string
  readonly email: string
  readonly country: string
  readonly orders: number
}

/** How the new checkout is: as good as the old one, or broken for some. */
export type Health = 'fine' | 'worse'

/** What came of one visit. */
export type Visit = {
  readonly completed: boolean
  readonly failed: boolean
  /** What was bought, in euros; 0 when nothing was. */
  readonly total: number
  readonly latencyMs: number
}

const COUNTRIES = ['IE', 'DE', 'FR', 'US', 'GB', 'ES']
const COMPLETES = 0.62
const FAILS = 0.015
const FAILS_WHEN_WORSE = 0.12
const LATENCY_MS = 240
const SLOWER_WHEN_WORSE = 1.6

/** Customer number `index`. */
export function makeCustomer(index: number): Customer {
  const name = `customer-${index}`
  return {
    targetingKey: name,
    email: `${name}@${index % 50 === 0 ? 'shop' : 'mail'}.example`,
    country: COUNTRIES[index % COUNTRIES.length] ?? 'IE',
    orders: index % 17,
  }
}

/** A number around 0 with a deviation of about 1: the sum of twelve dice. */
function noise(random: () => number): number {
  return Array.from({ length: 12 }, random).reduce((sum, one) => sum + one, -6)
}

/** Lets a customer check out by the new checkout or the old one. */
export function visit(isNew: boolean, health: Health, random: () => number): Visit {
  const isWorse = isNew && health === 'worse'
  const failed = random() < (isWorse ? FAILS_WHEN_WORSE : FAILS)
  const completed = !failed && random() < COMPLETES
  return {
    completed,
    failed,
    total: completed ? Math.round(1_500 + 8_000 * random()) / 100 : 0,
    latencyMs: Math.round(LATENCY_MS * Math.exp(0.5 * noise(random)) * (isWorse ? SLOWER_WHEN_WORSE : 1)),
  }
}
