// Blocks as evidence is made of them: one after the other in time, both arms of a stratum side by side. Pure.
import type { GuardBlock } from '../../telemetry/counting/blocks.ts'
import { placesIn, shareOf } from '../grants.ts'
import type { Ground } from './processes.ts'

export const TREATMENT = 't'
export const CONTROL = 'c'

/** What is known of one arm of one stratum in the present epoch, up to a block. */
export type Arm = {
  readonly stratum: string
  readonly arm: string
  readonly entered: number
  readonly live: number
  /** Who is at risk, by metric: carried on where a block is left out. */
  readonly atRisk: ReadonlyMap<string, number>
}

/** An arm before a block, and what happened in it; undefined: nothing. */
export type ArmInBlock = { readonly before: Arm; readonly block: GuardBlock | undefined }

/** Both arms of a stratum in a block. */
export type Stratum = {
  readonly name: string
  /** See `ownerOf`. */
  readonly owner: number
  /** The percentage of it that is treated. */
  readonly share: number
  readonly treatment: ArmInBlock
  readonly control: ArmInBlock
}

/** The place of the audience that a stratum belongs to: of the narrowest, which came first. */
export function ownerOf(stratum: string): number {
  return placesIn(stratum)[0] ?? -1
}

/** One block: its number since the evidence's beginning, and the strata in which something happened. */
export type Slot = { readonly block: number; readonly strata: readonly Stratum[] }

export type Arms = ReadonlyMap<string, Arm>

/** The name of an arm: a stratum's has no dot. */
export function armName(stratum: string, arm: string): string {
  return `${stratum}.${arm}`
}

const NOBODY: Arm['atRisk'] = new Map()

function armAfter({ before, block }: ArmInBlock): Arm {
  if (!block) return before
  const atRisk = new Map(before.atRisk)
  for (const { metric, x, n } of block.metrics) atRisk.set(metric, n - x)
  return { ...before, entered: before.entered + block.entered, live: before.live + block.firstLive, atRisk }
}

/** Lays the blocks of one instant out by strata. */
export function toSlot(block: number, blocks: readonly GuardBlock[], arms: Arms, ground: Ground): Slot {
  const names = new Set(blocks.map(({ stratum }) => stratum))
  const armOf = (name: string, arm: string): ArmInBlock => ({
    before: arms.get(armName(name, arm)) ?? { stratum: name, arm, entered: 0, live: 0, atRisk: NOBODY },
    block: blocks.find((one) => one.stratum === name && one.arm === arm),
  })
  const strata = Array.from(names, (name) => ({
    name,
    owner: ownerOf(name),
    share: shareOf(ground.plan, ground.progress, name),
    treatment: armOf(name, TREATMENT),
    control: armOf(name, CONTROL),
  }))
  return { block, strata }
}

/** The arms after a block. */
export function armsAfter(arms: Arms, { strata }: Slot): Arms {
  const after = new Map(arms)
  for (const { name, treatment, control } of strata) {
    if (treatment.block) after.set(armName(name, TREATMENT), armAfter(treatment))
    if (control.block) after.set(armName(name, CONTROL), armAfter(control))
  }
  return after
}

/** Whether a stratum has both arms. */
export function isCompared({ share }: Pick<Stratum, 'share'>): boolean {
  return share > 0 && share < 100
}

/** Hits of an arm in a block, and who was at risk. */
export function hitsIn({ before, block }: ArmInBlock, metric: string): { x: number; n: number } {
  const found = block?.metrics.find((one) => one.metric === metric)
  if (found) return { x: found.x, n: found.n }
  return { x: 0, n: before.atRisk.get(metric) ?? 0 }
}

/** What a block says of an arm's observations against a bound; undefined: there were none. */
export function boundIn({ block }: ArmInBlock, metric: string, bound: number) {
  const found = block?.metrics.find((one) => one.metric === metric)
  return found?.bounds.find((one) => one.bound === bound)
}

/** Treated units that are at risk, of one audience or all together. */
export function treatedAtRisk(arms: Arms, metric: string, audience: number | null): number {
  let units = 0
  for (const { stratum, arm, atRisk } of arms.values()) {
    if (arm !== TREATMENT || (audience !== null && ownerOf(stratum) !== audience)) continue
    units += atRisk.get(metric) ?? 0
  }
  return units
}
