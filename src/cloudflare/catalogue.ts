import { nearest } from '../access/nearest.ts'
import { isJsonObject } from '../kernel/canonical-json.ts'
import { abbreviated } from '../kernel/errors.ts'
import { CatalogueIncompleteError, UnknownPermissionGroupError } from './errors.ts'
import { foreignText } from './foreign-text.ts'
import { editAlias, SCOPES, spellingOf } from './known-groups.ts'
import { isId } from './token-record.ts'

/** A permission group of the live catalogue. */
export interface PermissionGroup {
  readonly id: string
  readonly name: string
  /** What it applies to; mostly one. */
  readonly scopes: readonly string[]
}

/** A group found for what was asked, in one of its scopes. */
export interface FoundGroup {
  readonly id: string
  readonly name: string
  readonly scope: string
  /** What is to be said of the spelling. */
  readonly warning?: string
}

const MAX_ROWS = 5000
const OF_FAMILY = { account: SCOPES.account, user: SCOPES.user } as const

/** The permission groups that there are, by (name, scope) and by id: a name alone stands for several. */
export class PermissionCatalogue {
  readonly #byName = new Map<string, PermissionGroup[]>()
  readonly #byId = new Map<string, PermissionGroup>()

  /**
   * @param rows - the API's result
   * @param total - how many there are, as the API says
   * @throws CatalogueIncompleteError when some didn't come
   */
  constructor(rows: unknown, total: number | undefined) {
    const list: readonly unknown[] = Array.isArray(rows) ? rows.slice(0, MAX_ROWS) : []
    if (total !== undefined && list.length < total) throw new CatalogueIncompleteError(list.length, total)
    for (const row of list) {
      if (!isJsonObject(row)) continue
      const { id, name: given, scopes } = row
      if (typeof id !== 'string' || !isId(id) || typeof given !== 'string' || given === '') continue
      const name = foreignText(given, 120)
      // Newer scopes than those known here come and go; they are kept as they are.
      const known = Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === 'string') : []
      const group = { id, name, scopes: known }
      this.#byId.set(id, group)
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), group])
    }
    if (this.#byId.size === 0) throw new CatalogueIncompleteError(0)
  }

  /** The group with this id. */
  byId(id: string): PermissionGroup | undefined {
    return this.#byId.get(id)
  }

  /** Every group of a name, whatever its scope. */
  byName(name: string): readonly PermissionGroup[] {
    return this.#byName.get(name) ?? []
  }

  /**
   * The one group that is meant.
   *
   * @param given - a name, an id, or a spelling that is known
   * @param scope - its scope; without one, the only one that there is, else the one that goes with the family
   * @throws UnknownPermissionGroupError when there is none, or several would do
   */
  find(given: string, scope: string | undefined, family: 'account' | 'user'): FoundGroup {
    if (isId(given)) return this.#findId(given, scope)
    const spelling = spellingOf(given)
    if (spelling === undefined) throw new UnknownPermissionGroupError(abbreviated(given), 'is no name of the API', [])
    let { name, warning } = spelling
    if (!this.#byName.has(name)) {
      const alias = editAlias(name)
      if (alias !== undefined && this.#byName.has(alias)) {
        warning = `'${given}' is the dashboard's name; the API's is '${alias}'`
        name = alias
      }
    }
    const choices = this.byName(name).flatMap((group) =>
      group.scopes.map((each) => ({ id: group.id, name, scope: each })),
    )
    if (choices.length === 0) {
      const near = this.#near(name)
      const shown = near.length === 0 ? abbreviated(given) : given
      throw new UnknownPermissionGroupError(shown, "isn't in the catalogue", near)
    }
    const scoped = scope === undefined ? choices : choices.filter((choice) => choice.scope === scope)
    const natural = scoped.length > 1 ? scoped.filter((choice) => choice.scope === OF_FAMILY[family]) : scoped
    const [found] = natural
    if (found === undefined || natural.length > 1) {
      const there = choices.map((choice) => `'${name}' with scope ${choice.scope}`)
      throw new UnknownPermissionGroupError(given, `isn't in the catalogue once with this scope`, there.slice(0, 4))
    }
    return warning === undefined ? found : { ...found, warning }
  }

  #findId(id: string, scope: string | undefined): FoundGroup {
    const group = this.#byId.get(id)
    if (group === undefined) throw new UnknownPermissionGroupError(id, "isn't in the catalogue", [])
    const scopes = scope === undefined ? group.scopes : group.scopes.filter((each) => each === scope)
    const [first] = scopes
    if (first === undefined || scopes.length > 1) {
      throw new UnknownPermissionGroupError(id, `has the scopes ${group.scopes.join(', ')}`, [])
    }
    return { id, name: group.name, scope: first }
  }

  #near(name: string): string[] {
    const names = [...this.#byName.keys()]
    const close = nearest(name, names)
    if (close.length > 0) return close
    const words = name.slice(0, 100).split(' ')
    const [first = ''] = words
    // A misremembered last word is further away than three letters.
    return first.length < 2 ? [] : names.filter((other) => other.split(' ')[0] === first).slice(0, 3)
  }
}
