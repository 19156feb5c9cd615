// What a runbook asks for, as it asks for it: a share over the last minutes, without statistics. Pure.
import { BLOCK_MS } from '../../telemetry/counting/blocks.ts'
import type { ArmCount } from '../observations.ts'
import type { Span } from './evidence.ts'
import type { Method } from './processes.ts'

type Window = Extract<Method, { kind: 'window' }>

/** A window says nothing of fewer units, or observations. */
const LEAST_UNITS = 20
/** A window is kept in so many spans at most. */
const MAX_SPANS = 60
/** Stands for the logarithm of nothing, and of what is divided by nothing. */
const FAR = 20

function blocksOf({ windowMs }: Window): number {
  return Math.max(1, Math.ceil(windowMs / BLOCK_MS))
}

/** How many blocks lie in one span. */
function spanOf(window: Window): number {
  return Math.ceil(blocksOf(window) / MAX_SPANS)
}

/** The spans of a window after a block. */
export function spansAfter(
  spans: readonly Span[],
  window: Window,
  block: number,
  { hits, units }: ArmCount,
): readonly Span[] {
  const first = block - (block % spanOf(window))
  const kept = spans.filter((span) => span.block > block - blocksOf(window))
  if (hits + units === 0) return kept
  const last = kept.at(-1)
  if (last?.block !== first) return [...kept, { block: first, hits, units }]
  return [...kept.slice(0, -1), { block: first, hits: last.hits + hits, units: last.units + units }]
}

/**
 * What is in a window that ends after so many blocks.
 * @param atRisk treated units at risk, of what is counted by units: they and those that were hit are what there is
 */
export function inWindow(spans: readonly Span[], window: Window, blocks: number, atRisk: number): ArmCount {
  let [hits, units] = [0, 0]
  for (const span of spans) {
    if (span.block < blocks - blocksOf(window)) continue
    hits += span.hits
    units += span.units
  }
  return { hits, units: window.bound === null ? atRisk + hits : units }
}

/** How far the share is beyond the limit, as a logarithm: above 0 it is; null while there are too few units. */
export function windowEvidence(
  spans: readonly Span[],
  window: Window,
  blocks: number,
  atRisk: number,
): number | null {
  const { hits, units } = inWindow(spans, window, blocks, atRisk)
  if (units < LEAST_UNITS) return null
  const beyond = Math.log(hits / units) - Math.log(window.limit)
  const said = window.side === 'above' ? beyond : -beyond
  // 0 of a limit of 0 is not beyond it.
  return Number.isNaN(said) ? 0 : Math.min(Math.max(said, -FAR), FAR)
}
