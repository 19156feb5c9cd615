// The table of docs/statistics.md. Pure.
import { DETECTORS } from './detection.ts'
import { AT_TOLERANCE, BASES, EXPOSURES, FALSE_ALARM_DETECTORS, falseAlarmId } from './false-alarms.ts'
import { alarmsWithin, Delays, sayDelays, sayRate } from './figures.ts'
import { SAME_LATENCY } from './latency.ts'
import { BY_COUNTS, BY_UNITS, compareLaws } from './law.ts'
import { AT_LIMIT, LIMIT_DETECTORS } from './limits.ts'
import { MOST_HIT_DETECTORS, mostHitScenarios } from './most-hit.ts'
import type { Outcome } from './scenario.ts'
import { ROLLOUT_DETECTORS, WHOLE_ROLLOUT } from './whole-rollout.ts'
import { BLOCKS_PER_DAY } from './world.ts'

type Outcomes = ReadonlyMap<string, Outcome>

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function grid(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(header), row(header.map(() => '---')), ...rows.map(row)].join('\n')
}

function columnOf({ alarms }: Outcome, names: readonly string[], name: string): number[] {
  const place = names.indexOf(name)
  return alarms.map((run) => run[place] ?? Number.NaN)
}

/** False alarms of a detector within hours, in percent of the runs. */
function rateOf(outcome: Outcome, names: readonly string[], name: string, hours: number): string {
  const column = columnOf(outcome, names, name)
  return sayRate(alarmsWithin(column, (hours * BLOCKS_PER_DAY) / 24), column.length)
}

function falseAlarmRow(title: readonly string[], outcome: Outcome): string[] {
  const rate = (name: string, hours: number) => rateOf(outcome, FALSE_ALARM_DETECTORS, name, hours)
  return [
    ...title,
    rate('guard 0.05', 24),
    rate('guard 0.05', 72),
    rate('guard 0.01', 24),
    rate('guard 0.01', 72),
    rate('pooled 0.01', 72),
    rate('threshold', 72),
    rate('z 0.01', 72),
    rate('sequence 0.05', 72),
    `${outcome.alarms.length}`,
  ]
}

function falseAlarmTable(outcomes: Outcomes): string | undefined {
  const rows: string[][] = []
  for (const base of BASES) {
    for (const exposure of EXPOSURES) {
      const outcome = outcomes.get(falseAlarmId(base, exposure))
      if (outcome) rows.push(falseAlarmRow([`${100 * base} %`, `${100 * exposure} %`], outcome))
    }
  }
  const edge = outcomes.get(AT_TOLERANCE)
  if (edge) rows.push(falseAlarmRow(['5 %, treated 5.5 %, 10 % tolerated', '50 %'], edge))
  if (rows.length === 0) return undefined
  const header = [
    'base',
    'treated at most',
    'guard α 0.05, 24 h',
    '72 h',
    'guard α 0.01, 24 h',
    '72 h',
    'the same, staff not apart, 72 h',
    'twice the base in 5 min, 72 h',
    'repeated z-test α 0.01, 72 h',
    'confidence sequence α 0.05, 72 h',
    'runs',
  ]
  return `**False rollbacks, in % of rollouts (± standard error)**\n\n${grid(header, rows)}`
}

function detectionTable(outcomes: Outcomes): string | undefined {
  const rows: string[][] = []
  for (const [id, outcome] of outcomes) {
    if (outcome.alarms[0]?.length !== DETECTORS.length || id === SAME_LATENCY) continue
    const cells = DETECTORS.map((name) => sayDelays(new Delays(columnOf(outcome, DETECTORS, name))))
    rows.push([id, ...cells, `${outcome.alarms.length}`])
  }
  if (rows.length === 0) return undefined
  const header = [
    'regression',
    'guard α 0.01, nothing tolerated',
    'guard α 0.01, 10 % tolerated',
    'the same, ratios 1.5, 2, 3, 5 alone',
    'twice the base in 5 min',
    'repeated z-test α 0.01',
    'confidence sequence α 0.05',
    'the same, α 0.01',
    'oracle α 0.01',
    'runs',
  ]
  return `**Minutes until a regression is found: median ± standard error / 90 % quantile**\n\n${grid(header, rows)}`
}

function latencyTable(outcomes: Outcomes): string | undefined {
  const outcome = outcomes.get(SAME_LATENCY)
  if (!outcome) return undefined
  const rates = DETECTORS.filter((name) => name !== 'oracle').map((name) =>
    rateOf(outcome, DETECTORS, name, 24),
  )
  const header = [
    'guard α 0.01, nothing tolerated',
    '10 % tolerated',
    'the same, ratios 1.5, 2, 3, 5 alone',
    '10 % above the bound in 5 min',
    'repeated z-test α 0.01',
    'confidence sequence α 0.05',
    'the same, α 0.01',
    'runs',
  ]
  const table = grid(header, [[...rates, `${outcome.alarms.length}`]])
  return `**False rollbacks by latency within 24 h, 95 % quantile frozen from 400 observations, in %**\n\n${table}`
}

function wholeRolloutTable(outcomes: Outcomes): string | undefined {
  const rollout = outcomes.get(WHOLE_ROLLOUT)
  if (!rollout) return undefined
  const rates = ROLLOUT_DETECTORS.map((name) => rateOf(rollout, ROLLOUT_DETECTORS, name, 24))
  const header = [...ROLLOUT_DETECTORS, 'runs']
  const table = grid(header, [[...rates, `${rollout.alarms.length}`]])
  return `**Whole rollouts through the product's evidence: five guardrails, seven processes, three audiences, 24 h, in %**\n\n${table}`
}

function mostHitTable(outcomes: Outcomes): string | undefined {
  const rows: string[][] = []
  for (const { id } of mostHitScenarios(1)) {
    const outcome = outcomes.get(id)
    if (!outcome) continue
    const rates = MOST_HIT_DETECTORS.map((name) => rateOf(outcome, MOST_HIT_DETECTORS, name, 24))
    rows.push([id, ...rates, `${outcome.alarms.length}`])
  }
  if (rows.length === 0) return undefined
  const table = grid(['hit at once', ...MOST_HIT_DETECTORS, 'runs'], rows)
  return `**Where many are hit as they come: false rollbacks within 24 h, α 0.01, in %**\n\n${table}`
}

function limitTable(outcomes: Outcomes): string | undefined {
  const outcome = outcomes.get(AT_LIMIT)
  if (!outcome) return undefined
  const rates = LIMIT_DETECTORS.map((name) => rateOf(outcome, LIMIT_DETECTORS, name, 24))
  const table = grid(['guard α 0.05', 'guard α 0.01', 'runs'], [[...rates, `${outcome.alarms.length}`]])
  return `**A limit of 5 % that is just met by people who keep coming back, 24 h: false rollbacks in %**\n\n${table}`
}

function lawTable(outcomes: Outcomes): string | undefined {
  const [units, counts] = [outcomes.get(BY_UNITS), outcomes.get(BY_COUNTS)]
  if (!units || !counts) return undefined
  const differences = compareLaws(units, counts)
  const most = Math.max(...differences.map(({ errors }) => Math.abs(errors)))
  const squares = differences.reduce((sum, { errors }) => sum + errors ** 2, 0) / differences.length
  const ratios = differences.map(({ varianceRatio }) => varianceRatio)
  const header = [
    'figures',
    'mean square of z',
    'largest z, either way',
    'variances, units to counts',
    'runs',
  ]
  const cells = [
    `${differences.length}`,
    squares.toFixed(2),
    most.toFixed(2),
    `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
    `${units.alarms.length} and ${counts.alarms.length}`,
  ]
  return `**People one by one through the product's counting, and people by counts**\n\n${grid(header, [cells])}`
}

/** The tables as Markdown: of what was played. */
export function toTables(outcomes: readonly Outcome[]): string {
  const byId = new Map(outcomes.map((outcome) => [outcome.scenario, outcome]))
  const tables = [
    falseAlarmTable(byId),
    wholeRolloutTable(byId),
    latencyTable(byId),
    limitTable(byId),
    mostHitTable(byId),
    detectionTable(byId),
    lawTable(byId),
  ]
  return tables.filter((table) => table !== undefined).join('\n\n')
}
