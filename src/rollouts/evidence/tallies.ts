// What people are shown beside a verdict: counts of a stage. Pure.
import type { ArmCount } from '../observations.ts'

/**
 * Hits and units in a stage. Units come anew in each epoch of it, so they are counted by epoch, and the epoch that had
 * most stands for the stage.
 */
export type Tally = { readonly hits: number; readonly units: number; readonly mostUnits: number }

export type BothTallies = { readonly treatment: Tally; readonly control: Tally }

const NOTHING: Tally = { hits: 0, units: 0, mostUnits: 0 }

export const NO_TALLIES: BothTallies = { treatment: NOTHING, control: NOTHING }

export function addToTally({ hits, units, mostUnits }: Tally, more: ArmCount): Tally {
  return { hits: hits + more.hits, units: units + more.units, mostUnits }
}

function inNextEpoch({ hits, units, mostUnits }: Tally): Tally {
  return { hits, units: 0, mostUnits: Math.max(units, mostUnits) }
}

/** Tallies as another epoch of the same stage begins. */
export function talliesInNextEpoch({ treatment, control }: BothTallies): BothTallies {
  return { treatment: inNextEpoch(treatment), control: inNextEpoch(control) }
}

export function toArmCount({ hits, units, mostUnits }: Tally): ArmCount {
  return { hits, units: Math.max(units, mostUnits) }
}
