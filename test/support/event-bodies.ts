// Bodies for `POST /v1/events` as nobody would send them on purpose: valid ones with something done to them. The same
// seed makes the same bodies.

/** Numbers from 0 to below 1 (mulberry32). */
export type Random = () => number

export function createRandom(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}

function pick<T>(random: Random, from: readonly [T, ...T[]]): T {
  return from[below(random, from.length)] ?? from[0]
}

const LONG = 'x'.repeat(10_240)
const DEEP = `${'['.repeat(3_000)}${']'.repeat(3_000)}`

/** What is put in place of something else, as JSON text. */
const ODD_TEXTS: readonly [string, ...string[]] = [
  'null',
  'true',
  '0',
  '-0',
  '-1',
  '1e308',
  '1e999',
  '-1e999',
  '9007199254740993',
  '1e15',
  '1.0000001e15',
  'NaN',
  'Infinity',
  'undefined',
  '""',
  '" "',
  '"NaN"',
  '"\\ud800"',
  '"\\u0000"',
  '"__proto__"',
  '"constructor"',
  `"${LONG}"`,
  '[]',
  '{}',
  '[[[]]]',
  DEEP,
  '{"__proto__":{"kind":"track"}}',
  '{"user":"ada","company":7}',
  '{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}',
  '{"targetingKey":"ada","user":"bob"}',
  '"2026-02-30T00:00:00Z"',
  '"2026-11-21T00:00:00.123456789+23:59"',
  '"exposure"',
  '"track"',
  '"measure"',
  '"r1.0.1.t"',
  '"r1.0.1.t.82000.AAAAAAAAAAAAAAAAAAAAAA"',
]

const ODD_KEYS: readonly [string, ...string[]] = [
  '__proto__',
  'constructor',
  'kind',
  'unit',
  'value',
  'at',
  'events',
  'id',
  '',
]

/** A valid event, all of whose parts vary. */
function makeEvent(random: Random, now: number): object {
  const unit = pick<unknown>(random, ['ada', 42, { user: 'ada', company: 7 }, `user-${below(random, 1_000)}`])
  const tag = pick(random, [undefined, 'r1.0.1.t', 'r2.3.k.c'])
  const at = pick(random, [undefined, now - below(random, 1e8), new Date(now - 1_000).toISOString()])
  const flag = `flag-${below(random, 5)}`
  switch (below(random, 3)) {
    case 0:
      return { kind: 'exposure', flag, variant: 'on', unit, tag, at, attributes: { plan: 'pro', n: 1 } }
    case 1:
      return { kind: 'track', name: `event-${below(random, 5)}`, unit, tag, at, value: random() }
    default:
      return { kind: 'measure', name: 'load', value: below(random, 1_000), flag, variant: 'on', unit, at }
  }
}

/** How many events a body has: mostly few, now and then as many as are allowed or more. */
function howMany(random: Random): number {
  const roll = random()
  return roll < 0.95 ? 1 + below(random, 6) : roll < 0.9995 ? 100 : 4_999 + below(random, 3)
}

/** Where values begin and end in a JSON text: after each colon and comma outside of texts. */
function valueSpans(text: string): (readonly [number, number])[] {
  return [...text.matchAll(/[:[,]("(?:[^"\\]|\\.)*"|-?[\d.e+]+|null|\{[^{}]*\})/g)].map(
    ({ index, 0: whole }) => [index + 1, index + whole.length] as const,
  )
}

/** Does one thing to a text. */
function mutate(text: string, random: Random): string {
  const at = below(random, text.length)
  switch (below(random, 8)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1 + below(random, 20))
    case 1:
      return text.slice(0, at)
    case 2:
      return text.slice(0, at) + String.fromCharCode(below(random, 0x250)) + text.slice(at)
    case 3:
      return text.replace('{', `{"${pick(random, ODD_KEYS)}":${pick(random, ODD_TEXTS)},`)
    case 4:
      return text.replaceAll(`"${pick(random, ODD_KEYS)}"`, `"${pick(random, ODD_KEYS)}"`)
    default: {
      const spans = valueSpans(text.slice(0, 4_096))
      const [start, end] = spans[below(random, spans.length)] ?? [at, at]
      return text.slice(0, start) + pick(random, ODD_TEXTS) + text.slice(end)
    }
  }
}

/** A body with up to three things done to it. */
export function makeOddBody(random: Random, id: string, now: number): string {
  const events = Array.from({ length: howMany(random) }, () => makeEvent(random, now))
  let text = JSON.stringify({ id, events })
  for (let times = below(random, 4); times > 0 && text.length > 0; times--) text = mutate(text, random)
  return text
}

/** Spoils some bytes, as a broken line does. */
export function spoil(bytes: Uint8Array, random: Random): Uint8Array {
  const spoiled = bytes.slice(0, random() < 0.3 ? below(random, bytes.length + 1) : bytes.length)
  for (let times = below(random, 4); times > 0 && spoiled.length > 0; times--) {
    spoiled[below(random, spoiled.length)] = below(random, 256)
  }
  return spoiled
}
