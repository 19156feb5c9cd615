// What is served to whom, in words, and what two ways of serving differ in. Pure.
import { DEFAULT_UNIT, type Serve, type Split } from '../engine/flag.ts'
import { type Difference, isEqual, pairEntries } from './difference.ts'
import { nameSome, nowAndBefore, quote } from './wording.ts'

type Weights = Split['weights']

function describeShares(weights: Weights): string {
  const sum = weights.reduce((total, { weight }) => total + weight, 0)
  // Three decimals are one bucket.
  const percent = (weight: number) => Number(((weight / sum) * 100).toFixed(3))
  return nameSome(weights.map(({ variant, weight }) => `${variant} ${percent(weight)} %`))
}

function describeWeights(weights: Weights): string {
  return nameSome(weights.map(({ variant, weight }) => `${variant} ${weight}`))
}

const describeOrder = (weights: Weights) => nameSome(weights.map(({ variant }) => variant))

function describeSplit({ weights, by, bucketing }: Split): string {
  const unit = by === DEFAULT_UNIT ? '' : ` by ${by}`
  const imported = bucketing ? `, assigned as ${bucketing.scheme} does` : ''
  return `${describeShares(weights)}${unit}${imported}`
}

/** What is served, in words: `serves "on"`, `splits on 60 %, off 40 % by company.id`. */
export function describeServe(serve: Serve): string {
  return 'variant' in serve ? `serves ${quote(serve.variant)}` : `splits ${describeSplit(serve.split)}`
}

function diffWeights(path: string, subject: string, before: Weights, after: Weights): Difference[] {
  const { added, removed, kept, moved } = pairEntries(before, after, ({ variant }) => variant)
  const differences: Difference[] = []
  if (added.length + removed.length > 0 || kept.some((pair) => pair.before.weight !== pair.after.weight)) {
    const [now, was] = [describeShares(after), describeShares(before)]
    const text =
      now === was
        ? `the weights of its split are ${nowAndBefore(describeWeights(after), describeWeights(before))}`
        : `now splits ${now} (was ${was})`
    differences.push({ path, kind: 'changed', before, after, text: `${subject}: ${text}` })
  }
  if (moved.length > 0) {
    const order = nowAndBefore(describeOrder(after), describeOrder(before))
    // Ranges follow each other in this order, so another order assigns units anew.
    const text = `${subject}: the order of its split is ${order}, so units change variants`
    differences.push({ path, kind: 'moved', before, after, text })
  }
  return differences
}

function diffSplit(path: string, subject: string, before: Split, after: Split): Difference[] {
  const differences = diffWeights(`${path}.weights`, subject, before.weights, after.weights)
  if (before.by !== after.by) {
    const text = `${subject}: now splits by ${after.by} (was ${before.by}), so units change variants`
    differences.push({ path: `${path}.by`, kind: 'changed', before: before.by, after: after.by, text })
  }
  if (before.seed !== after.seed) {
    const text = `${subject}: its split has a new seed, so units change variants`
    differences.push({ path: `${path}.seed`, kind: 'changed', before: before.seed, after: after.seed, text })
  }
  const old = before.bucketing ?? null
  const now = after.bucketing ?? null
  if (!isEqual(old, now)) {
    const system = (bucketing: typeof now) => (bucketing ? `as ${bucketing.scheme} does` : 'by the seed')
    const text =
      system(now) === system(old)
        ? `${subject}: how ${now?.scheme} assigns units has changed`
        : `${subject}: units are now assigned ${system(now)} (was ${system(old)})`
    differences.push({ path: `${path}.bucketing`, kind: 'changed', before: old, after: now, text })
  }
  return differences
}

/**
 * What two ways of serving differ in.
 * @param subject whose they are: `fallthrough`, `rule "beta"`
 */
export function diffServe(
  path: string,
  subject: string,
  before: Serve | undefined,
  after: Serve | undefined,
): Difference[] {
  if (before === undefined || after === undefined) {
    if (after) return [{ path, kind: 'added', after, text: `${subject}: ${describeServe(after)}` }]
    return before ? [{ path, kind: 'removed', before, text: `${subject} removed` }] : []
  }
  if ('split' in before && 'split' in after) {
    return diffSplit(`${path}.split`, subject, before.split, after.split)
  }
  if (isEqual(before, after)) return []
  const was = 'variant' in before ? quote(before.variant) : describeSplit(before.split)
  return [
    { path, kind: 'changed', before, after, text: `${subject}: now ${describeServe(after)} (was ${was})` },
  ]
}
