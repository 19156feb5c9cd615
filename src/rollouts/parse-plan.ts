// From a plan as people write it to one that can be carried out: everything that it names exists, percentages rise
// within each audience, every guardrail fits its metric. Pure; plan-draft.ts has the form, docs/rollout-plans.md the words.
import { DEFAULT_WINDOW_MS, type Metric } from '../catalog/measurement.ts'
import { MAX_SLICES } from '../catalog/measurements.ts'
import { readList, readText, readTexts } from '../engine/fields.ts'
import { DEFAULT_UNIT, type FlagDefinition } from '../engine/flag.ts'
import { below, type Problem, Problems } from '../engine/problem.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { isInstant } from '../http/instant.ts'
import { isTimeZone } from './advance-windows.ts'
import { durationText } from './durations.ts'
import { parseGuardrails } from './parse-guardrails.ts'
import { parseStages } from './parse-stages.ts'
import type { AdvanceWindow, Plan, SignalRule } from './plan.ts'
import {
  type Place,
  readChoice,
  readDuration,
  readName,
  readNumber,
  readObject,
  readSwitch,
} from './plan-fields.ts'

/** What a plan is held against. */
export type PlanGround = {
  readonly flag: FlagDefinition
  readonly segments: ReadonlySet<string>
  readonly metrics: ReadonlyMap<string, Metric>
  /** Ids of the environment's other rollouts. */
  readonly rollouts: ReadonlySet<string>
}

export const DEFAULT_ALPHA = 0.01
/** Of a gradual rollback, where nothing is said. */
export const DEFAULT_STEPS: readonly number[] = [50, 25, 0]
const DEFAULT_STEP_HOLD = '10m'
/** Hourly for a week, four times a day for three more, daily for two months. */
const DEFAULT_WATCH = [
  { for: '7d', every: '1h' },
  { for: '21d', every: '6h' },
  { for: '60d', every: '24h' },
]

const MAX_STEPS = 20
const MAX_WATCHES = 10
const MIN_EVERY_MS = 60_000
const MAX_SIGNALS = 20
const MAX_WINDOWS = 20
const MAX_AFTER = 20
const MIN_WINDOW_MS = 60_000
const MAX_WINDOW_MS = 86_400_000

const FIELDS = [
  'flag',
  'environment',
  'variant',
  'by',
  'stages',
  'alpha',
  'guardrails',
  'rollback',
  'advanceWhen',
  'whenTooFew',
  'exposure',
  'window',
  'watch',
  'signals',
  'startAt',
  'windows',
  'after',
  'slices',
  'takeOver',
]

function readFlag({ from, path, problems }: Place, { key }: FlagDefinition): string {
  const flag = readText(from, 'flag', path, problems, 200)
  if (flag !== '' && flag !== key) problems.add('flag', 'unknown_flag', `there is no flag "${flag}" here`)
  return flag
}

function readVariant({ from, path, problems }: Place, { variants }: FlagDefinition): string {
  const variant = readText(from, 'variant', path, problems, 200)
  if (variant !== '' && !variants.some(({ name }) => name === variant)) {
    problems.add('variant', 'unknown_variant', `the flag has no variant "${variant}"`)
  }
  return variant
}

function parseSteps({ from, path, problems }: Place): readonly number[] {
  if (from.steps === undefined) return DEFAULT_STEPS
  const list = readList(from, 'steps', path, problems, MAX_STEPS)
  const place = below(path, 'steps')
  const steps: number[] = []
  for (const [index, step] of list.entries()) {
    const last = steps.at(-1) ?? 100
    if (typeof step !== 'number' || !(step >= 0 && step < 100)) {
      problems.add(below(place, index), 'type', 'must be a number from 0 to less than 100')
    } else if (step >= last) problems.add(below(place, index), 'order', 'must be below the step before')
    steps.push(typeof step === 'number' ? step : 0)
  }
  if (steps.at(-1) !== 0) problems.add(place, 'order', 'must end in 0')
  return steps
}

function parseRollback({ from, problems }: Place): Plan['rollback'] {
  const place = readObject(from.rollback ?? {}, 'rollback', ['steps', 'hold'], problems)
  return { steps: parseSteps(place), holdMs: readDuration(place, 'hold', DEFAULT_STEP_HOLD) }
}

function parseWatch({ from, path, problems }: Place): Plan['watch'] {
  const draft = from.watch === undefined ? { watch: DEFAULT_WATCH } : from
  return readList(draft, 'watch', path, problems, MAX_WATCHES).map((entry, index) => {
    const place = readObject(entry, below('watch', index), ['for', 'every'], problems)
    const forMs = readDuration(place, 'for')
    const everyMs = readDuration(place, 'every')
    if (everyMs < MIN_EVERY_MS) problems.add(below(place.path, 'every'), 'limit', 'must be at least a minute')
    if (forMs < everyMs) {
      problems.add(below(place.path, 'for'), 'order', `must be at least ${durationText(everyMs)}, one look`)
    }
    return { forMs, everyMs }
  })
}

function parseSignals({ from, path, problems }: Place): readonly SignalRule[] {
  const seen = new Set<string>()
  return readList(from, 'signals', path, problems, MAX_SIGNALS).map((entry, index) => {
    const place = readObject(entry, below('signals', index), ['kind', 'action', 'mode'], problems)
    const kind = readName(place, 'kind')
    if (seen.has(kind)) problems.add(below(place.path, 'kind'), 'duplicate', 'is used twice')
    seen.add(kind)
    return {
      kind,
      action: readChoice(place, 'action', ['rollback', 'hold'], 'rollback'),
      mode: readChoice(place, 'mode', ['immediate', 'gradual'], 'immediate'),
    }
  })
}

/** An hour of the day, `09:30`, as minutes. */
function readHour({ from, path, problems }: Place, field: string, latest: number): number {
  const value = from[field]
  const [, hours, minutes] = (typeof value === 'string' ? /^(\d\d):([0-5]\d)$/.exec(value) : null) ?? []
  const minute = Number(hours) * 60 + Number(minutes)
  if (minute <= latest) return minute
  problems.add(below(path, field), 'type', 'must be an hour of the day such as "09:30"')
  return -1
}

function parseDays({ from, path, problems }: Place): readonly number[] {
  if (from.days === undefined) return [1, 2, 3, 4, 5, 6, 7]
  const place = below(path, 'days')
  const days = new Set<number>()
  for (const [index, day] of readList(from, 'days', path, problems, 7).entries()) {
    if (typeof day !== 'number' || !Number.isInteger(day) || day < 1 || day > 7) {
      problems.add(below(place, index), 'type', 'must be a day of the week, from 1 (Monday) to 7')
    } else if (days.has(day)) problems.add(below(place, index), 'duplicate', 'is used twice')
    else days.add(day)
  }
  if (days.size === 0) problems.add(place, 'limit', 'must have at least one entry')
  return [...days].sort((a, b) => a - b)
}

function parseWindow(value: unknown, path: string, problems: Problems): AdvanceWindow {
  const place = readObject(value, path, ['days', 'from', 'to', 'timeZone'], problems)
  const { from: draft } = place
  const from = readHour(place, 'from', 23 * 60 + 59)
  const to = readHour(place, 'to', 24 * 60)
  if (from === to && from >= 0) problems.add(below(path, 'to'), 'order', 'must be another hour than from')
  const timeZone = draft.timeZone === undefined ? 'UTC' : readText(draft, 'timeZone', path, problems, 100)
  if (timeZone !== '' && !isTimeZone(timeZone)) {
    problems.add(below(path, 'timeZone'), 'type', 'must be a time zone such as "Europe/Dublin"')
  }
  return { days: parseDays(place), from, to, timeZone }
}

function parseStart({ from, problems }: Place): number | null {
  const { startAt } = from
  if (startAt === undefined || startAt === null) return null
  if (typeof startAt === 'string' && isInstant(startAt)) return Date.parse(startAt)
  problems.add('startAt', 'type', 'must be an instant with its offset, such as "2026-03-02T09:00:00Z"')
  return null
}

function readDistinct({ from, path, problems }: Place, field: string, maximum: number): readonly string[] {
  const texts = readTexts(from, field, path, problems, maximum)
  for (const [index, text] of texts.entries()) {
    if (texts.indexOf(text) < index) {
      problems.add(below(below(path, field), index), 'duplicate', 'is used twice')
    }
  }
  return texts
}

function parseAfter(place: Place, rollouts: ReadonlySet<string>): readonly string[] {
  const after = readDistinct(place, 'after', MAX_AFTER)
  for (const [index, id] of after.entries()) {
    if (rollouts.has(id)) continue
    place.problems.add(below('after', index), 'unknown_rollout', `there is no rollout "${id}" here`)
  }
  return after
}

function readWindow(place: Place): number {
  if (place.from.window === undefined) return DEFAULT_WINDOW_MS
  const windowMs = readDuration(place, 'window')
  if (windowMs < MIN_WINDOW_MS || windowMs > MAX_WINDOW_MS) {
    place.problems.add('window', 'limit', 'must be from a minute to a day')
  }
  return windowMs
}

function readPlan(place: Place, ground: PlanGround): Plan {
  const { from, path, problems } = place
  const by = from.by === undefined ? DEFAULT_UNIT : readText(from, 'by', path, problems, 500)
  const isShare = (alpha: number) => alpha > 0 && alpha < 0.5
  return {
    flag: readFlag(place, ground.flag),
    environment: readText(from, 'environment', path, problems, 100),
    variant: readVariant(place, ground.flag),
    by,
    stages: parseStages(place, ground.segments),
    alpha: readNumber(place, 'alpha', isShare, 'more than 0 and less than 0.5', DEFAULT_ALPHA),
    guardrails: parseGuardrails(place, ground.metrics, by),
    rollback: parseRollback(place),
    advanceWhen: readChoice(place, 'advanceWhen', ['clock', 'shown-safe'], 'clock'),
    whenTooFew: readChoice(place, 'whenTooFew', ['hold', 'extend', 'advance', 'rollback'], 'hold'),
    exposure: readChoice(place, 'exposure', ['use', 'assignment'], 'use'),
    windowMs: readWindow(place),
    watch: parseWatch(place),
    signals: parseSignals(place),
    startAt: parseStart(place),
    windows: readList(from, 'windows', path, problems, MAX_WINDOWS).map((entry, index) =>
      parseWindow(entry, below('windows', index), problems),
    ),
    after: parseAfter(place, ground.rollouts),
    slices: readDistinct(place, 'slices', MAX_SLICES),
    takeOver: readSwitch(place, 'takeOver'),
  }
}

/** Reads a plan as people write it; every problem with its path. */
export function parsePlan(draft: unknown, ground: PlanGround): Result<Plan, readonly Problem[]> {
  const problems = new Problems()
  const plan = readPlan(readObject(draft, '', FIELDS, problems), ground)
  if (plan.advanceWhen === 'shown-safe' && plan.guardrails.length === 0 && problems.found.length === 0) {
    problems.add('advanceWhen', 'operand', 'needs guardrails that can show that it is safe')
  }
  return problems.found.length === 0 ? ok(plan) : err(problems.found)
}
