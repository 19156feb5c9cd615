import type { Link } from './links.ts'
import type { Notice } from './notification.ts'

// Slack refuses a message with a longer header or section.
const LONGEST_HEADER = 150
const LONGEST_SECTION = 3_000

type Text = { readonly type: 'plain_text'; readonly text: string }
type Button = { readonly type: 'button'; readonly text: Text; readonly url: string }
type Block =
  | { readonly type: 'header' | 'section'; readonly text: Text }
  | { readonly type: 'context'; readonly elements: readonly Text[] }
  | { readonly type: 'actions'; readonly elements: readonly Button[] }

/** A message as Slack's incoming webhooks take it. */
export type SlackMessage = { readonly text: string; readonly blocks: readonly Block[] }

function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`
}

// Plain text, so that nothing that people have named mentions everybody or hides a link.
const plain = (text: string): Text => ({ type: 'plain_text', text })

/** What stands in a notification, which Slack reads as its own markup. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** Writes a notice as a message in blocks, with a button for each link. */
export function toSlackMessage({ title, text, environment }: Notice, links: readonly Link[]): SlackMessage {
  const section: readonly Block[] =
    text === '' ? [] : [{ type: 'section', text: plain(cut(text, LONGEST_SECTION)) }]
  const buttons = links.map(({ label, url }): Button => ({ type: 'button', text: plain(label), url }))
  return {
    text: escaped(title),
    blocks: [
      { type: 'header', text: plain(cut(title, LONGEST_HEADER)) },
      ...section,
      { type: 'context', elements: [plain(`Rampart, ${environment}`)] },
      ...(buttons.length > 0 ? [{ type: 'actions', elements: buttons } as const] : []),
    ],
  }
}
