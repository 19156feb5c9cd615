import { evaluate, evaluateAll } from '../../src/engine/evaluate.ts'
import { openSnapshot } from '../contenders/rampart.ts'
import { flagKey } from './snapshot-text.ts'

/** What can be done with a snapshot's text in memory. */
export const OPENINGS = ['JSON.parse alone', 'first answer', 'first answer of all flags'] as const
export type Opening = (typeof OPENINGS)[number]

/** A fixed point in time to evaluate at. */
export const NOW = Date.UTC(2026, 0, 1)

/** Whom the snapshot's flags are evaluated for. */
export const CONTEXT = {
  targetingKey: '0b5cbe7c-5a3c-4f7e-8c62-6b1d1f0e6a11',
  plan: 'business',
  country: 'DE',
  appVersion: '4.7.1',
  email: 'ada@example.com',
  company: { seats: 120 },
}

/** Does one of the three with a text of so many flags, from nothing; what comes of it must be kept until timed. */
export function open(opening: Opening, text: string, flags: number): unknown {
  if (opening === 'JSON.parse alone') return JSON.parse(text)
  const snapshot = openSnapshot(text)
  if (opening === 'first answer') {
    const evaluation = evaluate(snapshot, flagKey(flags / 2), CONTEXT, NOW)
    if (evaluation.reason === 'ERROR') throw new Error(evaluation.errorMessage)
    return { snapshot, evaluation }
  }
  const evaluations = evaluateAll(snapshot, CONTEXT, NOW)
  if (evaluations.length !== flags || evaluations.some(({ reason }) => reason === 'ERROR')) {
    throw new Error('not all flags were answered')
  }
  return { snapshot, evaluations }
}
