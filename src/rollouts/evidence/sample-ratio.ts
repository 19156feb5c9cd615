// Whether units come in the shares that were granted: each counts once, at its first exposure in the rollout. Pure.
import { logSampleRatio } from '../../statistics/sample-ratio.ts'
import type { Reading } from '../observations.ts'
import { isCompared, type Slot } from './slots.ts'
import { sayCount } from './words.ts'

/** How many came first in this epoch, in one stratum. */
type Firsts = { readonly treatment: number; readonly control: number; readonly share: number }

/** What is known of the shares. */
export type Shares = {
  /** Logarithm of the evidence of epochs that are over, and of this one. */
  readonly closed: number
  readonly open: number
  /** The most that it has come to: a mismatch stays one. */
  readonly peak: number
  /** By stratum, of this epoch. */
  readonly firsts: ReadonlyMap<string, Firsts>
}

/** ln 1,000: shares as granted look like a mismatch once in a thousand rollouts. */
const LIMIT = Math.log(1000)

/** Mismatches of either size are looked for: gross ones, which few units show, and slight ones, which take many. */
const GROSS = 100
const SLIGHT = 10_000

function mismatchOf({ treatment, control, share }: Firsts): number {
  const evidence = (concentration: number) =>
    logSampleRatio([treatment, control], [share, 100 - share], concentration)
  const [gross, slight] = [evidence(GROSS), evidence(SLIGHT)]
  const most = Math.max(gross, slight)
  return most + Math.log((Math.exp(gross - most) + Math.exp(slight - most)) / 2)
}

export function newShares(): Shares {
  return { closed: 0, open: 0, peak: 0, firsts: new Map() }
}

/** Another epoch begins: other shares may hold. */
export function sharesInNextEpoch({ closed, open, peak }: Shares): Shares {
  return { closed: closed + open, open: 0, peak, firsts: new Map() }
}

export function sharesAfter(shares: Shares, { strata }: Slot): Shares {
  const firsts = new Map(shares.firsts)
  let isSame = true
  for (const stratum of strata) {
    const { name, share, treatment, control } = stratum
    const [t, c] = [treatment.block?.firsts ?? 0, control.block?.firsts ?? 0]
    if (!isCompared(stratum) || t + c === 0) continue
    const known = firsts.get(name)
    firsts.set(name, { treatment: (known?.treatment ?? 0) + t, control: (known?.control ?? 0) + c, share })
    isSame = false
  }
  if (isSame) return shares
  let open = 0
  for (const one of firsts.values()) open += mismatchOf(one)
  return { closed: shares.closed, open, peak: Math.max(shares.peak, shares.closed + open), firsts }
}

export function readShares({ closed, open, peak, firsts }: Shares): Reading['sampleRatio'] {
  let [treated, came, expected] = [0, 0, 0]
  for (const { treatment, control, share } of firsts.values()) {
    treated += treatment
    came += treatment + control
    expected += ((treatment + control) * share) / 100
  }
  const found = `${sayCount(treated)} of ${sayCount(came)} new units were treated, ${sayCount(expected)} expected`
  const mismatch = peak >= LIMIT
  return {
    evidence: closed + open,
    mismatch,
    words: mismatch ? `${found}: the arms do not come in the shares that were granted` : found,
  }
}
