// A plan's stages, from unknown JSON. Pure.
import { canonicalJson } from '../catalog/difference.ts'
import { unknownFields } from '../catalog/unknown-fields.ts'
import { readList, readText } from '../engine/fields.ts'
import type { Condition } from '../engine/flag.ts'
import { parseCondition } from '../engine/parse-condition.ts'
import { isPercentage } from '../engine/parse-flag.ts'
import { below, type Problems } from '../engine/problem.ts'
import type { Gate, Stage } from './plan.ts'
import { type Place, readDuration, readName, readNumber, readObject, readSwitch } from './plan-fields.ts'

export const MAX_STAGES = 60
export const MAX_AUDIENCES = 30
/** Of all audiences together, as JSON; where some are taken back, each grant names them too. */
const MAX_AUDIENCE_CHARACTERS = 32_000
const MAX_GATES = 20
const MAX_UNITS = 1_000_000_000

const STAGE_FIELDS = ['name', 'audience', 'percentage', 'hold', 'minUnits', 'approval', 'gates']

/** Where an audience that is taken back stands in a grant: `all[1].not`. */
const DEPTH_OF_GRANTS = 2

function checkSegments(
  condition: Condition,
  path: string,
  segments: ReadonlySet<string>,
  problems: Problems,
): void {
  if ('segment' in condition) {
    const { segment } = condition
    if (segment === '' || segments.has(segment)) return
    problems.add(below(path, 'segment'), 'unknown_segment', `there is no segment "${segment}"`)
  } else if ('not' in condition) checkSegments(condition.not, below(path, 'not'), segments, problems)
  else if ('all' in condition || 'any' in condition) {
    const [field, children] =
      'all' in condition ? (['all', condition.all] as const) : (['any', condition.any] as const)
    for (const [index, child] of children.entries()) {
      checkSegments(child, below(below(path, field), index), segments, problems)
    }
  }
}

function parseAudience({ from, path, problems }: Place, segments: ReadonlySet<string>): Condition | null {
  const { audience } = from
  if (audience === undefined || audience === null) return null
  const place = below(path, 'audience')
  const before = problems.found.length
  const condition = parseCondition(audience, place, problems, 1 + DEPTH_OF_GRANTS)
  if (problems.found.length > before) return condition
  problems.found.push(...unknownFields(audience, condition, place))
  checkSegments(condition, place, segments, problems)
  return condition
}

function parseGates({ from, path, problems }: Place): Gate[] {
  const seen = new Set<string>()
  return readList(from, 'gates', path, problems, MAX_GATES).map((entry, index) => {
    const place = below(below(path, 'gates'), index)
    const value = typeof entry === 'string' ? { name: entry } : entry
    const gate = readObject(value, place, ['name', 'maxAge'], problems)
    const name = readName(gate, 'name')
    if (seen.has(name)) problems.add(below(place, 'name'), 'duplicate', 'is used twice')
    seen.add(name)
    return { name, maxAgeMs: gate.from.maxAge === undefined ? null : readDuration(gate, 'maxAge') }
  })
}

function parseStage(value: unknown, path: string, segments: ReadonlySet<string>, problems: Problems): Stage {
  const place = readObject(value, path, STAGE_FIELDS, problems)
  const { from } = place
  if (from.percentage === undefined) problems.add(below(path, 'percentage'), 'type', 'must be a number')
  const percentage = readNumber(
    place,
    'percentage',
    isPercentage,
    'a number from 0 to 100 in steps of 0.001',
    0,
  )
  return {
    name: from.name === undefined ? '' : readText(from, 'name', path, problems, 100),
    audience: parseAudience(place, segments),
    percentage,
    holdMs: readDuration(place, 'hold'),
    minUnits: readNumber(
      place,
      'minUnits',
      (units) => Number.isInteger(units) && units >= 0 && units <= MAX_UNITS,
      `a whole number from 0 to ${MAX_UNITS}`,
      0,
    ),
    approval: readSwitch(place, 'approval'),
    gates: parseGates(place),
  }
}

function checkOrder(stages: readonly Stage[], problems: Problems): void {
  const latest = new Map<string, number>()
  for (const [index, { audience, percentage }] of stages.entries()) {
    const text = canonicalJson(audience)
    const before = latest.get(text)
    if (before !== undefined && percentage < before) {
      const path = below(below('stages', index), 'percentage')
      problems.add(path, 'order', `must be at least ${before}, which the same audience is given before`)
    }
    latest.set(text, percentage)
  }
  if (latest.size > MAX_AUDIENCES) {
    problems.add('stages', 'limit', `must have at most ${MAX_AUDIENCES} different audiences`)
  }
  if ([...latest.keys()].join().length > MAX_AUDIENCE_CHARACTERS) {
    problems.add('stages', 'limit', 'must have shorter audiences: name segments instead of many values')
  }
}

/** Stages are spoken of by name, and audiences by that of their first: each has one of its own. */
function withNames(stages: readonly Stage[], problems: Problems): readonly Stage[] {
  const taken = new Set<string>()
  for (const [index, { name }] of stages.entries()) {
    if (name === '') continue
    if (taken.has(name)) problems.add(below(below('stages', index), 'name'), 'duplicate', 'is used twice')
    taken.add(name)
  }
  return stages.map((stage) => {
    if (stage.name !== '') return stage
    const base = `${stage.percentage} %`
    let name = base
    for (let number = 2; taken.has(name); number++) name = `${base} (${number})`
    taken.add(name)
    return { ...stage, name }
  })
}

/** Reads a plan's stages; within each audience, percentages never fall. */
export function parseStages(plan: Place, segments: ReadonlySet<string>): readonly Stage[] {
  const { from, path, problems } = plan
  if (from.stages === undefined || (Array.isArray(from.stages) && from.stages.length === 0)) {
    problems.add('stages', 'limit', 'must have at least one entry')
    return []
  }
  const stages = readList(from, 'stages', path, problems, MAX_STAGES).map((entry, index) =>
    parseStage(entry, below('stages', index), segments, problems),
  )
  checkOrder(stages, problems)
  return withNames(stages, problems)
}
