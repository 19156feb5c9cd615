// Takes a snapshot's text, opens it and compiles every flag, a step for each request, and holds on to what comes of it.
import type { Snapshot } from '../../src/engine/snapshot.ts'
import { openSnapshot } from '../contenders/rampart.ts'

const held: { text?: string; snapshot?: Snapshot } = {}

const STEPS: { readonly [path: string]: (text: string) => void } = {
  '/nothing': () => {
    delete held.text
    delete held.snapshot
  },
  '/text': (text) => {
    held.text = text
  },
  '/open': () => {
    held.snapshot = openSnapshot(held.text ?? '')
    delete held.text
  },
  '/compile': () => {
    for (const key of held.snapshot?.keys() ?? []) held.snapshot?.flag(key)
  },
}

export default {
  async fetch(request: Request): Promise<Response> {
    const step = STEPS[new URL(request.url).pathname]
    if (!step) return new Response(null, { status: 404 })
    step(await request.text())
    return new Response(String(held.snapshot?.keys().length ?? 0))
  },
}
