/**
 * Keeps a Vault or OpenBao token, and the leases of secrets, alive.
 *
 * @example
 * ```ts
 * import { appRoleLogin, createVaultClient, VaultTokenManager } from 'tokenwright/vault'
 *
 * const vault = await createVaultClient({ endpoint: 'https://vault.example:8200' })
 * const manager = new VaultTokenManager({ client: vault, login: appRoleLogin({ roleId, secretId: { file: '/run/secret-id' } }) })
 * await manager.start()
 * ```
 * @packageDocumentation
 */
export {
  type VaultErrorCode,
  type VaultErrorResponse,
  type VaultFailure,
  type VaultFailureKind,
  type VaultOperation,
  VaultRequestError,
  VaultShorteningError,
  VaultStateError,
} from './errors.ts'
export type {
  LeaseEnd,
  NonRenewableReason,
  VaultConfigWarningEvent,
  VaultEvent,
  VaultEvents,
  VaultExpiredEvent,
  VaultExpiringSoonEvent,
  VaultFailureEvent,
  VaultLeaseEndedEvent,
  VaultLeaseEvent,
  VaultLeaseFailedEvent,
  VaultLeaseRenewedEvent,
  VaultManagerEvents,
  VaultMaxTtlApproachingEvent,
  VaultNonRenewableEvent,
  VaultReauthenticatedEvent,
  VaultReauthFailedEvent,
  VaultRenewalFailedEvent,
  VaultRenewedEvent,
  VaultRevocationFailedEvent,
  VaultSinkFailedEvent,
  VaultStartedEvent,
  VaultStoppedEvent,
} from './events.ts'
export { type PublishToVaultKvOptions, publishToVaultKv } from './kv-hook.ts'
export type { VaultCredential, VaultLogin, VaultLoginContext } from './login.ts'
export {
  type AppRoleLoginOptions,
  appRoleLogin,
  type JwtLoginOptions,
  jwtLogin,
  type KubernetesLoginOptions,
  kubernetesLogin,
  type TokenFileLoginOptions,
  tokenFileLogin,
  type UserpassLoginOptions,
  userpassLogin,
  type WrappedTokenLoginOptions,
  wrappedTokenLogin,
} from './login-methods.ts'
export type { VaultTokenManagerOptions } from './manager-options.ts'
export {
  type CreateVaultClientOptions,
  createVaultClient,
  fromNodeVault,
  type NodeVaultCall,
  type NodeVaultClient,
} from './node-vault-client.ts'
export { vaultRenewAction } from './renew-action.ts'
export type { RenewalResult } from './renewal-result.ts'
export { recommendThreshold } from './schedule.ts'
export type { SecretLease, SecretLeaseStatus } from './secret-lease.ts'
export type { LeasedAnswer, SecretLeaseInput, SecretLeaseOptions } from './secret-lease-input.ts'
export type { VaultServerHealth } from './server-health.ts'
export {
  getTokenManager,
  type StartTokenManagerOptions,
  startTokenManager,
  stopTokenManager,
} from './shared-manager.ts'
export type { FileSink, SinkToken, VaultSink } from './sink.ts'
export type { VaultState, VaultStatus } from './status.ts'
export type { TokenFacts } from './token-facts.ts'
export type { VaultTls } from './transport.ts'
export type { VaultClient, VaultRequestOptions } from './vault-client.ts'
export {
  type ForceRenewalOptions,
  type StartOptions,
  type StopOptions,
  VaultTokenManager,
} from './vault-token-manager.ts'
