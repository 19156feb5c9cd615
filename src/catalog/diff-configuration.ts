// What two configurations of a flag in one environment differ in. Pure.
import type { FlagConfiguration, Prerequisite, Rule, Target } from '../engine/flag.ts'
import { describeCondition } from './describe-condition.ts'
import { describeServe, diffServe } from './diff-serve.ts'
import { type Difference, diffEntries, diffSets, type EntryWords } from './difference.ts'
import { diffSwitch, diffText, diffValue, type Fields } from './document-fields.ts'
import { count, nameSome, quote } from './wording.ts'

function describeVariants(variants: readonly string[]): string {
  const names = nameSome(variants.map((variant) => quote(variant)))
  return variants.length === 1 ? names : `one of ${names}`
}

const PREREQUISITES: EntryWords<Prerequisite> = {
  list: 'prerequisites',
  thing: 'prerequisite',
  nameOf: ({ flag }) => flag,
  added: (subject, { variants }) => `${subject} added: it must serve ${describeVariants(variants)}`,
  diff: (path, subject, before, after) =>
    diffSets(`${path}.variants`, before.variants, after.variants, (kind, _number, names) =>
      kind === 'added' ? `${subject}: ${names} will do too` : `${subject}: ${names} will no longer do`,
    ),
}

function unitsOf(variant: string, change: 'added' | 'removed', number: number, names: string): string {
  return `${count(number, 'unit')} ${change} ${change === 'added' ? 'to' : 'from'} ${quote(variant)}: ${names}`
}

/** What is said of a target that is new or gone: its units are what it is about. */
function wholeTarget(change: 'added' | 'removed'): (subject: string, target: Target) => string {
  return (subject, { variant, units }) =>
    units.length === 0
      ? `${subject} ${change}, without units`
      : unitsOf(variant, change, new Set(units).size, nameSome([...new Set(units)]))
}

const TARGETS: EntryWords<Target> = {
  list: 'targets',
  thing: 'target',
  nameOf: ({ variant }) => variant,
  added: wholeTarget('added'),
  removed: wholeTarget('removed'),
  diff: (path, _subject, before, after) =>
    diffSets(`${path}.units`, before.units, after.units, (kind, number, names) =>
      unitsOf(after.variant, kind, number, names),
    ),
}

function diffRule(path: string, subject: string, before: Rule, after: Rule): Difference[] {
  return [
    ...diffText(`${path}.description`, `${subject}: its description`, before.description, after.description),
    ...diffValue(`${path}.when`, `${subject}: its condition`, before.when, after.when, describeCondition),
    ...diffServe(`${path}.serve`, subject, before.serve, after.serve),
  ]
}

const RULES: EntryWords<Rule> = {
  list: 'rules',
  thing: 'rule',
  nameOf: ({ id }) => id,
  added: (subject, { when, serve }) =>
    `${subject} added: ${describeServe(serve)} where ${describeCondition(when)}`,
  diff: diffRule,
}

/** How each field of a configuration is compared. */
export const CONFIGURATION_FIELDS: Fields<FlagConfiguration> = {
  enabled: diffSwitch('enabled', 'switched on', 'switched off'),
  offVariant: (before, after) => diffValue('offVariant', 'off variant', before, after),
  prerequisites: (before = [], after = []) => diffEntries(before, after, PREREQUISITES),
  targets: (before = [], after = []) => diffEntries(before, after, TARGETS),
  rules: (before = [], after = []) => diffEntries(before, after, RULES),
  fallthrough: (before, after) => diffServe('fallthrough', 'fallthrough', before, after),
}
