// Values that a condition on an attribute holds for, and values that it does not hold for. They are guessed from
// what the condition compares with, and then sorted by the engine's own matcher.
import type { AttributeCondition, Operator } from '../engine/flag.ts'
import { parseLimit } from '../engine/instant.ts'
import type { Json } from '../engine/json.ts'
import { compileOperator } from '../engine/operators.ts'
import { createPatternExamples } from './pattern-examples.ts'
import type { Random } from './random.ts'

/** What an attribute can be so that a condition holds, or does not; undefined: the context lacks it. */
export type ConditionExamples = {
  readonly condition: AttributeCondition
  readonly met: readonly unknown[]
  readonly unmet: readonly unknown[]
  readonly holds: (value: unknown) => boolean
}

/** How many of a condition's values get examples of their own. */
const MAX_VALUES = 20
const PATTERN_TEXTS = 6
const HOUR = 3_600_000

/** What no condition that asks for something else holds for. */
const OTHERS: readonly unknown[] = [undefined, 'other']

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function around(value: Json): unknown[] {
  if (typeof value === 'boolean') return [value, !value]
  if (typeof value !== 'number') return [value, `${value}-other`]
  return [value, value - 1, value + 1, value / 2, value * 2, -value].filter(Number.isFinite)
}

function aroundInstant(value: Json, now: number): unknown[] {
  const limit = parseLimit(value)?.(now)
  if (limit === undefined) return []
  const instants = [limit, limit - 1, limit + 1, limit - HOUR, limit + HOUR]
  // RFC 3339 knows the years 0 to 9999.
  const written = instants.filter((instant) => Math.abs(instant) < 8e15).map((instant) => new Date(instant))
  return [...instants, ...written.map((date) => date.toISOString())]
}

function aroundVersions(range: Json): unknown[] {
  const found = String(range).match(/\d+(?:\.[\dxX*]+){0,2}(?:-[0-9A-Za-z.-]+)?/g) ?? []
  return ['0.0.1', '1.0.0', ...found.flatMap(aroundVersion)]
}

function aroundVersion(version: string): string[] {
  const [core = '', prerelease] = version.split(/-(.*)/)
  const [major = 0, minor = 0, patch = 0] = core.split('.').map((part) => Number.parseInt(part, 10) || 0)
  const lower = major > 0 ? `${major - 1}.9.9` : `0.${Math.max(0, minor - 1)}.9`
  return [
    `${major}.${minor}.${patch}`,
    ...(prerelease === undefined ? [] : [`${major}.${minor}.${patch}-${prerelease}`, `${version}.0`]),
    `${major}.${minor}.${patch}-0`,
    `${major}.${minor}.${patch + 1}`,
    `${major}.${minor}.${patch + 1}-0`,
    `${major}.${minor + 1}.0`,
    `${major}.${minor + 1}.0-0`,
    `${major + 1}.0.0`,
    `${major + 1}.0.0-0`,
    lower,
    ...(patch > 0 ? [`${major}.${minor}.${patch - 1}`] : []),
  ]
}

type Guess = (values: readonly Json[], now: number, random: Random) => readonly unknown[]

const guessScalars: Guess = (values) => values.flatMap(around)
const guessNumbers: Guess = (values) => [
  ...values.flatMap(around),
  ...(values.length === 2 ? [(Number(values[0]) + Number(values[1])) / 2] : []),
]
const guessTexts: Guess = (values) =>
  values.filter(isText).flatMap((text) => [text, `${text}x`, `x${text}`, `x${text}x`])
const guessInstants: Guess = (values, now) => values.flatMap((value) => aroundInstant(value, now))

const GUESSES = {
  equals: guessScalars,
  in: guessScalars,
  contains: guessTexts,
  'starts-with': guessTexts,
  'ends-with': guessTexts,
  matches: (values, _now, random) =>
    values.filter(isText).flatMap((pattern) => createPatternExamples(pattern, PATTERN_TEXTS, random)),
  exists: () => ['something'],
  less: guessNumbers,
  'less-or-equal': guessNumbers,
  greater: guessNumbers,
  'greater-or-equal': guessNumbers,
  between: guessNumbers,
  semver: (values) => values.flatMap(aroundVersions),
  before: guessInstants,
  after: guessInstants,
  cidr: (values) => [
    '192.0.2.1',
    '2001:db8::1',
    ...values.filter(isText).map((network) => network.replace(/\/.*/, '')),
  ],
  'contains-any': (values) => [['other'], ...values.flatMap((value) => [[value], ['other', value]])],
  'contains-all': (values) => [values, [...values, 'other'], values.slice(1)],
} satisfies { [operator in Operator]: Guess }

/** Some of a list, from its beginning to its end. */
function someOf<T>(list: readonly T[], count: number): readonly T[] {
  if (list.length <= count) return list
  return Array.from({ length: count }, (_, index) => list[Math.floor((index * list.length) / count)]).filter(
    (value) => value !== undefined,
  )
}

/** Makes the test of one value for a condition; nothing holds for one that the engine refuses. */
function createTest({ op, values }: AttributeCondition, now: number): (value: unknown) => boolean {
  const compiled = compileOperator(op, values)
  if (!compiled.ok) return () => false
  let actual: unknown
  const matches = compiled.value(() => actual)
  return (value) => {
    actual = value
    return matches({}, now)
  }
}

/** Makes examples for one condition; `met` is empty where none was found. */
export function createExamples(
  condition: AttributeCondition,
  now: number,
  random: Random,
): ConditionExamples {
  const { op, values } = condition
  const holds = createTest(condition, now)
  // A list has to hold all values of this one.
  const used = op === 'contains-all' ? values : someOf(values, MAX_VALUES)
  const guesses = Map.groupBy([...GUESSES[op](used, now, random), ...OTHERS], holds)
  return { condition, met: guesses.get(true) ?? [], unmet: guesses.get(false) ?? [], holds }
}

type Wish = { readonly examples: ConditionExamples; readonly wanted: boolean }

function valuesOf(wishes: readonly Wish[], operators: readonly Operator[]): readonly Json[] {
  return wishes.flatMap(({ examples: { condition }, wanted }) =>
    wanted && operators.includes(condition.op) ? condition.values : [],
  )
}

/** Values that can do for several conditions at once where no single one's examples do. */
function compose(candidates: readonly unknown[], wishes: readonly Wish[]): unknown[] {
  const numbers = candidates.filter((value) => typeof value === 'number').sort((a, b) => a - b)
  const between = numbers.slice(1).map((number, index) => (number + (numbers[index] ?? number)) / 2)
  const parts = (operator: Operator) => valuesOf(wishes, [operator]).filter(isText)
  const middle = parts('contains').join('')
  const ends = parts('ends-with')
  const texts = [...parts('starts-with'), ''].flatMap((start) =>
    [...ends, ''].map((end) => `${start}${middle}${end}`),
  )
  return [...between, ...texts, valuesOf(wishes, ['contains-any', 'contains-all'])]
}

function narrow(candidates: readonly unknown[], wishes: readonly Wish[]) {
  let left = candidates
  let granted = true
  for (const { examples, wanted } of wishes) {
    const next = left.filter((value) => examples.holds(value) === wanted)
    if (next.length > 0) left = next
    else granted = false
  }
  return { left, granted }
}

/** Picks a value for which each condition holds, or does not, as is wished; the first wishes go first. */
export function pickValue(wishes: readonly Wish[], random: Random): unknown {
  const candidates = wishes.flatMap(({ examples, wanted }) => (wanted ? examples.met : examples.unmet))
  if (wishes.length === 1) return random.pick(candidates)
  const { left, granted } = narrow(candidates, wishes)
  return random.pick(granted ? left : narrow([...candidates, ...compose(candidates, wishes)], wishes).left)
}
