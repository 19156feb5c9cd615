// A hub that publishes nothing and tells nothing. Bound to a second instance of the same build, it shows what a change
// takes without the publication, and what is left when the hub cannot be reached.
import { DurableObject } from 'cloudflare:workers'
import type { Hub, Newer, Publication } from '../../src/catalog/hub-protocol.ts'

export class DeafHub extends DurableObject implements Pick<Hub, 'publish' | 'newer' | 'whole'> {
  async publish(): Promise<Publication> {
    return { version: 0, published: false }
  }

  async newer(): Promise<Newer> {
    throw new Error('the hub is not there')
  }

  async whole(): Promise<string | null> {
    throw new Error('the hub is not there')
  }
}

export default {
  fetch: () => new Response(null, { status: 404 }),
}
