// Some of the units that an arm of a measurement had: for whoever looks into what went wrong. Pure.
import type { UnitId } from '../events/event.ts'
import type { Membership, Unit } from './unit.ts'

/** Which units are wanted. */
export type SampleQuery = {
  readonly measurement: string
  readonly arm: string
  /** In one stage alone; left out: in any. */
  readonly stage?: number
  /** The places of audiences: of units whose narrowest audience is one of these; left out: of all. */
  readonly audiences?: readonly number[]
  readonly limit: number
}

/** The place of the narrowest audience of a stratum, which is a set of places in base 36: its lowest bit. */
function narrowestOf(stratum: string): number {
  let place = 0
  // Not by bit operations: those end at 32 bits.
  for (let bits = Number.parseInt(stratum, 36); bits >= 1 && bits % 2 === 0; bits /= 2) place++
  return place
}

/** A unit's id in hexadecimal digits: it is a keyed hash, of which nobody can make the unit again. */
function toHex(id: UnitId): string {
  return Array.from(id, (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('')
}

function wasIn(member: Membership, { arm, stage, audiences }: SampleQuery): boolean {
  const isWanted = (inArm: string, inStage: number, inStratum: string) =>
    inArm === arm &&
    (stage === undefined || inStage === stage) &&
    (audiences === undefined || audiences.includes(narrowestOf(inStratum)))
  return (
    isWanted(member.firstArm, member.firstStage, member.firstStratum) ||
    isWanted(member.arm, member.stage, member.stratum)
  )
}

/** Units that were in the arm at their first exposure, or are where they were seen last. */
export function sampleUnits(query: SampleQuery, units: Iterable<Unit>): string[] {
  const found: string[] = []
  for (const { id, memberships } of units) {
    if (found.length >= query.limit) break
    const member = memberships.get(query.measurement)
    if (member && wasIn(member, query)) found.push(toHex(id))
  }
  return found
}
