import { defineScopes, type ScopeCatalog } from './scope-catalog.ts'

/**
 * A ready catalogue for hosts that let agents operate a machine: ten scopes, from looking at the system to changing it.
 * `readonly` = system:read, network:read, container:read, file:read; `admin` = all.
 */
export const hostOperationsCatalog: ScopeCatalog = defineScopes({
  scopes: {
    'system:read': {
      risk: 'low',
      tools: ['get_system_status', 'get_top_processes'],
      description: 'See how the system is doing',
    },
    'network:read': {
      risk: 'low',
      tools: ['get_network_status', 'get_active_connections'],
      description: 'See the network and its connections',
    },
    'container:read': {
      risk: 'low',
      tools: ['get_container_list', 'list_docker_images'],
      description: 'See containers and images',
    },
    'docker:read': { risk: 'low', tools: ['list_docker_networks'], description: 'See networks of containers' },
    'file:read': { risk: 'moderate', tools: ['file_operations'], description: 'Read files' },
    'network:diag': {
      risk: 'moderate',
      tools: ['ping_host', 'dns_lookup', 'test_port_connectivity'],
      description: 'Send probes into the network',
    },
    'container:write': { risk: 'high', tools: ['manage_container'], description: 'Start, stop and restart containers' },
    'container:admin': { risk: 'critical', tools: ['update_docker_container'], description: 'Replace containers' },
    'docker:admin': { risk: 'critical', tools: ['pull_docker_image'], description: 'Bring in images' },
    'system:admin': {
      risk: 'critical',
      tools: ['install_package', 'update_system_packages'],
      description: 'Change what is installed',
    },
  },
  meta: {
    readonly: ['system:read', 'network:read', 'container:read', 'file:read'],
    admin: [
      'system:read',
      'network:read',
      'container:read',
      'docker:read',
      'file:read',
      'network:diag',
      'container:write',
      'container:admin',
      'docker:admin',
      'system:admin',
    ],
  },
})
