// Group commit: what arrives together is written together. The first after a quiet time is written at once.

/** How long two commits are apart at least, in milliseconds, unless many wait. */
const INTERVAL_MS = 10
/** So many do not wait for the interval to end: one row for all of them is little. */
const CROWD = 16
/** The most that waits. */
const MAX_WAITING = 5_000
const MAX_WAITING_BYTES = 8_000_000

type Waiting<Request, Answer> = {
  readonly request: Request
  readonly resolve: (answer: Answer) => void
  readonly reject: (reason: unknown) => void
}

/** What a request is answered with, or why it could not be. */
export type Outcome<Answer> =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly fault: unknown }

/** Collects requests and has them carried out together, in their order. */
export class CommitQueue<Request, Answer> {
  private readonly commit: (requests: readonly Request[]) => readonly Outcome<Answer>[]
  private waiting: Waiting<Request, Answer>[] = []
  private bytes = 0
  /** How soon what waits is carried out. */
  private due: 'never' | 'later' | 'soon' = 'never'
  /** The timer that counts; those before it do not any more. */
  private turn = 0
  private committedAt = 0

  /** @param commit gives the outcome of each; may not throw */
  constructor(commit: (requests: readonly Request[]) => readonly Outcome<Answer>[]) {
    this.commit = commit
  }

  /** Whether so much waits that nothing can be added. */
  get isFull(): boolean {
    return this.waiting.length >= MAX_WAITING || this.bytes >= MAX_WAITING_BYTES
  }

  /** Has a request carried out with the next commit. */
  add(request: Request, bytes: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ request, resolve, reject })
      this.bytes += bytes
      this.schedule()
    })
  }

  private schedule(): void {
    // A clock that was set back must not keep anybody waiting.
    const sinceLast = Math.max(0, Date.now() - this.committedAt)
    const isSoon = sinceLast >= INTERVAL_MS || this.waiting.length >= CROWD
    if (this.due === 'soon' || (this.due === 'later' && !isSoon)) return
    this.due = isSoon ? 'soon' : 'later'
    // Even the first waits for its turn: what has arrived by now goes with it.
    const turn = ++this.turn
    setTimeout(() => this.run(turn), isSoon ? 0 : INTERVAL_MS - sinceLast)
  }

  private run(turn: number): void {
    // A crowd was carried out before its time had come.
    if (turn !== this.turn) return
    const taken = this.waiting
    this.waiting = []
    this.bytes = 0
    this.due = 'never'
    this.committedAt = Date.now()
    const outcomes = this.commit(taken.map(({ request }) => request))
    for (const [index, { resolve, reject }] of taken.entries()) {
      const outcome = outcomes[index]
      if (outcome?.ok) resolve(outcome.answer)
      else reject(outcome?.fault)
    }
  }
}
