// An incident as a Markdown document, to be kept or sent where others read. Pure.
import { sayDuration } from '../durations.ts'
import type { GuardFact } from './facts.ts'
import type { Incident } from './incident-store.ts'
import { durationsOf, type Moment } from './timeline.ts'
import { sayCount, sayInstant, sayNumber, sayShare } from './words.ts'

/** Whatever people wrote, so that it stays text within a line or a cell. */
function toText(text: string): string {
  return text.replace(/[\\`*_[\]<>|#~]/g, '\\$&').replace(/\s*\n\s*/g, ' ')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

const orUnknown = (ms: number | null) => (ms === null ? 'not known' : sayDuration(ms))

function times(incident: Incident): string[] {
  const { beganAt, detectedAt, committedAt, safeAt, acknowledgedAt, resolvedAt, facts } = incident
  const { detectMs, commitMs, safeMs, acknowledgeMs, resolveMs } = durationsOf(incident)
  const when = (at: number | null) => (at === null ? '–' : sayInstant(at))
  const unreported = facts.safe ? ` (${sayShare(facts.safe.unreportedShare)} of it not reported)` : ''
  return table(
    ['what', 'when', 'after'],
    [
      ['Most likely began', when(beganAt), ''],
      ['Detected', when(detectedAt), orUnknown(detectMs)],
      ['Committed', when(committedAt), sayDuration(commitMs)],
      [`Safe for 99 % of the reported traffic${unreported}`, when(safeAt), orUnknown(safeMs)],
      ['Acknowledged', when(acknowledgedAt), orUnknown(acknowledgeMs)],
      ['Resolved', when(resolvedAt), orUnknown(resolveMs)],
    ],
  )
}

function evidence(guards: readonly GuardFact[]): string[] {
  const arm = ({ hits, units }: { hits: number; units: number }) => `${sayNumber(hits)} of ${sayCount(units)}`
  const rows = guards.map(({ metric, audience, treatment, control, ratio, oneIn, enough }) => [
    toText(audience ? `${metric} (${audience.name})` : metric),
    arm(treatment),
    control ? arm(control) : '–',
    ratio === null ? '–' : `${sayNumber(ratio)} ×`,
    `1 in ${sayNumber(oneIn)}`,
    `1 in ${sayNumber(enough)}`,
  ])
  return table(['metric', 'treated', 'control', 'ratio', 'chance alone', 'limit'], rows)
}

/** Writes an incident with its timeline. */
export function toMarkdown(incident: Incident, timeline: readonly Moment[]): string {
  const { title, id, environment, flag, rollout, state, verification, reason, facts } = incident
  const section = (name: string, lines: readonly string[]) =>
    lines.length > 0 ? [`## ${name}`, '', ...lines, ''] : []
  const { stage, shares, affected, guards, verified } = facts
  const extent = [
    ...(stage ? [`Stage: ${toText(stage.name)}.`] : []),
    ...shares.map(({ audience, before, after }) => `- ${toText(audience)}: from ${before} % to ${after} %`),
    ...(affected === null ? [] : ['', `Units treated in this stage: ${sayCount(affected)}.`]),
  ]
  const dispute = incident.disputedBy
    ? ['', `Disputed by ${toText(incident.disputedBy)}: ${toText(incident.disputeNote)}`]
    : []
  return [
    `# ${toText(title)}`,
    '',
    `Incident ${id} of flag ${toText(flag)} in ${environment}${rollout === null ? '' : `, rollout ${rollout}`}. State: ${state}. Verification: ${verification}.`,
    ...dispute,
    '',
    ...section('Why', [toText(reason.words), ...(guards.length > 0 ? ['', ...evidence(guards)] : [])]),
    ...section('Times', times(incident)),
    ...section('Extent', extent),
    ...section('Verification', verified === '' ? [] : [toText(verified)]),
    ...section('Resolution', incident.resolution === '' ? [] : [toText(incident.resolution)]),
    ...section(
      'Timeline',
      timeline.map(({ at, actor, words }) => `- ${sayInstant(at)}, ${toText(actor)}: ${toText(words)}`),
    ),
    // The post-mortem is Markdown itself.
    ...section('Post-mortem', incident.postMortem === '' ? [] : [incident.postMortem]),
  ].join('\n')
}
