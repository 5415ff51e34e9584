import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { checkCredential, credentialError, readCredential, type VaultCredential, type VaultLogin } from './login.ts'
import { checkMount, pathOf } from './vault-client.ts'

/** How {@link appRoleLogin} logs in. */
export interface AppRoleLoginOptions {
  readonly roleId: VaultCredential
  /** Leave it out for roles that bind none. With `wrapped`, a wrapping token that holds it. */
  readonly secretId?: VaultCredential | undefined
  /** `secretId` is a wrapping token, good for one login: give it anew for each, by a file or a function. Default false. */
  readonly wrapped?: boolean | undefined
  /** The role's name: with it, only a wrapping token made by `auth/<mount>/role/<role>/secret-id` is unwrapped. */
  readonly role?: string | undefined
  /** Default `approle`. */
  readonly mount?: string | undefined
}

/**
 * Logs in by AppRole. Ids may come from files, which are read anew at each login.
 *
 * @param options - the ids, or where they are
 * @throws InvalidInputError for options that can't be used
 * @see https://openbao.org/docs/auth/approle/
 * @example
 * ```ts
 * const login = appRoleLogin({ roleId: '0ef1…', secretId: { file: '/run/secrets/secret-id' } })
 * ```
 */
export function appRoleLogin(options: AppRoleLoginOptions): VaultLogin {
  checkFields('login', options, ['roleId', 'secretId', 'wrapped', 'role', 'mount'])
  const roleId = checkCredential('login.roleId', options.roleId)
  const secretId = options.secretId === undefined ? undefined : checkCredential('login.secretId', options.secretId)
  const mount = checkMount('login.mount', options.mount ?? 'approle')
  const { wrapped = false, role } = options
  if (wrapped && secretId === undefined) {
    throw new InvalidInputError('login.wrapped', 'needs a secretId', 'give the wrapping token as secretId')
  }
  const creationPath = role === undefined ? undefined : `auth/${mount}/role/${checkName('login.role', role)}/secret-id`
  return {
    method: 'approle',
    async login({ post, unwrap }) {
      const data: { [name: string]: string } = { role_id: await readCredential('roleId', roleId) }
      if (secretId !== undefined) {
        const given = await readCredential('secretId', secretId)
        data['secret_id'] = wrapped ? secretIdOf(await unwrap(given, creationPath)) : given
      }
      return await post(`auth/${mount}/login`, data)
    },
  }
}

function secretIdOf(body: unknown): string {
  const id = (body as { readonly data?: { readonly secret_id?: unknown } | null } | null)?.data?.secret_id
  if (typeof id !== 'string' || id === '') throw credentialError('the wrapping token holds no secret_id', 'unwrap')
  return id
}

/** How {@link jwtLogin} logs in. */
export interface JwtLoginOptions {
  readonly role: string
  /** The JWT, or where it is. */
  readonly jwt: VaultCredential
  /** Default `jwt`. */
  readonly mount?: string | undefined
}

/**
 * Logs in by a JWT.
 *
 * @param options - the role, and the JWT or where it is
 * @throws InvalidInputError for options that can't be used
 * @see https://openbao.org/docs/auth/jwt/
 */
export function jwtLogin(options: JwtLoginOptions): VaultLogin {
  checkFields('login', options, ['role', 'jwt', 'mount'])
  return byJwt('jwt', options.role, checkCredential('login.jwt', options.jwt), options.mount ?? 'jwt')
}

/** How {@link kubernetesLogin} logs in. */
export interface KubernetesLoginOptions {
  readonly role: string
  /** The service account's token. It is read anew at each login: the cluster replaces it. Default `/var/run/secrets/kubernetes.io/serviceaccount/token`. */
  readonly jwtFile?: string | undefined
  /** Default `kubernetes`. */
  readonly mount?: string | undefined
}

/**
 * Logs in by the service account of a pod.
 *
 * @param options - the role, and what differs from the defaults
 * @throws InvalidInputError for options that can't be used
 * @see https://openbao.org/docs/auth/kubernetes/
 */
export function kubernetesLogin(options: KubernetesLoginOptions): VaultLogin {
  checkFields('login', options, ['role', 'jwtFile', 'mount'])
  const file = options.jwtFile ?? '/var/run/secrets/kubernetes.io/serviceaccount/token'
  const jwt = checkCredential('login.jwtFile', { file })
  return byJwt('kubernetes', options.role, jwt, options.mount ?? 'kubernetes')
}

function byJwt(method: string, role: unknown, jwt: VaultCredential, mountPath: string): VaultLogin {
  const name = checkName('login.role', role)
  const mount = checkMount('login.mount', mountPath)
  return {
    method,
    login: async ({ post }) => await post(`auth/${mount}/login`, { role: name, jwt: await readCredential('jwt', jwt) }),
  }
}

/** How {@link userpassLogin} logs in. */
export interface UserpassLoginOptions {
  readonly username: string
  readonly password: VaultCredential
  /** Default `userpass`. */
  readonly mount?: string | undefined
}

/**
 * Logs in by name and password.
 *
 * @param options - the name, and the password or where it is
 * @throws InvalidInputError for options that can't be used
 * @see https://openbao.org/docs/auth/userpass/
 */
export function userpassLogin(options: UserpassLoginOptions): VaultLogin {
  checkFields('login', options, ['username', 'password', 'mount'])
  const username = checkName('login.username', options.username)
  const password = checkCredential('login.password', options.password)
  const mount = checkMount('login.mount', options.mount ?? 'userpass')
  return {
    method: 'userpass',
    login: async ({ post }) =>
      await post(`auth/${mount}/login/${pathOf(username)}`, { password: await readCredential('password', password) }),
  }
}

/** How {@link tokenFileLogin} finds its token. */
export interface TokenFileLoginOptions {
  /** The file that somebody else keeps a token in, such as the sink of an agent. It is read anew each time. */
  readonly file: string
}

/**
 * Takes the token out of a file that somebody else keeps fresh, such as an agent's sink.
 *
 * @param options - the file
 * @throws InvalidInputError without a file
 */
export function tokenFileLogin(options: TokenFileLoginOptions): VaultLogin {
  checkFields('login', options, ['file'])
  const file = checkCredential('login.file', { file: options.file })
  return { method: 'token_file', login: async () => await readCredential('token', file) }
}

/** How {@link wrappedTokenLogin} finds its token. */
export interface WrappedTokenLoginOptions {
  /** The wrapping token; it is good once, so give a file or a function where there are to be several logins. */
  readonly wrappingToken: VaultCredential
  /** Where what is inside must have been made, such as `auth/token/create`: one that was unwrapped on its way and wrapped again is refused. */
  readonly creationPath?: string | undefined
}

/**
 * Unwraps a token that was handed over wrapped. Never give a wrapping token as a client's token: its first look-up would use it up.
 *
 * @param options - the wrapping token, or where it is
 * @throws InvalidInputError for options that can't be used
 * @see https://openbao.org/docs/concepts/response-wrapping/
 */
export function wrappedTokenLogin(options: WrappedTokenLoginOptions): VaultLogin {
  checkFields('login', options, ['wrappingToken', 'creationPath'])
  const wrapping = checkCredential('login.wrappingToken', options.wrappingToken)
  const { creationPath } = options
  if (creationPath !== undefined) checkName('login.creationPath', creationPath)
  return {
    method: 'wrapped_token',
    login: async ({ unwrap }) => await unwrap(await readCredential('wrappingToken', wrapping), creationPath),
  }
}

function checkName(field: string, name: unknown): string {
  if (typeof name === 'string' && name !== '' && name.length <= 256) return name
  throw new InvalidInputError(field, 'is not a name of 1 to 256 characters', 'give the name as the server knows it')
}
