import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from './source-tree.ts'

const pages = ['.', 'docs'].flatMap((folder) =>
  readdirSync(ROOT + folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => posix.join(folder, name)),
)

/** A page without its code blocks, whose brackets are no links and whose hashes no headings. */
function prose(page: string): string {
  return readFileSync(ROOT + page, 'utf8').replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  return [...prose(page).matchAll(/^#{1,6} +(.+)$/gm)].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe.each(pages)('%s', (page) => {
  it('has no link that leads nowhere', () => {
    const lost: string[] = []
    for (const [, link = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : posix.join(posix.dirname(page), path)
      if (!existsSync(ROOT + target)) lost.push(link)
      else if (anchor !== undefined && !anchorsOf(target).includes(anchor)) lost.push(link)
    }
    expect(lost).toEqual([])
  })

  it('has no marks of an unfinished merge, formatted or not', () => {
    // The formatter makes quotes and table rows of them, and no other check minds.
    expect(prose(page)).not.toMatch(/<{7} |>{7} |(> ){6}|^\|? *={7}/m)
  })
})

it('the errors’ own links lead to docs/errors.md', () => {
  expect(anchorsOf('docs/errors.md')).toContain('err_invalid_input')
})
