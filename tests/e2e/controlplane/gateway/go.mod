module aiops.invalid/e2e/gateway

go 1.26.0

// The custom resources of Gateway API are read from this module's folder; no code of it is built.
require sigs.k8s.io/gateway-api v1.4.0
