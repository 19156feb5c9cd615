import { createRandom } from './random.ts'

/** Whom the flags are evaluated for. */
export type User = {
  readonly id: string
  readonly customer: string
  readonly seats: number
  readonly appVersion: string
  readonly email: string
  readonly country: string
}

/** The countries that the segment of the rules contains; all random users are from one of them. */
export const COUNTRIES: readonly string[] = [
  'AT',
  'BE',
  'CH',
  'DE',
  'DK',
  'ES',
  'FR',
  'IT',
  'NL',
  'NO',
  'PL',
  'SE',
]

const NAMES = ['ada', 'grace', 'linus', 'margaret', 'niklaus', 'barbara', 'edsger', 'frances']

/** Makes users that fall through all rules but the one for the country. */
export function makeUsers(count: number): User[] {
  const random = createRandom(2)
  const users = Array.from({ length: count }, (): User => {
    const version = `${1 + random.below(4)}.${random.below(30)}.${random.below(10)}`
    return {
      id: random.uuid(),
      customer: `customer-${10_000 + random.below(90_000)}`,
      seats: 1 + random.below(50),
      appVersion: version,
      email: `${random.pick(NAMES)}.${random.below(100_000)}@example.com`,
      country: random.pick(COUNTRIES),
    }
  })
  return asParsed(users)
}

/** The value as it comes out of a request's body: texts flat in memory, objects of one shape. */
export function asParsed<T>(value: T): T {
  return JSON.parse(JSON.stringify(value))
}
