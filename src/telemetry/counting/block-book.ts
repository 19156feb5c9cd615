// The block that is open, and blocks that have closed since they were last taken to be written.
import { BLOCK_MS, type GuardBlock } from './blocks.ts'
import type { Arm } from './measurement-book.ts'
import { OpenRow } from './open-row.ts'
import { MINUTE_MS } from './series-book.ts'

function inOrder(a: GuardBlock, b: GuardBlock): number {
  if (a.start !== b.start) return a.start - b.start
  if (a.measurement !== b.measurement) return a.measurement < b.measurement ? -1 : 1
  if (a.stage !== b.stage) return a.stage - b.stage
  if (a.stratum !== b.stratum) return a.stratum < b.stratum ? -1 : 1
  return a.arm < b.arm ? -1 : 1
}

export class BlockBook {
  /** The number of the open block, counted from 1970; -1: none has been opened. */
  block: number
  /** Arms to which something has happened in it. */
  private open: Arm[]
  /** By the minute in which they are. */
  private closed = new Map<number, GuardBlock[]>()

  constructor(block = -1, open: readonly Arm[] = []) {
    this.block = block
    this.open = [...open]
  }

  /** The end of the last closed block. */
  get through(): number {
    return Math.max(0, this.block) * BLOCK_MS
  }

  /** The minutes that have closed blocks. */
  get minutes(): Iterable<number> {
    return this.closed.keys()
  }

  /** What happens to an arm in the open block. */
  row(arm: Arm): OpenRow {
    if (arm.row) return arm.row
    arm.row = new OpenRow()
    this.open.push(arm)
    return arm.row
  }

  /**
   * Closes the open block; whoever calls opens another.
   * @param watchedIn the metrics that are to be in the block of an arm even if nothing happened to them
   */
  close(watchedIn: (arm: Arm) => Iterable<string>): void {
    for (const arm of this.open) {
      for (const metric of watchedIn(arm)) arm.row?.show(metric)
      this.closeRow(arm)
    }
    this.open = []
  }

  /** Says the last of an arm that goes: nothing can happen to it any more in the open block. */
  end(arm: Arm): void {
    this.closeRow(arm)
  }

  closedIn(minute: number): readonly GuardBlock[] {
    return this.closed.get(minute) ?? []
  }

  /** Begins anew: what has closed has been taken. */
  clear(): void {
    this.closed = new Map()
  }

  private closeRow(arm: Arm): void {
    if (!arm.row) return
    const { measurement, stage, stratum, arm: name } = arm
    const start = this.block * BLOCK_MS
    const block = arm.row.close({ start, measurement, stage, stratum, arm: name }, (metric) => {
      return arm.risk.sizeOf(metric)
    })
    arm.row = undefined
    arm.last = block
    const minute = Math.floor(start / MINUTE_MS) * MINUTE_MS
    const closed = this.closed.get(minute)
    if (closed) closed.push(block)
    else this.closed.set(minute, [block])
  }
}

/** What an arm's blocks have in common, as a text. */
export function armNameOf({ measurement, stage, stratum, arm }: GuardBlock): string {
  // None of them has a blank in it.
  return `${measurement} ${stage} ${stratum} ${arm}`
}

/** Puts blocks in order of time. */
export function sortBlocks(blocks: GuardBlock[]): GuardBlock[] {
  return blocks.sort(inOrder)
}
