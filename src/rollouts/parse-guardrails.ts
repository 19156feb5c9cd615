// A plan's guardrails, from unknown JSON, held against the metrics that they watch. Pure.
import { type Metric, unitKindOf } from '../catalog/measurement.ts'
import { MAX_BOUNDS } from '../catalog/measurements.ts'
import { readList, readText } from '../engine/fields.ts'
import { below } from '../engine/problem.ts'
import { BLOCK_MS } from '../telemetry/counting/blocks.ts'
import type { Guardrail, GuardTest } from './plan.ts'
import {
  type Place,
  readChoice,
  readDuration,
  readName,
  readNumber,
  readObject,
  readSwitch,
} from './plan-fields.ts'

export const MAX_GUARDRAILS = 50

/** What is tolerated where nothing is said: a tenth worse. */
export const DEFAULT_TOLERANCE = 0.1
export const DEFAULT_QUANTILE = 0.95
const DEFAULT_LITERAL_WINDOW = '5m'
const MAX_LITERAL_WINDOW_MS = 86_400_000

const FIELDS = [
  'id',
  'metric',
  'test',
  'tolerance',
  'quantile',
  'above',
  'below',
  'literal',
  'window',
  'action',
  'mode',
]
const OF_REGRESSION: readonly string[] = ['tolerance']
const OF_THRESHOLD: readonly string[] = ['above', 'below', 'literal', 'window']

type Form = 'hit' | 'mean' | 'distribution'

/** What a metric comes to: a share of units that are hit, a mean over units, or a distribution of values. */
function formOf({ kind }: Metric): Form {
  if (kind === 'latency' || kind === 'resource') return 'distribution'
  return kind === 'mean' || kind === 'ratio' ? 'mean' : 'hit'
}

function refuse({ from, path, problems }: Place, fields: readonly string[], message: string): void {
  for (const field of fields) {
    if (from[field] !== undefined) problems.add(below(path, field), 'operand', message)
  }
}

function readQuantile(place: Place): number {
  const fits = (quantile: number) => quantile >= 0.01 && quantile <= 0.999
  return readNumber(place, 'quantile', fits, 'from 0.01 to 0.999', DEFAULT_QUANTILE)
}

function parseRegression(place: Place, metric: Metric): GuardTest {
  const { path, problems } = place
  refuse(place, OF_THRESHOLD, 'belongs to a threshold')
  const isLatency = metric.kind === 'latency'
  if (!isLatency) refuse(place, ['quantile'], `is not what a ${metric.kind} is compared by`)
  if (isLatency && metric.goodDirection === 'up') {
    problems.add(below(path, 'test'), 'operand', 'compares latencies of which less is better')
  }
  const isDown = metric.goodDirection === 'down'
  const fits = (tolerance: number) => tolerance >= 0 && (isDown ? tolerance <= 10 : tolerance < 1)
  const demand = isDown ? 'from 0 to 10' : 'from 0 to less than 1'
  return {
    kind: 'regression',
    tolerance: readNumber(place, 'tolerance', fits, demand, DEFAULT_TOLERANCE),
    quantile: isLatency ? readQuantile(place) : null,
  }
}

function readLimit(place: Place, field: 'above' | 'below', form: Form): number {
  const isShare = form === 'hit'
  const fits = (limit: number) => limit > 0 && (isShare ? limit < 1 : Number.isFinite(limit))
  const demand = isShare ? 'a share of units, more than 0 and less than 1' : 'more than 0'
  return readNumber(place, field, fits, demand, 1)
}

function readLiteral(place: Place, form: Form): { readonly windowMs: number } | null {
  const { path, problems } = place
  if (!readSwitch(place, 'literal')) {
    refuse(place, ['window'], 'belongs to a literal threshold')
    return null
  }
  if (form === 'mean') {
    problems.add(below(path, 'literal'), 'operand', 'cannot be asked for of means, which no block holds')
  }
  const windowMs = readDuration(place, 'window', DEFAULT_LITERAL_WINDOW)
  if (windowMs < BLOCK_MS || windowMs > MAX_LITERAL_WINDOW_MS) {
    problems.add(below(path, 'window'), 'limit', 'must be from 10 seconds to a day')
  }
  return { windowMs }
}

function parseThreshold(place: Place, metric: Metric): GuardTest {
  const { from, path, problems } = place
  refuse(place, OF_REGRESSION, 'belongs to a regression')
  const form = formOf(metric)
  const side = from.below === undefined ? 'above' : 'below'
  if ((from.above === undefined) === (from.below === undefined)) {
    problems.add(path, 'type', 'must have exactly one of above, below')
  }
  if (form === 'distribution' && side === 'below') {
    problems.add(below(path, 'below'), 'operand', `is no limit for a ${metric.kind}: give above`)
  }
  if (form !== 'distribution') refuse(place, ['quantile'], `is not what a ${metric.kind} is judged by`)
  const literal = readLiteral(place, form)
  if (form === 'hit' && side === 'below' && !literal) {
    const message =
      'cannot tell hits that are still to come from too few: use a regression, or a literal threshold'
    problems.add(below(path, 'below'), 'operand', message)
  }
  return {
    kind: 'threshold',
    side,
    limit: readLimit(place, side, form),
    quantile: form === 'distribution' ? readQuantile(place) : null,
    literal,
  }
}

/** The metric that is watched; undefined, and a problem, when there is none that counts by the flag's units. */
function findMetric(
  { from, path, problems }: Place,
  metrics: ReadonlyMap<string, Metric>,
  by: string,
): Metric | undefined {
  const key = readText(from, 'metric', path, problems, 100)
  const metric = metrics.get(key)
  const place = below(path, 'metric')
  if (!metric && key !== '') problems.add(place, 'unknown_metric', `there is no metric "${key}"`)
  if (metric && metric.unit !== unitKindOf(by)) {
    const message = `counts by ${metric.unit}, and the flag is given by ${unitKindOf(by)}`
    problems.add(place, 'other_unit', message)
  }
  return metric
}

function parseTest(place: Place, metric: Metric | undefined): GuardTest {
  const { from, path, problems } = place
  if (from.test === undefined) {
    problems.add(below(path, 'test'), 'type', 'must be one of regression, threshold')
  }
  const kind = readChoice(place, 'test', ['regression', 'threshold'], 'regression')
  // What would fit a metric that is not there cannot be said.
  if (!metric) return { kind: 'regression', tolerance: DEFAULT_TOLERANCE, quantile: null }
  return kind === 'regression' ? parseRegression(place, metric) : parseThreshold(place, metric)
}

function parseGuardrail(
  place: Place,
  id: string,
  metrics: ReadonlyMap<string, Metric>,
  by: string,
): Guardrail {
  const metric = findMetric(place, metrics, by)
  return {
    id,
    metric: metric?.key ?? '',
    test: parseTest(place, metric),
    action: readChoice(place, 'action', ['rollback', 'pause', 'notify', 'would-roll-back'], 'rollback'),
    mode: readChoice(place, 'mode', ['immediate', 'gradual', 'partial'], 'immediate'),
  }
}

/** An id for each guardrail: those that are written, then for the others `<metric>-<test>`, with a number where that is taken. */
function nameAll(places: readonly Place[]): readonly string[] {
  const taken = new Set<string>()
  const written = places.map((place) => {
    if (place.from.id === undefined) return undefined
    const id = readName(place, 'id')
    if (taken.has(id)) place.problems.add(below(place.path, 'id'), 'duplicate', 'is used twice')
    taken.add(id)
    return id
  })
  return places.map(({ from }, index) => {
    const own = written[index]
    if (own !== undefined) return own
    const base = `${String(from.metric)}-${String(from.test)}`
    let id = base
    for (let number = 2; taken.has(id); number++) id = `${base}-${number}`
    taken.add(id)
    return id
  })
}

/** The shards compare each observation with a few values. */
function checkBounds(guardrails: readonly Guardrail[], problems: Place['problems']): void {
  const counts = new Map<string, number>()
  for (const [index, { metric, test }] of guardrails.entries()) {
    if (test.quantile === null || metric === '') continue
    const count = (counts.get(metric) ?? 0) + 1
    counts.set(metric, count)
    if (count !== MAX_BOUNDS + 1) continue
    const path = below(below('guardrails', index), 'metric')
    problems.add(path, 'limit', `may be watched by at most ${MAX_BOUNDS} guardrails on quantiles`)
  }
}

/** Reads a plan's guardrails. */
export function parseGuardrails(
  plan: Place,
  metrics: ReadonlyMap<string, Metric>,
  by: string,
): readonly Guardrail[] {
  const { from, path, problems } = plan
  const places = readList(from, 'guardrails', path, problems, MAX_GUARDRAILS).map((entry, index) =>
    readObject(entry, below('guardrails', index), FIELDS, problems),
  )
  const ids = nameAll(places)
  const guardrails = places.map((place, index) => parseGuardrail(place, ids[index] ?? '', metrics, by))
  checkBounds(guardrails, problems)
  return guardrails
}
