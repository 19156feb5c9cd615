// What a shard has counted in an hour or a day: how it is added up, and how it is packed.
import type { FlagActivity } from '../../catalog/staleness.ts'
import type { Count } from '../shard-protocol.ts'

/** How often a flag was answered in one way, and when it last was: the start of that minute. */
export type Cell = {
  readonly variant: string | null
  readonly reason: string
  evaluations: number
  lastAt: number
}

/** By flag. */
export type Counts = Map<string, Cell[]>

/** One flag's counts as they are stored. */
export type PackedCounts = readonly [
  flag: string,
  cells: readonly (readonly [variant: string | null, reason: string, evaluations: number, lastAt: number])[],
]

/** A flag's activity as it is stored. */
export type PackedActivity = readonly [
  flag: string,
  firstEvaluatedAt: number,
  variants: readonly (readonly [variant: string | null, lastAt: number])[],
]

/** By flag. */
export type Activities = Map<string, FlagActivity>

/** Adds what was counted in one minute, hour or day to what was counted before. */
export function addCell(counts: Counts, flag: string, added: Cell): void {
  const cells = counts.get(flag)
  if (!cells) {
    counts.set(flag, [{ ...added }])
    return
  }
  const cell = cells.find(({ variant, reason }) => variant === added.variant && reason === added.reason)
  if (!cell) {
    cells.push({ ...added })
    return
  }
  cell.evaluations += added.evaluations
  cell.lastAt = Math.max(cell.lastAt, added.lastAt)
}

/** Adds counts to others. */
export function addCounts(counts: Counts, added: Counts): void {
  for (const [flag, cells] of added) for (const cell of cells) addCell(counts, flag, cell)
}

export function packCounts(counts: Counts): PackedCounts[] {
  return [...counts].map(([flag, cells]) => [
    flag,
    cells.map(({ variant, reason, evaluations, lastAt }) => [variant, reason, evaluations, lastAt]),
  ])
}

export function unpackCounts(packed: readonly PackedCounts[]): Counts {
  return new Map(
    packed.map(([flag, cells]) => [
      flag,
      cells.map(([variant, reason, evaluations, lastAt]) => ({ variant, reason, evaluations, lastAt })),
    ]),
  )
}

/** Counts without what readers do not ask for. */
export function toUsage(counts: Counts, flag: string | undefined): Map<string, readonly Count[]> {
  const wanted = flag === undefined ? [...counts] : [...counts].filter(([key]) => key === flag)
  return new Map(
    wanted.map(([key, cells]) => [
      key,
      cells.map(({ variant, reason, evaluations }) => ({ variant, reason, evaluations })),
    ]),
  )
}

/** Takes counts into account; the same ones, or what they were earlier in their hour, may have been before. */
export function noteActivity(activities: Activities, counts: Counts): void {
  for (const [flag, cells] of counts) {
    const known = activities.get(flag)
    const variants = new Map(known?.variants)
    for (const { variant, lastAt } of cells) {
      variants.set(variant, Math.max(lastAt, variants.get(variant) ?? lastAt))
    }
    const times = cells.map(({ lastAt }) => lastAt)
    activities.set(flag, {
      firstEvaluatedAt: Math.min(known?.firstEvaluatedAt ?? Number.POSITIVE_INFINITY, ...times),
      lastEvaluatedAt: Math.max(known?.lastEvaluatedAt ?? 0, ...times),
      variants,
    })
  }
}

/** Packs activities, without flags and variants that were last answered before an instant. */
export function packActivities(activities: Activities, since: number): PackedActivity[] {
  return [...activities]
    .filter(([, { lastEvaluatedAt }]) => lastEvaluatedAt >= since)
    .map(([flag, { firstEvaluatedAt, variants }]) => [
      flag,
      firstEvaluatedAt,
      [...variants].filter(([, lastAt]) => lastAt >= since),
    ])
}

export function unpackActivities(packed: readonly PackedActivity[]): Activities {
  return new Map(
    packed.map(([flag, firstEvaluatedAt, variants]) => {
      const lastEvaluatedAt = Math.max(...variants.map(([, lastAt]) => lastAt))
      return [flag, { firstEvaluatedAt, lastEvaluatedAt, variants: new Map(variants) }]
    }),
  )
}
