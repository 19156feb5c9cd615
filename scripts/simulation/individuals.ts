// The few who went bad and wait for their hit: followed one by one, though not as objects.

/** How many blocks ahead something may be due, and more. */
export const RING = 512

/** People by number. What is known of each is in arrays, and whose turn it is in a ring of lists, by block. */
export class Individuals {
  readonly heads = new Int32Array(RING).fill(-1)
  next = new Int32Array(1024)
  cell = new Int32Array(1024)
  metric = new Int32Array(1024)
  epoch = new Int32Array(1024)
  hitAt = new Int32Array(1024)
  end = new Int32Array(1024)
  isPresent = new Uint8Array(1024)
  isAtRisk = new Uint8Array(1024)
  private used = 0
  private free = -1

  open(): number {
    if (this.free >= 0) {
      const index = this.free
      this.free = this.next[index] ?? -1
      return index
    }
    if (this.used === this.next.length) this.grow()
    return this.used++
  }

  close(index: number): void {
    this.isPresent[index] = 0
    this.isAtRisk[index] = 0
    this.next[index] = this.free
    this.free = index
  }

  schedule(index: number, block: number): void {
    this.next[index] = this.heads[block % RING] ?? -1
    this.heads[block % RING] = index
  }

  /** Takes those whose next event is in a block; each is followed by `next`. */
  take(block: number): number {
    const head = this.heads[block % RING] ?? -1
    this.heads[block % RING] = -1
    return head
  }

  private grow(): void {
    const larger = (from: Int32Array<ArrayBuffer>) => {
      const to = new Int32Array(from.length * 2)
      to.set(from)
      return to
    }
    this.next = larger(this.next)
    this.cell = larger(this.cell)
    this.metric = larger(this.metric)
    this.epoch = larger(this.epoch)
    this.hitAt = larger(this.hitAt)
    this.end = larger(this.end)
    const [isPresent, isAtRisk] = [this.isPresent, this.isAtRisk]
    this.isPresent = new Uint8Array(isPresent.length * 2)
    this.isPresent.set(isPresent)
    this.isAtRisk = new Uint8Array(isAtRisk.length * 2)
    this.isAtRisk.set(isAtRisk)
  }
}
