import { evaluate, evaluateAll } from '../../src/engine/evaluate.ts'
import type { Evaluation } from '../../src/engine/evaluation.ts'
import { Snapshot } from '../../src/engine/snapshot.ts'
import { readSnapshotText, writeSnapshotText } from '../../src/engine/snapshot-text.ts'
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import {
  type FlagSet,
  type HalfFlag,
  RULES_VARIANTS,
  type RulesFlag,
  SEGMENT,
  SPLIT_VARIANTS,
} from '../support/flags.ts'
import { asParsed, COUNTRIES, type User } from '../support/users.ts'

const NOW = Date.UTC(2026, 0, 1)

function toHalf({ key }: HalfFlag) {
  return {
    type: 'boolean',
    variants: [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ],
    metadata: { owner: 'checkout' },
    clientVisible: true,
    enabled: true,
    offVariant: 'off',
    fallthrough: {
      split: {
        seed: key,
        weights: [
          { variant: 'on', weight: 50 },
          { variant: 'off', weight: 50 },
        ],
      },
    },
  }
}

function toRules({ key, customers, seatsAbove, versionFrom, emailPrefix }: RulesFlag) {
  return {
    type: 'string',
    variants: RULES_VARIANTS.map((name) => ({ name, value: name })),
    metadata: { owner: 'checkout' },
    clientVisible: true,
    enabled: true,
    offVariant: 'none',
    rules: [
      {
        id: 'customers',
        when: { attribute: 'customer', op: 'in', values: customers },
        serve: { variant: 'rule-1' },
      },
      {
        id: 'seats',
        when: { attribute: 'seats', op: 'greater', values: [seatsAbove] },
        serve: { variant: 'rule-2' },
      },
      {
        id: 'version',
        when: { attribute: 'appVersion', op: 'semver', values: [`>=${versionFrom}`] },
        serve: { variant: 'rule-3' },
      },
      {
        id: 'email',
        when: { attribute: 'email', op: 'starts-with', values: [emailPrefix] },
        serve: { variant: 'rule-4' },
      },
      {
        id: 'countries',
        when: { segment: SEGMENT },
        serve: { split: { seed: key, weights: SPLIT_VARIANTS.map((variant) => ({ variant, weight: 25 })) } },
      },
    ],
    fallthrough: { variant: 'none' },
  }
}

/** Writes a set of flags as a snapshot's text. */
export function toSnapshotText({ halves, rules }: FlagSet): string {
  const flags = [
    ...halves.map((flag) => [flag.key, JSON.stringify(toHalf(flag))] as const),
    ...rules.map((flag) => [flag.key, JSON.stringify(toRules(flag))] as const),
  ]
  const segment = JSON.stringify({ condition: { attribute: 'country', op: 'in', values: COUNTRIES } })
  return asParsed(
    writeSnapshotText({
      environment: 'production',
      version: 1,
      sections: {
        flags: new Map(flags),
        segments: new Map([[SEGMENT, segment]]),
        rollouts: new Map(),
        keys: new Map(),
        settings: new Map(),
      },
    }),
  )
}

/** Opens a snapshot's text; one that cannot be read is a mistake. */
export function openSnapshot(text: string): Snapshot {
  const read = readSnapshotText(text)
  if (!read.ok) throw new Error(read.error)
  return new Snapshot(read.value)
}

function toContext({ id, customer, seats, appVersion, email, country }: User) {
  return { targetingKey: id, customer, seats, appVersion, email, country }
}

function readValue(evaluation: Evaluation): unknown {
  return evaluation.reason === 'ERROR' ? undefined : evaluation.value
}

/** Rampart's engine: value, variant, reason and metadata in every answer. */
export const createRampart: CreateContender = (flags, users) => {
  const snapshot = openSnapshot(toSnapshotText(flags))
  const contextOf = createContexts(users, toContext)
  return toContender({
    name: 'Rampart',
    half: (key, user) => evaluate(snapshot, key, contextOf(user), NOW),
    rules: (key, user) => evaluate(snapshot, key, contextOf(user), NOW),
    all: (user) => evaluateAll(snapshot, contextOf(user), NOW),
    readHalf: readValue,
    readRules: readValue,
    countAll: (evaluations) => evaluations.filter((evaluation) => readValue(evaluation) !== undefined).length,
  })
}
