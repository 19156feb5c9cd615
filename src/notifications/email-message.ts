import type { Link } from './links.ts'
import type { Notice } from './notification.ts'

const LONGEST_SUBJECT = 200

/** An e-mail, without whom it is from and to. */
export type Email = { readonly subject: string; readonly text: string }

/** Writes a notice as an e-mail in plain text. */
export function toEmail({ title, text, environment }: Notice, links: readonly Link[]): Email {
  // A line break in a subject would begin another header.
  const subject = `[${environment}] ${title}`.replaceAll(/\p{C}+/gu, ' ').slice(0, LONGEST_SUBJECT)
  const paragraphs = [title, text, ...links.map(({ label, url }) => `${label}: ${url}`)]
  return { subject, text: `${paragraphs.filter((paragraph) => paragraph !== '').join('\n\n')}\n` }
}
