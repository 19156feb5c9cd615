// What the same work costs when it is written out by hand: no flags that can change, no reasons, no errors.
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import { type RulesFlag, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES, type User } from '../support/users.ts'

function murmur3(text: string): number {
  const length = text.length
  const whole = length & ~3
  let h = 0
  let k = 0
  for (let i = 0; i < whole; i += 4) {
    k =
      text.charCodeAt(i) |
      (text.charCodeAt(i + 1) << 8) |
      (text.charCodeAt(i + 2) << 16) |
      (text.charCodeAt(i + 3) << 24)
    k = Math.imul(k, 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  k = 0
  for (let i = length - 1; i >= whole; i--) k = (k << 8) | text.charCodeAt(i)
  k = Math.imul(k, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  h ^= Math.imul(k, 0x1b873593)
  h ^= length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** `major.minor.patch` of small numbers as one number that orders alike. */
function toVersionNumber(version: string): number {
  let total = 0
  let part = 0
  for (let i = 0; i < version.length; i++) {
    const code = version.charCodeAt(i)
    if (code === 0x2e) {
      total = (total + part) * 1_000
      part = 0
    } else part = part * 10 + code - 0x30
  }
  return total + part
}

type Check = (user: User) => string

function writeHalf(seed: string): (user: User) => boolean {
  return (user) => murmur3(`${seed}:${user.id}`) < 0x8000_0000
}

function writeRules({ key, customers, seatsAbove, versionFrom, emailPrefix }: RulesFlag): Check {
  const listed = new Set(customers)
  const countries = new Set(COUNTRIES)
  const lowest = toVersionNumber(versionFrom)
  return (user) => {
    if (listed.has(user.customer)) return 'rule-1'
    if (user.seats > seatsAbove) return 'rule-2'
    if (toVersionNumber(user.appVersion) >= lowest) return 'rule-3'
    if (user.email.startsWith(emailPrefix)) return 'rule-4'
    if (!countries.has(user.country)) return 'none'
    return SPLIT_VARIANTS[murmur3(`${key}:${user.id}`) >>> 30] ?? 'none'
  }
}

/** The hand-written floor. */
export const createFloor: CreateContender = (flags, users) => {
  const userOf = createContexts(users, (user) => user)
  const halves = new Map(flags.halves.map(({ key }) => [key, writeHalf(key)]))
  const rules = new Map(flags.rules.map((flag) => [flag.key, writeRules(flag)]))
  const checks = [...halves.values(), ...rules.values()]
  return toContender({
    name: 'floor (by hand)',
    half: (key, user) => halves.get(key)?.(userOf(user)),
    rules: (key, user) => rules.get(key)?.(userOf(user)),
    all: (user) => {
      const values: (boolean | string)[] = []
      for (const check of checks) values.push(check(userOf(user)))
      return values
    },
    readHalf: (value) => value,
    readRules: (variant) => variant,
    countAll: (values) => values.length,
  })
}
